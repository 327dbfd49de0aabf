//! The UDP socket between hosts: it seals and sends messages, and receives and opens them.
//!
//! It knows addresses and keys, and nothing of the content of messages. It counts and drops a datagram that does not open, and
//! never answers one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use daymark_api::PeerMismatch;
use daymark_authoritative::{InheritedSockets, SocketError, allow_missing_address};
use daymark_config::{PeerAddress, PeersConfig};
use daymark_decision::HostName;
use daymark_gossip::{KeyRing, MAX_MESSAGE_BYTES, Message, OVERHEAD, OpenError, RANDOM_LENGTH, Transmit, open, seal};
use daymark_resolver::{ResolveError, SystemResolver};
use ring::rand::{SecureRandom, SystemRandom};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::addresses::ResolvedPeers;
use super::channels::{OutboundMessage, PeerInput, TransportChannels};
use super::keyfile::{self, KeyFile};
use crate::metrics::Metrics;
use crate::os::sockets;
use crate::watchdog::WatchdogHandle;
use daymark_files::error_chain;

/// The time between two looks at the key file. Datagrams cause none: anyone can send them.
const KEYS_INTERVAL: Duration = Duration::from_secs(1);
/// The time between two resolutions of the hosts' names.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(15);
/// The least time between two reports of the same mismatch of a member, so that forged datagrams do not keep the driver busy.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The most bytes of a datagram. A longer one is cut when it is read, and does not open.
const MAX_DATAGRAM_BYTES: usize = MAX_MESSAGE_BYTES + OVERHEAD;
/// The time without a heartbeat of its task after which the transport counts as stuck. Each host sends twice a second.
pub const TRANSPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The socket of this host to the other hosts.
#[derive(Debug)]
pub struct Transport {
    socket: UdpSocket,
    keys: Arc<KeyFile>,
    own: HostName,
    own_address: Option<PeerAddress>,
    cluster: String,
    /// The other hosts' addresses as configured.
    configured: BTreeMap<HostName, PeerAddress>,
    /// The other hosts' addresses after resolution.
    resolved: BTreeMap<HostName, BTreeSet<SocketAddr>>,
    /// Those of them that came from names.
    by_name: watch::Sender<ResolvedPeers>,
    last_reports: BTreeMap<ReportKey, Instant>,
    resolver: SystemResolver,
    random: SystemRandom,
    metrics: Metrics,
}

/// A member and the label of a mismatch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ReportKey {
    host: HostName,
    label: &'static str,
}

/// The addresses to which the name of a host was resolved.
struct PeerResolution {
    host: HostName,
    name: String,
    addresses: Result<BTreeSet<SocketAddr>, ResolveError>,
}

/// A datagram that is dropped: the label of the metric that counts it, and the mismatch that it shows.
struct Dropped {
    label: &'static str,
    mismatch: PeerMismatch,
}

impl Transport {
    /// Binds the socket, unless it is inherited, and reads the keys. Without usable keys it exchanges nothing until they can be used.
    pub fn bind(config: &PeersConfig, inherited: &mut InheritedSockets, metrics: Metrics) -> Result<Self, SocketError> {
        let keys = Arc::new(keyfile::watch(&config.key_file));
        if let Err(error) = keys.current() {
            warn!(
                "this host exchanges nothing with the other hosts, until its keys can be used: {}",
                error_chain(&error)
            );
        }
        let address = config.listen;
        let socket = sockets::bind_dual_stack(address, |address| match inherited.take_udp(address).pop() {
            Some(socket) => socket.set_nonblocking(true).and_then(|()| UdpSocket::from_std(socket)),
            None => bind(address, config.freebind),
        })
        .map_err(|error| SocketError::new(address, daymark_authoritative::DnsTransport::Udp, error))?;
        let others = config.addresses.iter().filter(|(host, _)| **host != config.membership.own);
        let fixed = others.clone().filter_map(|(host, address)| match address {
            PeerAddress::Ip(address) => Some((host.clone(), [*address].into())),
            PeerAddress::Name { .. } => None,
        });
        Ok(Self {
            socket,
            keys,
            own: config.membership.own.clone(),
            own_address: config.addresses.get(&config.membership.own).cloned(),
            cluster: config.cluster.clone(),
            resolved: fixed.collect(),
            by_name: watch::Sender::default(),
            configured: others.map(|(host, address)| (host.clone(), address.clone())).collect(),
            last_reports: BTreeMap::new(),
            resolver: SystemResolver::new(),
            random: SystemRandom::new(),
            metrics,
        })
    }

