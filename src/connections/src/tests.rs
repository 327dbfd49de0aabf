use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;

/// A server that sends one byte on each connection, then waits for the client to close it or for the end.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(limits: ConnectionLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let connections = Connections::new(limits);
        let task = tokio::spawn(async move {
            serve_connections(listener, "test", &connections, &stopped, |mut stream, _, _| {
                let stopped = stopped.clone();
                async move {
                    stream.write_all(&[7]).await.unwrap();
                    stopped.run_until_cancelled(stream.read(&mut [0])).await;
                }
            })
            .await
        });
        Self { address, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// The number of bytes that the server sends before it closes the connection, at most one.
async fn received(client: &mut TcpStream) -> usize {
    client.read(&mut [0]).await.unwrap_or(0)
}

#[tokio::test]
async fn above_the_limit_the_longest_idle_connection_gives_way() {
    for limits in [ConnectionLimits { all: 2, per_client: 9 }, ConnectionLimits { all: 9, per_client: 2 }] {
        let server = Server::start(limits).await;
        let mut clients = Vec::new();
        for _ in 0..50 {
            let mut client = server.connect().await;
            assert_eq!(received(&mut client).await, 1, "a new connection always gets a place");
            clients.push(client);
        }
        for client in &mut clients[..48] {
            assert_eq!(received(client).await, 0);
        }
        server.stop.cancel();
        server.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn stopping_waits_for_the_open_connections() {
    let server = Server::start(ConnectionLimits { all: usize::MAX, per_client: usize::MAX }).await;
    let mut client = server.connect().await;
    assert_eq!(received(&mut client).await, 1);
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    assert_eq!(received(&mut client).await, 0);
}

#[test]
fn an_error_is_fatal_only_if_the_socket_can_never_work_again() {
    for (code, fatal) in [(libc::EBADF, true), (libc::EMFILE, false), (libc::ECONNREFUSED, false)] {
        assert_eq!(is_fatal(&io::Error::from_raw_os_error(code)), fatal, "{code}");
    }
}

#[test]
fn failures_that_come_and_go_are_logged_once_and_counted() {
    let start = Instant::now();
    let at = |tenths: u32| start + ACCEPT_RETRY_DELAY * tenths;
    let mut failures = Recurrence::default();
    assert_eq!(failures.end(at(0)), None, "nothing has failed");
    assert!(failures.begin(at(0)));
    for tenths in 1..50 {
        assert_eq!(failures.end(at(tenths)), None, "another one may fail at once");
        assert!(!failures.begin(at(tenths)));
    }
    assert_eq!(failures.end(at(50)), None);
    assert_eq!(failures.end(at(49) + QUIET_TIME), Some(50));
    assert_eq!(failures.end(at(1000)), None);
    assert!(failures.begin(at(2000)), "it begins anew");
}
