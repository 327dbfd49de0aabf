//! Serves one connection. The module `response` answers its requests.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::behaviour::Behaviour;
use crate::response::respond;
use crate::shared::Shared;
use crate::socket::{FakeClient, reset_on_close, set_silent};

/// Serves one connection until it is closed. Drops its packets while the behaviour is [`Behaviour::Silent`].
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let Ok(socket) = SockRef::from(&stream).try_clone().map(Arc::new) else { return };
    let mut behaviour = shared.behaviour.subscribe();
    let mut connection = std::pin::pin!(serve_behaviour(stream, Arc::clone(&socket), Arc::clone(&shared)));
    loop {
        let silent = *behaviour.borrow_and_update() == Behaviour::Silent;
        // Fails only on a closed socket.
        drop(set_silent(&socket, silent));
        tokio::select! {
            // A connection may end with an error.
            _ = &mut connection => return,
            Ok(()) = behaviour.changed() => {}
        }
    }
}

async fn serve_behaviour(mut stream: TcpStream, socket: Arc<Socket>, shared: Arc<Shared>) -> io::Result<()> {
    let mut changes = shared.behaviour.subscribe();
    let Ok(behaviour) = changes.wait_for(|behaviour| !behaviour.is_unresponsive()).await.map(|now| now.clone()) else {
        return Ok(());
    };
    match behaviour {
        Behaviour::Reset => {
            reset_on_close(&socket);
            return Ok(());
        }
        Behaviour::NotTls => {
            let answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n";
            return send_and_close(&mut stream, answer).await;
        }
        // RFC 8446, section 6: a fatal alert, handshake_failure.
        Behaviour::TlsRefused => return send_and_close(&mut stream, &[0x15, 3, 3, 0, 2, 2, 40]).await,
        _ => {}
    }
    stream.set_nodelay(true)?;
    let mut tls = TlsAcceptor::from(shared.tls.for_behaviour(&behaviour)).accept(stream).await?;
    if behaviour == Behaviour::NotHttp {
        return send_and_close(&mut tls, b"SSH-2.0-OpenSSH_9.9 and no HTTP at all\r\n\r\n").await;
    }
    let has_certificate = tls.get_ref().1.peer_certificates().is_some();
    serve_http(tls, FakeClient { has_certificate, socket }, shared).await;
    Ok(())
}

/// Waits for the first bytes of the client, sends `bytes`, and reads until the client closes the connection.
///
/// Closing a socket with unread data would reset the connection, and the client could lose the bytes.
async fn send_and_close(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), bytes: &[u8]) -> io::Result<()> {
    let mut received = [0; 4096];
    if stream.read(&mut received).await? == 0 {
        return Ok(());
    }
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    while stream.read(&mut received).await? > 0 {}
    Ok(())
}

async fn serve_http(tls: TlsStream<TcpStream>, client: FakeClient, shared: Arc<Shared>) {
    if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
        return serve_http2(tls, client, shared).await;
    }
    let service = service_fn(move |request| respond(request, client.clone(), Arc::clone(&shared)));
    // A connection may end with an error.
    drop(http1::Builder::new().serve_connection(TokioIo::new(tls), service).await);
}

async fn serve_http2(tls: TlsStream<TcpStream>, client: FakeClient, shared: Arc<Shared>) {
    let answered = Arc::new(Notify::new());
    let service = {
        let answered = Arc::clone(&answered);
        service_fn(move |request| {
            let client = client.clone();
            let shared = Arc::clone(&shared);
            let answered = Arc::clone(&answered);
            async move {
                let response = respond(request, client, shared).await;
                answered.notify_one();
                response
            }
        })
    };
    let mut connection =
        std::pin::pin!(http2::Builder::new(Streams::default()).serve_connection(TokioIo::new(tls), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = answered.notified() => {}
    }
    // kube-apiserver sends a GOAWAY after each response to an anonymous client over HTTP/2.
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

/// The tasks of the streams of one HTTP/2 connection. They end with the connection.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.spawn(async { drop(stream.await) });
    }
}