    /// Takes over addresses of an earlier run. They count until the names resolve again.
    pub fn remember(&mut self, known: &ResolvedPeers) {
        for (host, addresses) in &known.0 {
            if let Some(PeerAddress::Name { port, .. }) = self.configured.get(host) {
                let fitting = addresses.iter().filter(|address| address.port() == *port).copied().collect();
                self.take_over(host.clone(), fitting);
            }
        }
    }

    /// The addresses to which names resolved. They follow the transport.
    pub fn addresses(&self) -> watch::Receiver<ResolvedPeers> {
        self.by_name.subscribe()
    }

    fn take_over(&mut self, host: HostName, addresses: BTreeSet<SocketAddr>) {
        if addresses.is_empty() {
            return;
        }
        self.by_name
            .send_if_modified(|known| known.0.insert(host.clone(), addresses.clone()).as_ref() != Some(&addresses));
        self.resolved.insert(host, addresses);
    }

    /// The file of the gossip keys.
    pub fn key_file(&self) -> Arc<KeyFile> {
        Arc::clone(&self.keys)
    }

    /// The address of the socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A clone of the socket.
    pub fn clone_socket(&self) -> io::Result<std::net::UdpSocket> {
        Ok(self.socket.as_fd().try_clone_to_owned()?.into())
    }

