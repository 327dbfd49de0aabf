//! Binds sockets: each address by UDP and TCP at one port. Those that are bound already are taken as they are.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use quinn_udp::UdpSocketState;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use crate::counts::Transport;
use crate::zone::ZoneErrors;

/// How many connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;
/// How many free UDP ports are tried for one that is free by TCP too.
const PORT_TRIES: usize = 16;

/// Why the server does not start. All of it is for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The zones cannot be served; no socket was touched.
    #[error(transparent)]
    Zones(#[from] ZoneErrors),
    /// Sockets cannot be bound: every one that cannot.
    #[error("{}", join(.0))]
    Sockets(Vec<SocketError>),
}

/// Why a socket cannot be bound. It says its cause itself, since it stands in a list.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Something listens there.
    #[error("cannot listen on {address} by {transport}: the address is in use; a free one is needed")]
    InUse {
        /// Where.
        address: SocketAddr,
        /// By which transport.
        transport: Transport,
    },
    /// The process may not.
    #[error(
        "cannot listen on {address} by {transport}: no right to bind port {}: run as root or give CAP_NET_BIND_SERVICE",
        .address.port()
    )]
    NotAllowed {
        /// Where.
        address: SocketAddr,
        /// By which transport.
        transport: Transport,
    },
    /// No interface has the address.
    #[error("cannot listen on {address} by {transport}: this host does not have the address; one of its own is needed")]
    NotHere {
        /// Where.
        address: SocketAddr,
        /// By which transport.
        transport: Transport,
    },
    /// The kernel has nothing of the kind.
    #[error("cannot listen on {address} by {transport}: this host has no {}", if .address.is_ipv6() { "IPv6" } else { "IPv4" })]
    NoFamily {
        /// Where.
        address: SocketAddr,
        /// By which transport.
        transport: Transport,
    },
    /// Something else.
    #[error("cannot listen on {address} by {transport}: {cause}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// By which transport.
        transport: Transport,
        /// What the kernel says.
        cause: io::Error,
    },
}

impl SocketError {
    /// Where the socket was to listen.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::InUse { address, .. }
            | Self::NotAllowed { address, .. }
            | Self::NotHere { address, .. }
            | Self::NoFamily { address, .. }
            | Self::Other { address, .. } => *address,
        }
    }

    fn new(address: SocketAddr, transport: Transport, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address, transport },
            io::ErrorKind::PermissionDenied => Self::NotAllowed { address, transport },
            io::ErrorKind::AddrNotAvailable => Self::NotHere { address, transport },
            _ if cause.raw_os_error() == Some(libc::EAFNOSUPPORT) => Self::NoFamily { address, transport },
            _ => Self::Other { address, transport, cause },
        }
    }
}

fn join(errors: &[SocketError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Sockets that are bound already, by whoever has started this process. Each serves the address to listen on that it has.
#[derive(Debug, Default)]
pub struct Given {
    /// Those for datagrams.
    pub udp: Vec<UdpSocket>,
    /// Those that listen for connections.
    pub tcp: Vec<TcpListener>,
}

impl Given {
    /// Where each is bound, and by which transport.
    pub fn places(&self) -> impl Iterator<Item = (SocketAddr, Transport)> {
        let udp = self.udp.iter().filter_map(|it| Some((it.local_addr().ok()?, Transport::Udp)));
        udp.chain(self.tcp.iter().filter_map(|it| Some((it.local_addr().ok()?, Transport::Tcp))))
    }

    fn take_udp(&mut self, address: SocketAddr) -> Option<UdpSocket> {
        self.udp.extract_if(.., |it| it.local_addr().is_ok_and(|at| at == address)).next()
    }

    fn take_tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        self.tcp.extract_if(.., |it| it.local_addr().is_ok_and(|at| at == address)).next()
    }
}

/// The two sockets of one address.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) address: SocketAddr,
    pub(crate) udp: Udp,
    pub(crate) tcp: TcpListener,
}

/// A UDP socket, and what it takes to learn and to set the local address of each datagram.
#[derive(Debug)]
pub(crate) struct Udp {
    pub(crate) socket: UdpSocket,
    pub(crate) state: Arc<UdpSocketState>,
}

