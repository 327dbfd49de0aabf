use std::time::Duration;

use daymark_connections::ConnectionLimits;
use socket2::SockRef;

use super::*;
use crate::settings::ServerIdentity;

fn bind_server() -> Authoritative {
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let settings = ServerSettings {
        listen,
        freebind: false,
        zones: Vec::new(),
        tcp_connections: ConnectionLimits { all: 1, per_client: 1 },
        tcp_idle_timeout: Duration::from_secs(1),
        udp_workers: NonZeroUsize::MIN,
        identity: ServerIdentity {
            name: "dns-1".to_owned(),
            version: "daymark test".to_owned(),
            nsid: true,
            chaos: false,
        },
        rate_limit: RateLimitSettings::default(),
    };
    Authoritative::bind(&settings, InheritedSockets::default()).unwrap()
}

#[tokio::test]
async fn a_failed_socket_ends_the_server_with_an_error() {
    let server = bind_server();
    let address = server.sockets[1].address;
    // A listener that is shut down never accepts again.
    SockRef::from(&server.sockets[1].tcp).shutdown(std::net::Shutdown::Both).unwrap();
    let ended = tokio::time::timeout(Duration::from_mins(1), server.serve(CancellationToken::new())).await.unwrap();
    let Err(ServeError::Socket { address: failed, transport: DnsTransport::Tcp, .. }) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(failed, address);
}

#[tokio::test]
async fn a_stopped_server_ends_without_an_error() {
    let server = bind_server();
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(server.serve(stop).await.is_ok());
    // Its sockets stay bound, so it can serve again.
    assert_eq!(server.local_addrs().len(), 2);
}
