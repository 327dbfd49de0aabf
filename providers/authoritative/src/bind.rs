//! Binds the UDP sockets and the TCP socket of each address, all at the same port.
//!
//! Sockets that another process has bound already ([`InheritedSockets`]) are used as they are. The module does not know what is
//! served on the sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tracing::warn;

use crate::counters::DnsTransport;
use crate::zone::ZoneErrors;

/// The number of connections that the kernel queues until they are accepted.
const LISTEN_BACKLOG: i32 = 1024;
/// The size of the queue of received datagrams in bytes. It covers a pause of a worker: some thousand queries.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// The number of free UDP ports to try until one is free for TCP too.
const MAX_PORT_ATTEMPTS: usize = 16;

/// An error that keeps the server from starting. The operator can resolve each of them.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The zones cannot be served. No socket was bound.
    #[error(transparent)]
    Zones(#[from] ZoneErrors),
    /// Sockets cannot be bound. The list has every socket that failed.
    #[error("{}", join(.0))]
    Sockets(Vec<SocketError>),
}

/// An error of binding one socket. The message includes the cause, because messages are joined into a list.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process listens on the address.
    #[error("cannot listen on {address} by {transport}: the address is in use; a free one is needed")]
    AddressInUse {
        /// The address to listen on.
        address: SocketAddr,
        /// The transport to listen by.
        transport: DnsTransport,
    },
    /// The process lacks the permission to bind the port.
    #[error(
        "cannot listen on {address} by {transport}: this process may not bind port {}; run it as root or give it \
         CAP_NET_BIND_SERVICE",
        .address.port()
    )]
    PermissionDenied {
        /// The address to listen on.
        address: SocketAddr,
        /// The transport to listen by.
        transport: DnsTransport,
    },
    /// No interface of this host has the address.
    #[error(
        "cannot listen on {address} by {transport}: this host does not have the address; one of its own is needed, or `freebind: true` beside `listen`, which listens before the host has it"
    )]
    AddressNotAvailable {
        /// The address to listen on.
        address: SocketAddr,
        /// The transport to listen by.
        transport: DnsTransport,
    },
    /// The kernel lacks the address family.
    #[error("cannot listen on {address} by {transport}: this host has no {}", if .address.is_ipv6() { "IPv6" } else { "IPv4" })]
    FamilyNotSupported {
        /// The address to listen on.
        address: SocketAddr,
        /// The transport to listen by.
        transport: DnsTransport,
    },
    /// Any other error of the kernel.
    #[error("cannot listen on {address} by {transport}: {cause}")]
    Other {
        /// The address to listen on.
        address: SocketAddr,
        /// The transport to listen by.
        transport: DnsTransport,
        /// The kernel's error.
        cause: io::Error,
    },
}

impl SocketError {
    /// The address that the socket was to listen on.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::AddressInUse { address, .. }
            | Self::PermissionDenied { address, .. }
            | Self::AddressNotAvailable { address, .. }
            | Self::FamilyNotSupported { address, .. }
            | Self::Other { address, .. } => *address,
        }
    }

    /// The error of binding a socket, by the kernel's error.
    pub fn new(address: SocketAddr, transport: DnsTransport, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { address, transport },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { address, transport },
            io::ErrorKind::AddrNotAvailable => Self::AddressNotAvailable { address, transport },
            _ if cause.raw_os_error() == Some(libc::EAFNOSUPPORT) => Self::FamilyNotSupported { address, transport },
            _ => Self::Other { address, transport, cause },
        }
    }
}

fn join(errors: &[SocketError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Sockets that another process has bound: the service manager, or a Daymark whose place this one takes.
///
/// A server that is to listen on the address of such a socket takes it, in place of one of its own.
#[derive(Debug, Default)]
pub struct InheritedSockets {
    /// UDP sockets.
    pub udp: Vec<UdpSocket>,
    /// Listening TCP sockets.
    pub tcp: Vec<TcpListener>,
}

/// The address of a socket, with its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// The local address.
    pub address: SocketAddr,
    /// The transport.
    pub transport: DnsTransport,
}

impl InheritedSockets {
    /// The address of each socket.
    pub fn addresses(&self) -> impl Iterator<Item = ListenAddress> {
        let udp = self.udp.iter().filter_map(|socket| {
            Some(ListenAddress { address: socket.local_addr().ok()?, transport: DnsTransport::Udp })
        });
        udp.chain(self.tcp.iter().filter_map(|listener| {
            Some(ListenAddress { address: listener.local_addr().ok()?, transport: DnsTransport::Tcp })
        }))
    }

    /// Takes all sockets of another bag.
    pub fn append(&mut self, other: &mut Self) {
        self.udp.append(&mut other.udp);
        self.tcp.append(&mut other.tcp);
    }

    /// Takes every UDP socket of an address: among several the kernel spreads the clients, so each has to be read.
    pub fn take_udp(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        self.udp.extract_if(.., |socket| socket.local_addr().is_ok_and(|bound| bound == address)).collect()
    }

    /// Takes the TCP socket of an address.
    pub fn take_tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        self.tcp.extract_if(.., |listener| listener.local_addr().is_ok_and(|bound| bound == address)).next()
    }
}

/// The way to bind sockets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    /// Also on addresses that the host does not have yet.
    pub(crate) freebind: bool,
    /// The number of UDP sockets of each address.
    pub(crate) udp_workers: NonZeroUsize,
}

/// The sockets of one address.
#[derive(Debug)]
pub(crate) struct BoundSockets {
    pub(crate) address: SocketAddr,
    /// One for each worker. Inherited ones may be fewer or more.
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: TcpListener,
}

