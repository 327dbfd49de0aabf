//! The datagrams between hosts: sealed and sent, received and opened. It knows addresses and keys, and nothing of what is said.
//!
//! What cannot be opened is counted and dropped, and never answered.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use daymark_decision::HostName;
use daymark_gossip::{KeyRing, Message, OVERHEAD, RANDOM_LENGTH, Transmit, Unsealed, open, seal};
use daymark_resolver::{ResolveError, SystemResolver};
use ring::rand::{SecureRandom, SystemRandom};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::keyfile::{self, KeyFile, KeyFileError};
use crate::complaint::PeerMismatch;
use crate::config::{PeerAddress, PeersConfig};
use crate::driver::{Handle, Letter};
use crate::metrics::Metrics;
use crate::os::sockets;
use crate::watchdog::WatchdogHandle;
use daymark_files::error_chain;

/// How often the names of hosts are resolved again.
const RESOLVE: Duration = Duration::from_secs(15);
/// How often the driver hears the same of a member: whoever forges an address must not keep it busy.
const COMPLAIN: Duration = Duration::from_secs(1);
/// No datagram of a host is longer; what is, is cut on reading and cannot be opened.
const LONGEST: usize = daymark_gossip::MOST_BYTES + OVERHEAD;
/// How long the wire may be silent before it counts as stuck; every host has something to say twice a second.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The socket of this host towards the others.
#[derive(Debug)]
pub struct Wire {
    socket: UdpSocket,
    keys: KeyFile,
    own: HostName,
    own_address: Option<PeerAddress>,
    cluster: String,
    configured: BTreeMap<HostName, PeerAddress>,
    /// What the names were resolved to.
    resolved: BTreeMap<HostName, BTreeSet<SocketAddr>>,
    /// What was said last of the member with an address, and when.
    complained: BTreeMap<(HostName, &'static str), Instant>,
    names: SystemResolver,
    random: SystemRandom,
    metrics: Metrics,
}

/// Why there is no wire.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The address is not to be had.
    #[error("cannot listen on {address} by udp; a free address of this host is needed")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There are no keys.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
}

type Resolved = (HostName, String, Result<BTreeSet<SocketAddr>, ResolveError>);

