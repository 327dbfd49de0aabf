//! A process that has no file descriptor left. The limit holds for the whole process, so the test has a binary of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod log;

use std::fs::File;
use std::time::Duration;

use daymark_connections::{ConnectionLimits, Connections, serve_connections};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::log::Log;

/// The clock is paused, so it moves on as soon as the server waits. The server tries again ten times a second.
#[tokio::test(start_paused = true)]
async fn refused_connections_are_one_warning_and_one_with_their_number_when_they_are_over() {
    let log = Log::default();
    let _guard = log.record();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let connections = Connections::new(ConnectionLimits { all: 9, per_client: 9 });
    let served = connections.clone();
    let serving = tokio::spawn(async move {
        serve_connections(listener, "admin API", &served, &stopped, |mut stream, _, _| async move {
            let _ = stream.write_all(&[7]).await;
        })
        .await
    });
    let sockets = [TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap()];

    let taken = take_all_descriptors();
    let mut clients = Vec::new();
    for socket in sockets {
        // The kernel completes the handshake although the server cannot accept the connection.
        clients.push(socket.connect(address).await.unwrap());
    }
    sleep(Duration::from_mins(1)).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("WARN") && lines[0].contains("admin API connections are not accepted any more: "));

    drop(taken);
    for client in &mut clients {
        client.read_exact(&mut [0]).await.unwrap();
    }
    assert_eq!(log.lines().len(), 1, "the next attempt may fail again");
    sleep(Duration::from_secs(11)).await;
    TcpStream::connect(address).await.unwrap().read_exact(&mut [0]).await.unwrap();
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let (_, end) = lines[1].split_once("admin API connections are accepted again, after ").unwrap();
    let failures: u64 = end.split_once(" failures").unwrap().0.parse().unwrap();
    assert!((590..=610).contains(&failures), "{failures}: ten a second for a minute");
    assert_eq!(connections.counts().accept_failures, failures);
    stop.cancel();
    serving.await.unwrap().unwrap();
}

/// Opens files until no more can be opened.
fn take_all_descriptors() -> Vec<File> {
    // A low limit, so that it is reached quickly.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), ..limit }).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}
