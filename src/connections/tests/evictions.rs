//! Connections that are closed for new ones, in the log.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod log;

use std::net::SocketAddr;
use std::time::Duration;

use daymark_connections::{ConnectionLimits, Connections, serve_connections};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::log::Log;

/// Opens a connection that the server has accepted.
async fn connect(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
    client
}

/// The lines of the log while one client opens five connections, and over the 11 seconds after them.
async fn log_of_five_connections(limits: ConnectionLimits) -> Vec<String> {
    let log = Log::default();
    let _guard = log.record();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let serving = tokio::spawn(async move {
        let connections = Connections::new(limits);
        serve_connections(listener, "DNS", &connections, &stopped, |mut stream, _, _| {
            let stopped = stopped.clone();
            async move {
                stream.write_all(&[7]).await.unwrap();
                stopped.cancelled().await;
            }
        })
        .await
    });
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(connect(address).await);
    }
    assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
    // Paused only now: while sockets are waited for, the time would move on.
    tokio::time::pause();
    sleep(Duration::from_secs(11)).await;
    stop.cancel();
    serving.await.unwrap().unwrap();
    log.lines()
}

#[tokio::test]
async fn a_client_above_its_limit_is_one_warning_and_one_with_the_number_when_it_is_over() {
    let lines = log_of_five_connections(ConnectionLimits { all: 100, per_client: 2 }).await;
    let [begin, end] = &lines[..] else { panic!("{lines:?}") };
    assert!(
        begin.ends_with(
            "WARN daymark_connections: DNS connections of 127.0.0.1 are closed for its new ones, the longest idle first: it \
             has reached the limit of 2 for one client"
        ),
        "{begin}"
    );
    assert!(
        end.ends_with(
            "WARN daymark_connections: DNS connections of every client are within the limit of 2 again: 3 were closed \
             for new ones, none in the last 10 s"
        ),
        "{end}"
    );
}

#[tokio::test]
async fn the_limit_of_all_is_one_warning_and_one_with_the_number_when_it_is_over() {
    let lines = log_of_five_connections(ConnectionLimits { all: 3, per_client: 9 }).await;
    let [begin, end] = &lines[..] else { panic!("{lines:?}") };
    assert!(
        begin.ends_with(
            "WARN daymark_connections: DNS connections are closed for new ones, the longest idle of the busiest client \
             first: the limit of 3 is reached"
        ),
        "{begin}"
    );
    assert!(
        end.ends_with(
            "WARN daymark_connections: DNS connections are within the limit of 3 again: 2 were closed for new ones, none \
             in the last 10 s"
        ),
        "{end}"
    );
}