impl Wire {
    /// Binds the socket and reads the keys.
    pub fn bind(config: &PeersConfig, metrics: Metrics) -> Result<Self, WireError> {
        let keys = keyfile::watch(&config.key_file);
        keys.current()?;
        let address = config.listen;
        let socket = sockets::bind_dual_stack(address, bind).map_err(|source| WireError::Bind { address, source })?;
        let others = config.addresses.iter().filter(|(host, _)| **host != config.membership.own);
        let fixed = others.clone().filter_map(|(host, address)| match address {
            PeerAddress::Ip(address) => Some((host.clone(), [*address].into())),
            PeerAddress::Name(..) => None,
        });
        Ok(Self {
            socket,
            keys,
            own: config.membership.own.clone(),
            own_address: config.addresses.get(&config.membership.own).cloned(),
            cluster: config.cluster.clone(),
            resolved: fixed.collect(),
            configured: others.map(|(host, address)| (host.clone(), address.clone())).collect(),
            complained: BTreeMap::new(),
            names: SystemResolver::new(),
            random: SystemRandom::new(),
            metrics,
        })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends what is to be sent and hands over what comes, until the shutdown.
    pub async fn run(
        mut self,
        mut to_send: mpsc::Receiver<Letter>,
        driver: Handle,
        watchdog_handle: WatchdogHandle,
        stop: CancellationToken,
    ) {
        let mut buffer = [0; LONGEST + 1];
        let mut lookups: JoinSet<Resolved> = JoinSet::new();
        let mut resolve = tokio::time::interval(RESOLVE);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.receive(&buffer[..length], from, &driver),
                    // Such as that an earlier datagram could not be delivered (ICMP); the socket is good for the next.
                    Err(error) => debug!("no datagram of a host: {error}"),
                },
                letter = to_send.recv() => match letter {
                    Some(letter) => self.send(&letter).await,
                    None => return,
                },
                _ = resolve.tick() => self.look_up(&mut lookups),
                Some(found) = lookups.join_next() => if let Ok(found) = found { self.resolve(found, &driver) },
            }
            watchdog_handle.heartbeat();
        }
    }

    fn receive(&mut self, datagram: &[u8], from: SocketAddr, driver: &Handle) {
        self.metrics.count_datagram("received", datagram.len());
        let Ok(keys) = self.keys.current() else { return };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let (message, complaint) = match self.opened(&keys, datagram) {
            Ok(message) => {
                let called = message.from.clone();
                (Some(message), PeerMismatch::Name { name: called })
            }
            Err((reason, complaint)) => {
                self.metrics.reject_datagram(reason);
                (None, complaint)
            }
        };
        self.complain(from, complaint, driver);
        let Some(message) = message else { return };
        if driver.hear(message, from).is_err() {
            self.metrics.reject_datagram("busy");
        }
    }

    fn opened(&self, keys: &KeyRing, datagram: &[u8]) -> Result<Message, (&'static str, PeerMismatch)> {
        let plain = open(keys, &self.cluster, self.own.as_str(), datagram).map_err(|unsealed| {
            let complaint = match unsealed {
                Unsealed::UnknownKey(_) => PeerMismatch::Key,
                Unsealed::Forged => PeerMismatch::Addressee,
                Unsealed::TooShort(_) | Unsealed::UnknownVersion(_) => PeerMismatch::Version,
            };
            (unsealed.label(), complaint)
        })?;
        Message::decode(&plain).map_err(|_| ("no-message", PeerMismatch::Version))
    }

    /// Says what a datagram shows of the member from whose address it came, if it came from one.
    fn complain(&mut self, from: SocketAddr, complaint: PeerMismatch, driver: &Handle) {
        let is_own = matches!(self.own_address, Some(PeerAddress::Ip(own)) if own == from);
        let about = match (self.whose(from), &complaint) {
            _ if is_own => Some((&self.own, PeerMismatch::IdentityConflict)),
            // Who is where it should be, or where no other member is, is called as it should be.
            (_, PeerMismatch::Name { name: called }) if self.is_at(called, from) => None,
            (host, _) => host.map(|host| (host, complaint)),
        };
        let Some((host, complaint)) = about else { return };
        let key = (host.clone(), complaint.label());
        if self.complained.get(&key).is_some_and(|at| at.elapsed() < COMPLAIN) {
            return;
        }
        // Where the driver is stuck, that is told.
        let _ = driver.complain(key.0.clone(), complaint);
        self.complained.insert(key, Instant::now());
    }

    fn is_at(&self, host: &HostName, from: SocketAddr) -> bool {
        self.resolved.get(host).is_some_and(|addresses| addresses.iter().any(|address| address.ip() == from.ip()))
    }

    /// The member that has this address; or the only one that has it with whatever port, which may be translated on the way.
    fn whose(&self, from: SocketAddr) -> Option<&HostName> {
        let exact = self.resolved.iter().find(|(_, addresses)| addresses.contains(&from));
        let mut near = self.resolved.keys().filter(|host| self.is_at(host, from));
        exact.map(|(host, _)| host).or_else(|| near.next().filter(|_| near.next().is_none()))
    }

    async fn send(&mut self, letter: &Letter) {
        let Transmit { to, message } = &letter.transmit;
        let known = self.resolved.get(to).cloned().unwrap_or_default();
        let (Ok(keys), Ok(plain)) = (self.keys.current(), message.encode()) else {
            return self.metrics.reject_datagram("unsent");
        };
        for address in destinations(known, letter.spoken_from, letter.answers) {
            let mut random = [0; RANDOM_LENGTH];
            if self.random.fill(&mut random).is_err() {
                return self.metrics.reject_datagram("unsent");
            }
            let datagram = seal(&keys, &self.cluster, to.as_str(), &plain, random);
            match self.socket.send_to(&datagram, self.reachable(address)).await {
                Ok(length) => self.metrics.count_datagram("sent", length),
                Err(error) => {
                    debug!("nothing was sent to host {to} at {address}: {error}");
                    self.metrics.reject_datagram("unsent");
                }
            }
        }
    }

    /// The address as this socket takes it: one for both families takes IPv4 in its mapped form (RFC 4291, section 2.5.5.2).
    fn reachable(&self, address: SocketAddr) -> SocketAddr {
        let is_ipv6 = self.socket.local_addr().is_ok_and(|own| own.is_ipv6());
        match address.ip() {
            IpAddr::V4(ip) if is_ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            _ => address,
        }
    }

    fn look_up(&self, lookups: &mut JoinSet<Resolved>) {
        // A resolver that does not answer is not asked again beside it.
        if !lookups.is_empty() {
            return;
        }
        for (host, address) in &self.configured {
            let PeerAddress::Name(name, port) = address else { continue };
            let (names, host, name, port) = (self.names.clone(), host.clone(), name.clone(), *port);
            lookups.spawn(async move {
                let found = names.addresses(&name).await;
                let found =
                    found.map(|found| found.into_iter().map(|address| SocketAddr::new(address, port)).collect());
                (host, name, found)
            });
        }
    }

    /// Takes what a name was resolved to. One that cannot be resolved now leads where it led before.
    fn resolve(&mut self, (host, name, found): Resolved, driver: &Handle) {
        let why = match found {
            Ok(found) => {
                self.resolved.insert(host, found);
                return;
            }
            Err(_) if self.resolved.contains_key(&host) => {
                return debug!("the name {name} of host {host} cannot be resolved now");
            }
            Err(error) => format!("the name {name} of host {host} cannot be resolved: {}", error_chain(&error)),
        };
        // Where the driver is stuck, that is told.
        let _ = driver.complain(host, PeerMismatch::Unresolved { error: why });
    }
}

/// Where to send what is for a host. While it answers from one of its addresses, through the others it would only get
/// everything twice.
fn destinations(
    known: BTreeSet<SocketAddr>,
    spoken_from: Option<SocketAddr>,
    answers: bool,
) -> impl Iterator<Item = SocketAddr> {
    let only = spoken_from.filter(|at| answers && known.contains(at));
    known
        .into_iter()
        .chain(spoken_from)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(move |at| only.is_none_or(|it| it == *at))
}

/// A socket for both families where the address is IPv6's unspecified one.
fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_answers_from_one_of_its_addresses_gets_everything_there_alone() {
        let at = |n: u8| SocketAddr::from(([192, 0, 2, n], 7946));
        let to = |spoken_from, answers| {
            destinations([at(1), at(2)].into(), spoken_from, answers).map(|it| it.ip().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(to(None, false), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(to(Some(at(2)), true), ["192.0.2.2"]);
        assert_eq!(to(Some(at(2)), false), ["192.0.2.1", "192.0.2.2"], "it no longer does");
        assert_eq!(to(Some(at(9)), true), ["192.0.2.1", "192.0.2.2", "192.0.2.9"], "it has moved");
    }
}
