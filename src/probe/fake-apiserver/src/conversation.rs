//! One connection, from its acceptance to its end. What is answered on it is told in `answer`.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

use crate::answer;
use crate::behaviour::Behaviour;
use crate::server::{Shared, silence};

/// Who asks, and the socket that the question came on.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) has_certificate: bool,
    socket: Arc<Socket>,
}

impl Caller {
    /// Lets the end of the connection be a reset instead of an orderly one.
    pub(crate) fn end_with_reset(&self) {
        end_with_reset(&self.socket);
    }
}

fn end_with_reset(socket: &Socket) {
    // Fails on a socket that has ended already, and then there is nothing left to reset.
    drop(socket.set_linger(Some(Duration::ZERO)));
}

/// Serves one connection until it ends, deaf while the fake is silent.
pub(crate) async fn hold(stream: TcpStream, shared: Arc<Shared>) {
    let Ok(socket) = SockRef::from(&stream).try_clone().map(Arc::new) else { return };
    let mut behaviour = shared.behaviour.subscribe();
    let mut talk = std::pin::pin!(talk(stream, Arc::clone(&socket), Arc::clone(&shared)));
    loop {
        let silent = *behaviour.borrow_and_update() == Behaviour::Silent;
        // A socket that cannot be silenced any more has ended.
        drop(silence(&socket, silent));
        tokio::select! {
            // An error is the end of a connection like any other.
            _ = &mut talk => return,
            Ok(()) = behaviour.changed() => {}
        }
    }
}

async fn talk(mut stream: TcpStream, socket: Arc<Socket>, shared: Arc<Shared>) -> io::Result<()> {
    let mut changes = shared.behaviour.subscribe();
    let Ok(behaviour) = changes.wait_for(|behaviour| !behaviour.is_still()).await.map(|now| now.clone()) else {
        return Ok(());
    };
    match behaviour {
        Behaviour::Reset => {
            end_with_reset(&socket);
            return Ok(());
        }
        Behaviour::NotTls => {
            let answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n";
            return say_last(&mut stream, answer).await;
        }
        // RFC 8446, section 6: a fatal alert, handshake_failure.
        Behaviour::TlsRefused => return say_last(&mut stream, &[0x15, 3, 3, 0, 2, 2, 40]).await,
        _ => {}
    }
    stream.set_nodelay(true)?;
    let mut tls = TlsAcceptor::from(shared.tls.of(&behaviour)).accept(stream).await?;
    if behaviour == Behaviour::NotHttp {
        return say_last(&mut tls, b"SSH-2.0-OpenSSH_9.9 and no HTTP at all\r\n\r\n").await;
    }
    let has_certificate = tls.get_ref().1.peer_certificates().is_some();
    converse(tls, Caller { has_certificate, socket }, shared).await;
    Ok(())
}

/// Says this after the peer's first words, and waits for the peer to end. An end with words unread would be a reset, and
/// take away what was said.
async fn say_last(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), words: &[u8]) -> io::Result<()> {
    let mut heard = [0; 4096];
    if stream.read(&mut heard).await? == 0 {
        return Ok(());
    }
    stream.write_all(words).await?;
    stream.shutdown().await?;
    while stream.read(&mut heard).await? > 0 {}
    Ok(())
}

async fn converse(tls: TlsStream<TcpStream>, caller: Caller, shared: Arc<Shared>) {
    if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
        return converse_http2(tls, caller, shared).await;
    }
    let service = service_fn(move |request| answer::to(request, caller.clone(), Arc::clone(&shared)));
    // An error is the end of a connection like any other.
    drop(http1::Builder::new().serve_connection(TokioIo::new(tls), service).await);
}

async fn converse_http2(tls: TlsStream<TcpStream>, caller: Caller, shared: Arc<Shared>) {
    let answered = Arc::new(Notify::new());
    let service = {
        let answered = Arc::clone(&answered);
        service_fn(move |request| {
            let (caller, shared, answered) = (caller.clone(), Arc::clone(&shared), Arc::clone(&answered));
            async move {
                let answer = answer::to(request, caller, shared).await;
                answered.notify_one();
                answer
            }
        })
    };
    let mut connection =
        std::pin::pin!(http2::Builder::new(Streams::default()).serve_connection(TokioIo::new(tls), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = answered.notified() => {}
    }
    // kube-apiserver sends a GOAWAY after each answer to an anonymous caller over HTTP/2.
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

/// The tasks of the streams of one connection, which end with it.
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
