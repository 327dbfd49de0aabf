//! Listening on every address of a host, whichever families it has. It knows nothing of what is listened for.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;
use tracing::warn;

/// Listens at an address by TCP, as [`bind`] binds it.
///
/// # Panics
/// Outside a tokio runtime.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = bind(address, std::net::TcpListener::bind)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Binds an address. `[::]` stands for every address of the host: where the kernel has no IPv6, that is `0.0.0.0`.
pub(crate) fn bind<T>(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match bind(address) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.ip() == Ipv6Addr::UNSPECIFIED => {
            let other = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            warn!("this host has no IPv6, so {other} is listened on instead of {address}");
            bind(other)
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is bound on a host without IPv6.
    fn bound(address: &str) -> io::Result<SocketAddr> {
        let kernel =
            |at: SocketAddr| if at.is_ipv4() { Ok(at) } else { Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)) };
        bind(address.parse().unwrap(), kernel)
    }

    #[test]
    fn every_address_is_every_ipv4_address_where_there_is_no_ipv6() {
        assert_eq!(bound("[::]:7946").unwrap().to_string(), "0.0.0.0:7946");
        assert!(bound("[::1]:7946").is_err(), "one address is no other");
        let taken = bind("[::]:7946".parse().unwrap(), |_| Err::<(), _>(io::ErrorKind::AddrInUse.into()));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
