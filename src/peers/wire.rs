//! The datagrams between hosts: sealed and sent, received and opened. It knows addresses and keys, and nothing of what is said.
//!
//! What cannot be opened is counted and dropped, and never answered.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use daymark_decision::HostName;
use daymark_gossip::{KeyRing, Message, OVERHEAD, RANDOM_LENGTH, Transmit, open, seal};
use ring::rand::{SecureRandom, SystemRandom};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::keyfile::{KeyFile, KeyFileError};
use crate::config::{PeerAddress, PeersConfig};
use crate::driver::{Handle, Letter};
use crate::metrics::Metrics;
use crate::watchdog::Heart;

/// How often the names of hosts are resolved again.
const RESOLVE: Duration = Duration::from_secs(15);
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
    cluster: String,
    configured: BTreeMap<HostName, PeerAddress>,
    /// What the names were resolved to.
    resolved: BTreeMap<HostName, BTreeSet<SocketAddr>>,
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

type Resolved = (HostName, String, io::Result<BTreeSet<SocketAddr>>);

impl Wire {
    /// Binds the socket and reads the keys.
    pub fn bind(config: &PeersConfig, metrics: Metrics) -> Result<Self, WireError> {
        let keys = KeyFile::new(&config.key_file);
        keys.current()?;
        let address = config.listen;
        let socket = bind(address).map_err(|source| WireError::Bind { address, source })?;
        let others = config.addresses.iter().filter(|(host, _)| **host != config.membership.own);
        let fixed = others.clone().filter_map(|(host, address)| match address {
            PeerAddress::Ip(address) => Some((host.clone(), [*address].into())),
            PeerAddress::Name(..) => None,
        });
        Ok(Self {
            socket,
            keys,
            own: config.membership.own.clone(),
            cluster: config.cluster.clone(),
            resolved: fixed.collect(),
            configured: others.map(|(host, address)| (host.clone(), address.clone())).collect(),
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
        heart: Heart,
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
                Some(found) = lookups.join_next() => if let Ok(found) = found { self.resolve(found) },
            }
            heart.beat();
        }
    }

    fn receive(&mut self, datagram: &[u8], from: SocketAddr, driver: &Handle) {
        self.metrics.count_datagram("received", datagram.len());
        let Ok(keys) = self.keys.current() else { return };
        let message = match self.opened(&keys, datagram) {
            Ok(message) => message,
            Err(reason) => return self.metrics.refuse_datagram(reason),
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if driver.hear(message, from).is_err() {
            self.metrics.refuse_datagram("busy");
        }
    }

    fn opened(&self, keys: &KeyRing, datagram: &[u8]) -> Result<Message, &'static str> {
        let plain = open(keys, &self.cluster, self.own.as_str(), datagram).map_err(|unsealed| unsealed.label())?;
        Message::decode(&plain).map_err(|_| "no-message")
    }

    async fn send(&mut self, letter: &Letter) {
        let Transmit { to, message } = &letter.transmit;
        let (Ok(keys), Ok(plain)) = (self.keys.current(), message.encode()) else {
            return self.metrics.refuse_datagram("unsent");
        };
        let addresses: BTreeSet<SocketAddr> =
            self.resolved.get(to).into_iter().flatten().copied().chain(letter.also_to).collect();
        for address in addresses {
            let mut random = [0; RANDOM_LENGTH];
            if self.random.fill(&mut random).is_err() {
                return self.metrics.refuse_datagram("unsent");
            }
            let datagram = seal(&keys, &self.cluster, to.as_str(), &plain, random);
            match self.socket.send_to(&datagram, self.reachable(address)).await {
                Ok(length) => self.metrics.count_datagram("sent", length),
                Err(error) => {
                    debug!("nothing was sent to host {to} at {address}: {error}");
                    self.metrics.refuse_datagram("unsent");
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
            let (host, name, port) = (host.clone(), name.clone(), *port);
            lookups.spawn(async move {
                let found = lookup_host((name.as_str(), port)).await.map(BTreeSet::from_iter);
                (host, name, found)
            });
        }
    }

    /// Takes what a name was resolved to. One that cannot be resolved now leads where it led before.
    fn resolve(&mut self, (host, name, found): Resolved) {
        match found {
            Ok(found) if !found.is_empty() => {
                self.resolved.insert(host, found);
            }
            _ if self.resolved.contains_key(&host) => debug!("the name {name} of host {host} cannot be resolved now"),
            Ok(_) => warn!("the name {name} of host {host} has no address"),
            Err(error) => warn!("the name {name} of host {host} cannot be resolved: {error}"),
        }
    }
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
