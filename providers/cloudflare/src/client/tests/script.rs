//! A server that sends prepared responses, one for each connection, and records the requests.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The response to one request.
pub(super) enum ScriptedResponse {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, and the connection stays.
    Stall(Vec<u8>),
}

pub(super) struct Script {
    pub(super) api: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Script {
    /// Starts a server with these responses. A request beyond them finds the connection cut.
    pub(super) async fn start(answers: Vec<ScriptedResponse>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}/client/v4", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let keep = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut answers = answers.into_iter();
            let mut stalled = Vec::new();
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let text = request(&mut connection).await;
                keep.lock().push(text);
                // The client may have closed the connection.
                match answers.next() {
                    Some(ScriptedResponse::Bytes(bytes)) => drop(connection.write_all(&bytes).await),
                    Some(ScriptedResponse::Stall(bytes)) => {
                        drop(connection.write_all(&bytes).await);
                        stalled.push(connection);
                    }
                    None => {}
                }
            }
        });
        Self { api, requests, task }
    }

    /// Every request so far, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A response with a body and more headers, each ended by a new line.
pub(super) fn reply(status: u16, headers: &str, body: &str) -> ScriptedResponse {
    let length = body.len();
    ScriptedResponse::Bytes(
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
