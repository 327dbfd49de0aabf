//! Sockets: those that a service manager has bound for Daymark, and those that listen on `[::]` on hosts without IPv6.
//!
//! The module does not know what is served on a socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use daymark_authoritative::{InheritedSockets, allow_missing_address};
use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::warn;

/// The number of connections that the kernel queues until they are accepted.
const LISTEN_BACKLOG: i32 = 128;

/// A service manager passed a file descriptor that is not a UDP or TCP socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service manager has passed a file descriptor that is not a UDP or TCP socket: {0}; its socket unit needs \
     ListenDatagram= and ListenStream= with an address and a port"
)]
pub struct InheritedSocketError(#[source] io::Error);

/// Takes the sockets that a service manager passed (`sd_listen_fds(3)`), such as those of a systemd socket unit.
///
/// Call this once, before any thread starts: it removes variables from the environment.
pub fn inherited() -> Result<InheritedSockets, InheritedSocketError> {
    let mut passed = ListenFd::from_env();
    let mut inherited = InheritedSockets::default();
    for index in 0..passed.len() {
        match passed.take_udp_socket(index) {
            Ok(udp) => inherited.udp.extend(udp),
            Err(_) => inherited.tcp.extend(passed.take_tcp_listener(index).map_err(InheritedSocketError)?),
        }
    }
    Ok(inherited)
}

/// Listens on an address by TCP, with the fallback of [`bind_dual_stack`], unless its socket is inherited. With `freebind` the host
/// need not have it yet.
///
/// # Panics
/// If it is called outside a tokio runtime.
pub fn listen(address: SocketAddr, freebind: bool, inherited: &mut InheritedSockets) -> io::Result<TcpListener> {
    let listener = bind_dual_stack(address, |address| {
        if let Some(listener) = inherited.take_tcp(address) {
            listener.set_nonblocking(true)?;
            return Ok(listener.into());
        }
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if freebind {
            allow_missing_address(&socket, address)?;
        }
        // Connections of an earlier process in TIME_WAIT must not keep this one from starting.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(LISTEN_BACKLOG)?;
        Ok(socket)
    })?;
    TcpListener::from_std(listener.into())
}

/// Binds an address by `bind`. If the kernel has no IPv6, binds `0.0.0.0` in place of `[::]`.
///
/// `[::]` means every address of the host, so one configuration works on hosts with and without IPv6.
pub fn bind_dual_stack<T>(address: SocketAddr, mut bind: impl FnMut(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match bind(address) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.ip() == Ipv6Addr::UNSPECIFIED => {
            let fallback = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            warn!("this host has no IPv6, so Daymark listens on {fallback} instead of {address}");
            bind(fallback)
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Binds an address on a host without IPv6.
    fn bind_without_ipv6(address: &str) -> io::Result<SocketAddr> {
        bind_dual_stack(address.parse().unwrap(), |address| match address {
            SocketAddr::V4(_) => Ok(address),
            SocketAddr::V6(_) => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
        })
    }

    #[test]
    fn without_ipv6_the_ipv6_wildcard_becomes_the_ipv4_wildcard() {
        assert_eq!(bind_without_ipv6("[::]:7946").unwrap().to_string(), "0.0.0.0:7946");
        assert!(bind_without_ipv6("[::1]:7946").is_err(), "only the wildcard has a fallback");
        let taken = bind_dual_stack("[::]:7946".parse().unwrap(), |_| Err::<(), _>(io::ErrorKind::AddrInUse.into()));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
