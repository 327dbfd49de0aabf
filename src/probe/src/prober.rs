//! One probe: from the settings to an observation, within its deadlines. It does not know the schedule.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use daymark_decision::{Kind, Observation, Timings};
use daymark_files::error_chain;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{Request, Response};
use http_body_util::Empty;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::connection::ProbeConnection;
use crate::credentials::{self, CredentialFiles, Credentials};
use crate::expiry::Expiries;
use crate::failure::{of_connect, of_handshake, of_request};
use crate::settings::ProbeSettings;

/// Probes the targets of one pool. One is enough for all of them, and they share its TLS configuration.
pub struct Prober {
    settings: ProbeSettings,
    credentials: CredentialFiles,
    watches: AtomicU32,
}

/// The limits of one probe.
#[derive(Clone, Copy, Debug)]
struct ProbeDeadlines {
    /// The end of the whole probe.
    whole: Instant,
    /// The time until which the handshake may last, beyond its usual limit.
    handshake_until: Option<Instant>,
}

impl ProbeDeadlines {
    /// The end of a handshake whose usual limit is `usual`.
    fn of_handshake(self, usual: Instant) -> Instant {
        self.handshake_until.map_or(usual, |until| until.max(usual)).min(self.whole)
    }
}

/// The observation of a probe, and its connection if it can be kept.
pub(super) struct Probed {
    pub(super) observation: Observation,
    pub(super) kept: Option<ProbeConnection>,
}

impl Probed {
    fn failed(kind: Kind, observation: Observation) -> Self {
        Self { observation: Observation { kind, ..observation }, kept: None }
    }
}

impl Prober {
    /// A prober with these settings. The first probe reads the files.
    pub fn new(settings: ProbeSettings) -> Self {
        let credentials = credentials::watch(&settings);
        Self { settings, credentials, watches: AtomicU32::new(0) }
    }

    /// The settings of its probes.
    pub fn settings(&self) -> &ProbeSettings {
        &self.settings
    }

    /// The ends of the CAs and of the credentials in the files, or in the last good version of them. None are known until the
    /// files could be used once.
    pub fn expiries(&self) -> Expiries {
        self.credentials.current().map(|credentials| credentials.expiries().clone()).unwrap_or_default()
    }

    /// The error of the files of `ca` and `auth`, if they cannot be used any more. The probes go on with their last good version.
    pub fn file_error(&self) -> Option<String> {
        self.credentials.error()
    }

    /// Counts the watches from zero again.
    pub(super) fn forget_watches(&self) {
        self.watches.store(0, Ordering::Relaxed);
    }