    /// Sends the messages from the driver, and passes received ones to it, until `stop` is cancelled or the driver ends.
    pub async fn run(mut self, channels: TransportChannels, watchdog: WatchdogHandle, stop: CancellationToken) {
        let TransportChannels { inbound, mut outbound } = channels;
        let mut buffer = [0; MAX_DATAGRAM_BYTES + 1];
        let mut lookups: JoinSet<PeerResolution> = JoinSet::new();
        let mut resolve = tokio::time::interval(RESOLVE_INTERVAL);
        let mut look_at_keys = tokio::time::interval(KEYS_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.receive(&buffer[..length], from, &inbound),
                    // For example, an earlier datagram was not delivered (ICMP). The socket still works.
                    Err(error) => debug!("gossip: receiving a datagram failed: {error}"),
                },
                message = outbound.recv() => match message {
                    Some(message) => self.send(&message).await,
                    None => return,
                },
                // The last good keys stay if there are no others.
                _ = look_at_keys.tick() => drop(self.keys.current()),
                _ = resolve.tick() => self.resolve_names(&mut lookups),
                Some(resolution) = lookups.join_next() => if let Ok(resolution) = resolution {
                    self.apply_resolution(resolution, &inbound);
                },
            }
            watchdog.heartbeat();
        }
    }

    fn receive(&mut self, datagram: &[u8], from: SocketAddr, driver: &mpsc::Sender<PeerInput>) {
        self.metrics.count_datagram("received", datagram.len());
        let Some(keys) = self.keys.latest() else { return };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        match self.open(&keys, datagram) {
            Ok(message) => {
                self.report_mismatch(from, PeerMismatch::Name { name: message.from.clone() }, driver);
                if driver.try_send(PeerInput::Message { message: Box::new(message), from }).is_err() {
                    self.metrics.reject_datagram("busy");
                }
            }
            Err(Dropped { label, mismatch }) => {
                self.metrics.reject_datagram(label);
                self.report_mismatch(from, mismatch, driver);
            }
        }
    }

    fn open(&self, keys: &KeyRing, datagram: &[u8]) -> Result<Message, Dropped> {
        let plaintext = open(keys, &self.cluster, self.own.as_str(), datagram).map_err(|error| {
            let mismatch = match error {
                OpenError::UnknownKey(_) => PeerMismatch::Key,
                OpenError::Forged => PeerMismatch::Addressee,
                OpenError::TooShort(_) | OpenError::UnknownVersion(_) => PeerMismatch::Version,
            };
            Dropped { label: error.label(), mismatch }
        })?;
        Message::decode(&plaintext).map_err(|_| Dropped { label: "undecodable", mismatch: PeerMismatch::Version })
    }

    /// Reports a mismatch that a datagram shows, if the datagram came from the address of a member.
    fn report_mismatch(&mut self, from: SocketAddr, mismatch: PeerMismatch, driver: &mpsc::Sender<PeerInput>) {
        let is_own = matches!(self.own_address, Some(PeerAddress::Ip(own)) if own == from);
        let (host, mismatch) = match (self.member_at(from), &mismatch) {
            _ if is_own => (&self.own, PeerMismatch::IdentityConflict),
            // A datagram from its sender's own address has the right name.
            (_, PeerMismatch::Name { name }) if self.has_ip(name, from) => return,
            (Some(host), _) => (host, mismatch),
            (None, _) => return,
        };
        let key = ReportKey { host: host.clone(), label: mismatch.label() };
        if self.last_reports.get(&key).is_some_and(|at| at.elapsed() < REPORT_INTERVAL) {
            return;
        }
        // The report is lost if the driver is stuck, which the watchdog reports.
        let _ = driver.try_send(PeerInput::Mismatch { host: key.host.clone(), mismatch });
        self.last_reports.insert(key, Instant::now());
    }

    fn has_ip(&self, host: &HostName, address: SocketAddr) -> bool {
        let addresses = self.resolved.get(host);
        addresses.is_some_and(|addresses| addresses.iter().any(|resolved| resolved.ip() == address.ip()))
    }

    /// The member with this address. If there is none, the only member with this IP address: a NAT may change the port.
    fn member_at(&self, address: SocketAddr) -> Option<&HostName> {
        if let Some((host, _)) = self.resolved.iter().find(|(_, addresses)| addresses.contains(&address)) {
            return Some(host);
        }
        let mut with_ip = self.resolved.keys().filter(|host| self.has_ip(host, address));
        with_ip.next().filter(|_| with_ip.next().is_none())
    }

    async fn send(&mut self, outbound: &OutboundMessage) {
        let Transmit { to, message } = &outbound.transmit;
        let resolved = self.resolved.get(to).cloned().unwrap_or_default();
        let (Some(keys), Ok(plaintext)) = (self.keys.latest(), message.encode()) else {
            return self.metrics.reject_datagram("unsent");
        };
        for address in destinations(resolved, outbound.last_source, outbound.is_answering) {
            let mut random = [0; RANDOM_LENGTH];
            if self.random.fill(&mut random).is_err() {
                return self.metrics.reject_datagram("unsent");
            }
            let datagram = seal(&keys, &self.cluster, to.as_str(), &plaintext, random);
            match self.socket.send_to(&datagram, self.socket_address(address)).await {
                Ok(length) => self.metrics.count_datagram("sent", length),
                Err(error) => {
                    debug!("gossip: sending to host {to} at {address} failed: {error}");
                    self.metrics.reject_datagram("unsent");
                }
            }
        }
    }

    /// The form of an address that this socket takes. An IPv6 socket takes an IPv4 address in its mapped form (RFC 4291,
    /// section 2.5.5.2).
    fn socket_address(&self, address: SocketAddr) -> SocketAddr {
        let is_ipv6 = self.socket.local_addr().is_ok_and(|own| own.is_ipv6());
        match address.ip() {
            IpAddr::V4(ip) if is_ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            _ => address,
        }
    }

    fn resolve_names(&self, lookups: &mut JoinSet<PeerResolution>) {
        // A resolver that does not answer gets no further questions meanwhile.
        if !lookups.is_empty() {
            return;
        }
        for (host, address) in &self.configured {
            let PeerAddress::Name { host: name, port } = address else { continue };
            let resolver = self.resolver.clone();
            let host = host.clone();
            let name = name.clone();
            let port = *port;
            lookups.spawn(async move {
                let found = resolver.addresses(&name).await;
                let addresses = found.map(|ips| ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
                PeerResolution { host, name, addresses }
            });
        }
    }

    /// Takes over the addresses of a host. If its name cannot be resolved now, the addresses from before stay.
    fn apply_resolution(
        &mut self,
        PeerResolution { host, name, addresses }: PeerResolution,
        driver: &mpsc::Sender<PeerInput>,
    ) {
        let message = match addresses {
            Ok(addresses) => {
                return self.take_over(host, addresses);
            }
            Err(_) if self.resolved.contains_key(&host) => {
                return debug!("host {host}: {name} does not resolve now");
            }
            Err(error) => error_chain(&error),
        };
        // The report is lost if the driver is stuck, which the watchdog reports.
        let mismatch = PeerMismatch::Unresolved { error: message };
        let _ = driver.try_send(PeerInput::Mismatch { host, mismatch });
    }
}

