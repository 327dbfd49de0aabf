//! A server that plays prepared answers, one a connection, and keeps what it was asked.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What becomes of one request.
pub(super) enum Play {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, and the connection stays.
    Stall(Vec<u8>),
}

pub(super) struct Script {
    pub(super) api: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Script {
    /// Plays these; a request too many finds the connection cut.
    pub(super) async fn play(answers: Vec<Play>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}/client/v4", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let keep = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let (mut answers, mut stalled) = (answers.into_iter(), Vec::new());
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let text = request(&mut connection).await;
                keep.lock().push(text);
                // Who has heard enough may be gone.
                match answers.next() {
                    Some(Play::Bytes(bytes)) => drop(connection.write_all(&bytes).await),
                    Some(Play::Stall(bytes)) => {
                        drop(connection.write_all(&bytes).await);
                        stalled.push(connection);
                    }
                    None => {}
                }
            }
        });
        Self { api, asked, task }
    }

    /// Every request so far, head and body.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer with a body, and with more headers, each ended by a new line.
pub(super) fn reply(status: u16, headers: &str, body: &str) -> Play {
    let length = body.len();
    Play::Bytes(
        format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}").into(),
    )
}

/// Reads one request, head and body, or what there is of it.
pub(super) async fn request(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let Ok(byte) = connection.read_u8().await else { return text };
        text.push(char::from(byte));
    }
}