    /// The number of watches that called this before.
    pub(super) fn next_watch(&self) -> u32 {
        self.watches.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes one probe over a new connection. The observation holds every error, a local one as [`Kind::LocalError`].
    pub async fn probe_once(&self, address: IpAddr) -> Observation {
        self.probe(address, None, None).await.observation
    }

    /// Makes one probe, over the kept connection if it still works. A handshake has until `handshake_until`, if that is later
    /// than its own limit.
    pub(super) async fn probe(
        &self,
        address: IpAddr,
        kept: Option<ProbeConnection>,
        handshake_until: Option<Instant>,
    ) -> Probed {
        let deadlines = ProbeDeadlines { whole: Instant::now() + self.settings.timeout, handshake_until };
        let credentials = match self.credentials.current() {
            Ok(credentials) => credentials,
            Err(error) => return Probed::failed(Kind::LocalError { detail: error_chain(&error) }, unseen()),
        };
        // A connection from before a change of the files has other trust and other credentials.
        if let Some(kept) = kept.filter(|kept| kept.was_made_with(&credentials)) {
            let probed = self.ask(kept, &credentials, deadlines.whole, unseen()).await;
            if !probed.found_an_end {
                return probed.probed;
            }
        }
        let mut seen = unseen();
        match self.dial(address, &credentials, deadlines, &mut seen).await {
            Ok(fresh) => self.ask(fresh, &credentials, deadlines.whole, seen).await.probed,
            Err(kind) => Probed::failed(kind, seen),
        }
    }

    /// Asks for another path over a new connection, with the same trust and credentials. Gives the whole answer with up to
    /// `limit` bytes of body.
    pub async fn fetch(
        &self,
        address: IpAddr,
        path: &str,
        limit: usize,
        deadline: Instant,
    ) -> Result<Response<Bytes>, Kind> {
        let local = |detail| Kind::LocalError { detail };
        let credentials = self.credentials.current().map_err(|error| local(error_chain(&error)))?;
        let request = self.request(path, &credentials).map_err(|error| local(error_chain(&error)))?;
        let deadlines = ProbeDeadlines { whole: deadline, handshake_until: None };
        let mut connection = self.dial(address, &credentials, deadlines, &mut unseen()).await?;
        let answer = timeout_at(deadline, connection.fetch(request, limit)).await.map_err(|_| Kind::AnswerTimeout)?;
        answer.map_err(|broken| broken.kind)
    }

    /// Makes a verified connection, and notes the times and the certificate in `seen`.
    async fn dial(
        &self,
        address: IpAddr,
        credentials: &Arc<Credentials>,
        deadlines: ProbeDeadlines,
        seen: &mut Observation,
    ) -> Result<ProbeConnection, Kind> {
        let begun = Instant::now();
        let stream = self.connect(address, deadlines.whole.min(begun + self.settings.connect_timeout)).await;
        seen.timings.connect = Some(begun.elapsed());
        let stream = stream?;

        let begun = Instant::now();
        let deadline = deadlines.of_handshake(begun + self.settings.tls_timeout);
        let tls = self.secure(stream, credentials, deadline, seen).await;
        seen.timings.tls = Some(begun.elapsed());
        let connection = ProbeConnection::new(tls?, Arc::clone(credentials), seen.certificate.clone()).await;
        connection.map_err(|error| of_request(&error, credentials.shown()))
    }

    async fn connect(&self, address: IpAddr, deadline: Instant) -> Result<TcpStream, Kind> {
        let dial = async {
            let stream = TcpStream::connect(SocketAddr::new(address, self.settings.port)).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let dialed = timeout_at(deadline, dial).await.map_err(|_| Kind::ConnectTimeout)?;
        dialed.map_err(|error: std::io::Error| of_connect(&error))
    }

    async fn secure(
        &self,
        stream: TcpStream,
        credentials: &Credentials,
        deadline: Instant,
        seen: &mut Observation,
    ) -> Result<TlsStream<TcpStream>, Kind> {
        let name = &self.settings.server_name;
        let server_name = ServerName::try_from(name.clone())
            .map_err(|error| Kind::LocalError { detail: format!("the server name {name}: {error}") })?;
        let handshake = credentials.handshake();
        let shaken = timeout_at(deadline, TlsConnector::from(handshake.config).connect(server_name, stream)).await;
        seen.certificate = handshake.recorder.certificate();
        let shaken = shaken.map_err(|_| Kind::TlsStall)?;
        let certificate = seen.certificate.as_ref();
        shaken.map_err(|error| of_handshake(&error, certificate, name, credentials.shown()))
    }

    async fn ask(
        &self,
        mut on: ProbeConnection,
        credentials: &Credentials,
        deadline: Instant,
        seen: Observation,
    ) -> Asked {
        let request = match self.request(&self.settings.path, credentials) {
            Ok(request) => request,
            Err(error) => {
                return Asked::answered(Probed::failed(Kind::LocalError { detail: error_chain(&error) }, seen));
            }
        };
        let begun = Instant::now();
        let asked = timeout_at(deadline, on.ask(request)).await;
        let timings = Timings { http: Some(begun.elapsed()), ..seen.timings };
        let seen = Observation { timings, certificate: on.certificate().cloned(), ..seen };
        match asked {
            Ok(Ok(kind)) => {
                let reusable = timeout_at(deadline, on.is_reusable()).await.is_ok_and(|reusable| reusable);
                let observation = Observation { kind, ..seen };
                Asked::answered(Probed { observation, kept: reusable.then_some(on) })
            }
            Ok(Err(broken)) => Asked {
                found_an_end: !broken.answered && matches!(broken.kind, Kind::ClosedEarly | Kind::Reset),
                probed: Probed::failed(broken.kind, seen),
            },
            Err(_) => Asked::answered(Probed::failed(Kind::AnswerTimeout, seen)),
        }
    }

    fn request(&self, path: &str, credentials: &Credentials) -> Result<Request<Empty<Bytes>>, http::Error> {
        let mut request = Request::get(path)
            .header(HOST, host(&self.settings.server_name, self.settings.port))
            .header(USER_AGENT, concat!("daymark/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = credentials.authorization() {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Empty::new())
    }
}

/// The result of a request on a connection.
struct Asked {
    probed: Probed,
    /// True if the connection had ended before any answer. On a kept one, that is no failure of the target.
    found_an_end: bool,
}

impl Asked {
    fn answered(probed: Probed) -> Self {
        Self { probed, found_an_end: false }
    }
}

/// An observation before anything is known.
fn unseen() -> Observation {
    Observation { kind: Kind::AnswerTimeout, timings: Timings::default(), certificate: None }
}

/// The value of the header `Host`, without the port if it is that of the scheme (RFC 9110, section 7.2).
fn host(name: &str, port: u16) -> String {
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    if port == 443 { name } else { format!("{name}:{port}") }
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prober").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