/// The addresses to which a message is sent: all resolved ones, and the one from which the host sent last.
///
/// While the host answers over one of its resolved addresses, the message goes there alone. Over the others, it would only
/// arrive twice.
fn destinations(
    resolved: BTreeSet<SocketAddr>,
    last_source: Option<SocketAddr>,
    is_answering: bool,
) -> BTreeSet<SocketAddr> {
    match last_source {
        Some(source) if is_answering && resolved.contains(&source) => [source].into(),
        _ => resolved.into_iter().chain(last_source).collect(),
    }
}

/// Binds a socket. One on the unspecified address of IPv6 is dual stack: it takes IPv4 too.
fn bind(address: SocketAddr, freebind: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if freebind {
        allow_missing_address(&socket, address)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_answers_over_one_of_its_addresses_gets_messages_there_alone() {
        let at = |n: u8| SocketAddr::from(([192, 0, 2, n], 7946));
        let resolved = || BTreeSet::from([at(1), at(2)]);
        assert_eq!(destinations(resolved(), None, false), resolved());
        assert_eq!(destinations(resolved(), Some(at(2)), true), [at(2)].into());
        assert_eq!(destinations(resolved(), Some(at(2)), false), resolved(), "it does not answer any more");
        assert_eq!(destinations(resolved(), Some(at(9)), true), [at(1), at(2), at(9)].into(), "it has moved");
    }

    #[tokio::test]
    async fn addresses_of_an_earlier_run_count_until_the_name_resolves_again() {
        let text = "pools: [{name: lb.example.org, nodes: [{name: a, addresses: [192.0.2.1]}], probe: {insecure: true}}]\n\
                    providers: [{type: authoritative, nameservers: [{name: ns1.example.net}]}]\n\
                    peers: {self: one, listen: \"127.0.0.1:0\", keyFile: none, members: [{name: one, address: \"127.0.0.1:7946\"}, \
                    {name: two, address: \"two.invalid:7946\"}, {name: three, address: \"127.0.0.3:7946\"}]}\n";
        let config =
            daymark_config::Config::parse_former(text, std::path::Path::new("daymark.yaml"), None, true).unwrap();
        let mut transport =
            Transport::bind(&config.peers.unwrap(), &mut InheritedSockets::default(), Metrics::default()).unwrap();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let host = |name: &str| HostName::new(name).unwrap();
        let known = [
            (host("two"), [at("192.0.2.2:7946"), at("192.0.2.2:9999")].into()),
            (host("three"), [at("192.0.2.3:7946")].into()),
            (host("four"), [at("192.0.2.4:7946")].into()),
        ];
        transport.remember(&ResolvedPeers(known.into()));
        assert_eq!(transport.resolved[&host("two")], [at("192.0.2.2:7946")].into(), "of the port that is configured");
        assert_eq!(transport.resolved[&host("three")], [at("127.0.0.3:7946")].into(), "it has an address");
        assert_eq!(transport.resolved.get(&host("four")), None, "it is no member");

        let (driver, _reports) = mpsc::channel(1);
        let resolution = |addresses: &[&str]| PeerResolution {
            host: host("two"),
            name: "two.invalid".to_owned(),
            addresses: Ok(addresses.iter().map(|address| at(address)).collect()),
        };
        transport.apply_resolution(resolution(&["192.0.2.22:7946"]), &driver);
        assert_eq!(transport.resolved[&host("two")], [at("192.0.2.22:7946")].into());
        assert_eq!(transport.addresses().borrow().0[&host("two")], [at("192.0.2.22:7946")].into(), "to be saved");
    }
}