/// Binds every address that is not given, or says of each why not. One of a family that the host does not have is left out,
/// with a warning, while there is another: to listen on `[::]` as well is right for hosts of every kind.
pub(crate) fn all(addresses: &[SocketAddr], mut given: Given) -> Result<Vec<Sockets>, BindError> {
    let mut bound = Vec::new();
    let mut errors = Vec::new();
    for &address in addresses {
        match both(address, &mut given) {
            Ok(sockets) => bound.push(sockets),
            Err(more) => errors.extend(more),
        }
    }
    if errors.iter().any(|error| bound.is_empty() || !matches!(error, SocketError::NoFamily { .. })) {
        return Err(BindError::Sockets(errors));
    }
    errors.dedup_by_key(|error| error.address());
    for error in &errors {
        warn!("{error}; the address is left out");
    }
    Ok(bound)
}

fn both(address: SocketAddr, given: &mut Given) -> Result<Sockets, Vec<SocketError>> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = udp(address, given.take_udp(address));
        // With port 0 the kernel has chosen one, and TCP follows.
        let at = udp.as_ref().map_or(address, |(_, at)| *at);
        match (udp, tcp(at, given.take_tcp(at))) {
            (Ok((udp, address)), Ok(tcp)) => return Ok(Sockets { address, udp, tcp }),
            (Ok(_), Err(SocketError::InUse { .. })) if tries > 0 => {}
            (udp, tcp) => return Err(udp.err().into_iter().chain(tcp.err()).collect()),
        }
    }
}

fn udp(address: SocketAddr, given: Option<UdpSocket>) -> Result<(Udp, SocketAddr), SocketError> {
    let is_bound = given.is_some();
    let made = given.map_or_else(|| socket(address, Type::DGRAM, Protocol::UDP), |given| Ok(given.into()));
    let bound = made.and_then(|socket| {
        // Before it is bound, so that no datagram comes without what is to be known of it. Linux tells the address that it was
        // sent to also of those that wait in a socket that was given.
        let state = Arc::new(UdpSocketState::new((&socket).into())?);
        if !is_bound {
            socket.bind(&address.into())?;
        }
        let socket = UdpSocket::from(socket);
        let address = socket.local_addr()?;
        Ok((Udp { socket, state }, address))
    });
    bound.map_err(|cause| SocketError::new(address, Transport::Udp, cause))
}

fn tcp(address: SocketAddr, given: Option<TcpListener>) -> Result<TcpListener, SocketError> {
    let bound = match given {
        Some(given) => given.set_nonblocking(true).map(|()| given),
        None => listening(address),
    };
    bound.map_err(|cause| SocketError::new(address, Transport::Tcp, cause))
}

fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // Connections of an earlier process, closed and remembered by the kernel, must not keep this one from starting.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // So that [::] sits beside 0.0.0.0 at the same port.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether a socket's error means that it will never work again, rather than that one use of it failed.
pub(crate) fn is_dead(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_one_may_not_bind_is_said_with_what_to_do() {
        let address = "[::]:53".parse().unwrap();
        let error = SocketError::new(address, Transport::Udp, io::ErrorKind::PermissionDenied.into());
        assert_eq!(
            error.to_string(),
            "cannot listen on [::]:53 by udp: no right to bind port 53: run as root or give CAP_NET_BIND_SERVICE"
        );
    }

    #[test]
    fn a_family_that_the_host_does_not_have_is_named() {
        let cause = io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
        let error = SocketError::new("[::]:53".parse().unwrap(), Transport::Tcp, cause);
        assert_eq!(error.to_string(), "cannot listen on [::]:53 by tcp: this host has no IPv6");
    }

    #[test]
    fn a_socket_is_dead_only_where_it_can_never_work_again() {
        for (code, dead) in [(libc::EBADF, true), (libc::EMFILE, false), (libc::ECONNREFUSED, false)] {
            assert_eq!(is_dead(&io::Error::from_raw_os_error(code)), dead, "{code}");
        }
    }
}
