//! One HTTP/1.1 connection over TLS: making it, requests on it, and its end. It knows nothing of time limits.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use daymark_decision::{Certificate, Kind};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::answer;
use crate::credentials::{CredentialKind, Credentials};
use crate::failure::{MAX_BODY_BYTES, of_request};

/// The most interim responses (status 1xx) to a request, as in Go's client. A flood of them would keep a core busy until the end of
/// the probe.
const MAX_INTERIM_RESPONSES: usize = 5;

type Transport = http1::Connection<TokioIo<TlsStream<TcpStream>>, Empty<Bytes>>;

/// A verified connection, for one request after the other.
pub(super) struct ProbeConnection {
    sender: SendRequest<Empty<Bytes>>,
    driver: ConnectionDriver,
    credentials: Arc<Credentials>,
    certificate: Option<Certificate>,
}

/// The failure of a request without a whole answer.
pub(super) struct Broken {
    pub(super) kind: Kind,
    /// True if the head of an answer had come.
    pub(super) answered: bool,
}

/// The side of a connection that moves its bytes. The caller polls it while it waits, so that it needs no task.
struct ConnectionDriver(Option<Pin<Box<Transport>>>);

impl ConnectionDriver {
    /// Waits for a future that needs the connection to move. If the connection ends, hyper tells the waiting side.
    async fn drive<F: Future>(&mut self, until: F) -> F::Output {
        let mut until = pin!(until);
        poll_fn(|cx| {
            if let Some(transport) = &mut self.0
                && transport.as_mut().poll(cx).is_ready()
            {
                self.0 = None;
            }
            until.as_mut().poll(cx)
        })
        .await
    }

    /// Waits for the peer to end it.
    async fn end(&mut self) {
        if let Some(transport) = &mut self.0 {
            // An error is an end too.
            drop(transport.await);
        }
        self.0 = None;
    }
}

impl ProbeConnection {
    /// Takes over a TLS session.
    pub(super) async fn new(
        tls: TlsStream<TcpStream>,
        credentials: Arc<Credentials>,
        certificate: Option<Certificate>,
    ) -> Result<Self, hyper::Error> {
        let (sender, transport) =
            http1::Builder::new().max_buf_size(MAX_BODY_BYTES).handshake(TokioIo::new(tls)).await?;
        Ok(Self { sender, driver: ConnectionDriver(Some(Box::pin(transport))), credentials, certificate })
    }

    /// True if it was made with these credentials.
    pub(super) fn was_made_with(&self, credentials: &Arc<Credentials>) -> bool {
        Arc::ptr_eq(&self.credentials, credentials)
    }

    /// The certificate that the target showed on it.
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Waits for the peer to end it.
    pub(super) async fn ended(&mut self) {
        self.driver.end().await;
    }

    /// Sends a request and judges the whole answer, with up to [`MAX_BODY_BYTES`] bytes of body.
    pub(super) async fn ask(&mut self, request: Request<Empty<Bytes>>) -> Result<Kind, Broken> {
        let answer = self.fetch(request, MAX_BODY_BYTES).await?;
        Ok(answer::kind(answer.status(), answer.headers(), answer.body(), self.credentials.shown()))
    }

    /// Sends a request and reads the whole answer, with up to `limit` bytes of body.
    pub(super) async fn fetch(
        &mut self,
        mut request: Request<Empty<Bytes>>,
        limit: usize,
    ) -> Result<Response<Bytes>, Broken> {
        let Self { sender, driver, credentials, .. } = self;
        let shown = credentials.shown();
        let interim_count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&interim_count);
        hyper::ext::on_informational(&mut request, move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let mut answer = pin!(sender.send_request(request));
        let bounded = poll_fn(|cx| {
            if interim_count.load(Ordering::Relaxed) > MAX_INTERIM_RESPONSES {
                return Poll::Ready(Err(Broken { kind: Kind::NotHttp, answered: true }));
            }
            let answer = answer.as_mut().poll(cx);
            answer.map_err(|error| Broken { kind: of_request(&error, shown), answered: false })
        });
        let answer = driver.drive(bounded).await?;
        let (head, body) = answer.into_parts();
        match driver.drive(Limited::new(body, limit).collect()).await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
            Err(error) => Err(Broken { kind: of_body(&*error, limit, shown), answered: true }),
        }
    }

    /// True if it can take another request after an answer has been read.
    pub(super) async fn is_reusable(&mut self) -> bool {
        let Self { sender, driver, .. } = self;
        driver.drive(sender.ready()).await.is_ok()
    }
}

fn of_body(error: &(dyn std::error::Error + 'static), limit: usize, shown: CredentialKind) -> Kind {
    if error.is::<LengthLimitError>() {
        return Kind::TooLarge { limit };
    }
    match error.downcast_ref::<hyper::Error>() {
        Some(error) => of_request(error, shown),
        None => Kind::ClosedEarly,
    }
}

impl std::fmt::Debug for ProbeConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
