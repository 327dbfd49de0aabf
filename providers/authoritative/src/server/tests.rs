use std::time::Duration;

use socket2::SockRef;

use super::*;

fn bound() -> Authoritative {
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let settings = Settings { listen, zones: Vec::new(), max_tcp_connections: 1, tcp_idle: Duration::from_secs(1) };
    Authoritative::bind(&settings, Given::default()).unwrap()
}

#[tokio::test]
async fn a_dead_socket_ends_the_server_with_an_error() {
    let server = bound();
    let address = server.sockets[1].address;
    // A listener that is shut down never accepts again.
    SockRef::from(&server.sockets[1].tcp).shutdown(std::net::Shutdown::Both).unwrap();
    let ended = tokio::time::timeout(Duration::from_mins(1), server.serve(CancellationToken::new())).await.unwrap();
    let Err(ServeError::Socket { address: dead, transport: Transport::Tcp, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!(dead, address);
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_without_an_error() {
    let server = bound();
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(server.serve(stop).await.is_ok());
    // Its sockets are still bound, so it can serve again.
    assert_eq!(server.local_addrs().len(), 2);
}