/// Binds every address for which no socket was inherited. Returns every error, not only the first.
///
/// An address whose family the host lacks is skipped with a warning if another address can be bound. So one configuration that
/// listens on `0.0.0.0` and `[::]` works on every host.
pub(crate) fn bind_all(
    addresses: &[SocketAddr],
    how: Binding,
    inherited: &mut InheritedSockets,
) -> Result<Vec<BoundSockets>, BindError> {
    let mut bound = Vec::new();
    let mut errors = Vec::new();
    for &address in addresses {
        match bind_pair(address, how, inherited) {
            Ok(sockets) => bound.push(sockets),
            Err(more) => errors.extend(more),
        }
    }
    if errors.iter().any(|error| bound.is_empty() || !matches!(error, SocketError::FamilyNotSupported { .. })) {
        return Err(BindError::Sockets(errors));
    }
    errors.dedup_by_key(|error| error.address());
    for error in &errors {
        warn!("{error}; the address is left out");
    }
    Ok(bound)
}

fn bind_pair(
    address: SocketAddr,
    how: Binding,
    inherited: &mut InheritedSockets,
) -> Result<BoundSockets, Vec<SocketError>> {
    let mut attempts = if address.port() == 0 { MAX_PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let udp = bind_udp(address, how, inherited.take_udp(address));
        // For port 0 the kernel has chosen a UDP port. TCP uses the same.
        let bound = udp.as_ref().ok().and_then(|udp| udp.first()?.local_addr().ok());
        let address = bound.unwrap_or(address);
        match (udp, bind_tcp(address, how.freebind, inherited.take_tcp(address))) {
            (Ok(udp), Ok(tcp)) => return Ok(BoundSockets { address, udp, tcp }),
            (Ok(_), Err(SocketError::AddressInUse { .. })) if attempts > 0 => {}
            (udp, tcp) => return Err(udp.err().into_iter().chain(tcp.err()).collect()),
        }
    }
}

/// Binds a socket for each worker, if none was inherited.
fn bind_udp(address: SocketAddr, how: Binding, inherited: Vec<UdpSocket>) -> Result<Vec<UdpSocket>, SocketError> {
    let bound = if inherited.is_empty() { bind_udp_group(address, how) } else { Ok(inherited) };
    let prepared =
        bound.and_then(|sockets| sockets.iter().try_for_each(|socket| prepare_udp(socket, address)).map(|()| sockets));
    prepared.map_err(|cause| SocketError::new(address, DnsTransport::Udp, cause))
}

/// Binds sockets among which the kernel spreads the clients (`SO_REUSEPORT` in `socket(7)`).
fn bind_udp_group(address: SocketAddr, how: Binding) -> io::Result<Vec<UdpSocket>> {
    // Other sockets that share the port would go unnoticed, so one that does not share it is bound first.
    let alone = new_socket(address, how.freebind, Type::DGRAM, Protocol::UDP)?;
    alone.bind(&address.into())?;
    let address = UdpSocket::from(alone).local_addr()?;
    let bind_one = |_| {
        let socket = new_socket(address, how.freebind, Type::DGRAM, Protocol::UDP)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    };
    (0..how.udp_workers.get()).map(bind_one).collect()
}

/// Sets the options of a socket, bound or not.
fn prepare_udp(socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // The kernel gives less if its own limit is less (`rmem_max` in `socket(7)`), so a longer queue that is inherited stays.
    let reference = SockRef::from(socket);
    if reference.recv_buffer_size()? < RECEIVE_BUFFER_BYTES {
        reference.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    }
    // If the socket has several local addresses, every datagram carries the one that it was sent to, also if it is queued already.
    let is_wildcard = address.ip().is_unspecified();
    // Forged errors of a path must not make the kernel refuse responses, which no path of the Internet has to fragment (RFC 9715).
    if address.is_ipv6() {
        setsockopt(socket, Ipv6RecvPacketInfo, &is_wildcard)?;
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::OMIT)?;
    } else {
        setsockopt(socket, Ipv4PacketInfo, &is_wildcard)?;
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::OMIT)?;
    }
    Ok(())
}

fn bind_tcp(address: SocketAddr, freebind: bool, inherited: Option<TcpListener>) -> Result<TcpListener, SocketError> {
    let bound = match inherited {
        Some(listener) => listener.set_nonblocking(true).map(|()| listener),
        None => listen(address, freebind),
    };
    bound.map_err(|cause| SocketError::new(address, DnsTransport::Tcp, cause))
}

fn listen(address: SocketAddr, freebind: bool) -> io::Result<TcpListener> {
    let socket = new_socket(address, freebind, Type::STREAM, Protocol::TCP)?;
    // Connections of an earlier process in TIME_WAIT must not keep this one from starting.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

fn new_socket(address: SocketAddr, freebind: bool, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // Lets [::] and 0.0.0.0 share a port.
        socket.set_only_v6(true)?;
    }
    if freebind {
        allow_missing_address(&socket, address)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Lets a socket be bound to an address that the host does not have yet (`IP_FREEBIND` in `ip(7)`).
pub fn allow_missing_address(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() { socket.set_freebind_v6(true) } else { socket.set_freebind_v4(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_port_is_reported_with_the_permission_that_is_needed() {
        let address = "[::]:53".parse().unwrap();
        let error = SocketError::new(address, DnsTransport::Udp, io::ErrorKind::PermissionDenied.into());
        assert_eq!(
            error.to_string(),
            "cannot listen on [::]:53 by udp: this process may not bind port 53; run it as root or give it \
             CAP_NET_BIND_SERVICE"
        );
    }

    #[test]
    fn a_missing_address_family_is_named() {
        let cause = io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
        let error = SocketError::new("[::]:53".parse().unwrap(), DnsTransport::Tcp, cause);
        assert_eq!(error.to_string(), "cannot listen on [::]:53 by tcp: this host has no IPv6");
    }
}
