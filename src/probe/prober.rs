//! One probe: from the settings to an observation, within its time limits. It does not know when to probe.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use daymark_decision::{Kind, Observation, Timings};
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{Request, Response};
use http_body_util::Empty;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connection::Connection;
use super::failure::{of_connect, of_handshake, of_request};
use super::material::{self, Material, Source};
use super::settings::Settings;
use daymark_files::error_chain;

/// Probes the targets of one pool. One is enough for all of them, and they share its TLS configuration.
pub struct Prober {
    settings: Settings,
    source: Source,
    places: AtomicU32,
}

/// What a probe found, and the connection where it can be kept.
pub(super) struct Probed {
    pub(super) observation: Observation,
    pub(super) kept: Option<Connection>,
}

impl Probed {
    fn failed(kind: Kind, observation: Observation) -> Self {
        Self { observation: Observation { kind, ..observation }, kept: None }
    }
}

impl Prober {
    /// Takes the settings; files are read by the first probe.
    pub fn new(settings: Settings) -> Self {
        let source = material::watch(settings.trust.clone(), settings.auth.clone());
        Self { settings, source, places: AtomicU32::new(0) }
    }

    /// How it probes.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many watches have asked before.
    pub(super) fn next_place(&self) -> u32 {
        self.places.fetch_add(1, Ordering::Relaxed)
    }

    /// One probe over a connection of its own. What goes wrong is in the observation: on this host, as
    /// [`Kind::OwnFault`].
    pub async fn probe_once(&self, address: IpAddr) -> Observation {
        self.probe(address, None).await.observation
    }

    /// One probe, over the kept connection where there is one and it still serves.
    pub(super) async fn probe(&self, address: IpAddr, kept: Option<Connection>) -> Probed {
        let deadline = Instant::now() + self.settings.timeout;
        let material = match self.source.current() {
            Ok(material) => material,
            Err(error) => return Probed::failed(Kind::OwnFault { detail: error_chain(&error) }, unseen()),
        };
        // A connection of before a change of files has neither the trust nor the credentials of now.
        if let Some(kept) = kept.filter(|kept| kept.was_made_with(&material)) {
            let probed = self.ask(kept, &material, deadline, unseen()).await;
            if !probed.found_an_end {
                return probed.probed;
            }
        }
        let mut seen = unseen();
        match self.dial(address, &material, deadline, &mut seen).await {
            Ok(fresh) => self.ask(fresh, &material, deadline, seen).await.probed,
            Err(kind) => Probed::failed(kind, seen),
        }
    }

    /// Asks for another path, over a connection of its own, with the same trust and credentials; gives the whole answer with up
    /// to `limit` bytes of body, or why there is none.
    pub(crate) async fn fetch(
        &self,
        address: IpAddr,
        path: &str,
        limit: usize,
        deadline: Instant,
    ) -> Result<Response<Bytes>, Kind> {
        let own = |detail| Kind::OwnFault { detail };
        let material = self.source.current().map_err(|error| own(error_chain(&error)))?;
        let request = self.request(path, &material).map_err(|error| own(error_chain(&error)))?;
        let mut connection = self.dial(address, &material, deadline, &mut unseen()).await?;
        let answer = timeout_at(deadline, connection.fetch(request, limit)).await.map_err(|_| Kind::AnswerTimeout)?;
        answer.map_err(|broken| broken.kind)
    }

    /// Makes a verified connection, and notes times and certificate on the way.
    async fn dial(
        &self,
        address: IpAddr,
        material: &Arc<Material>,
        deadline: Instant,
        seen: &mut Observation,
    ) -> Result<Connection, Kind> {
        let begun = Instant::now();
        let stream = self.connect(address, deadline.min(begun + self.settings.connect_timeout)).await;
        seen.timings.connect = Some(begun.elapsed());
        let stream = stream?;

        let begun = Instant::now();
        let tls = self.secure(stream, material, deadline, seen).await;
        seen.timings.tls = Some(begun.elapsed());
        let connection = Connection::new(tls?, Arc::clone(material), seen.certificate.clone()).await;
        connection.map_err(|error| of_request(&error))
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
        material: &Material,
        deadline: Instant,
        seen: &mut Observation,
    ) -> Result<TlsStream<TcpStream>, Kind> {
        let name = &self.settings.server_name;
        let server_name = ServerName::try_from(name.clone())
            .map_err(|error| Kind::OwnFault { detail: format!("the server name {name}: {error}") })?;
        let (config, recorder) = material.handshake();
        let shaken = timeout_at(deadline, TlsConnector::from(config).connect(server_name, stream)).await;
        seen.certificate = recorder.certificate();
        let shaken = shaken.map_err(|_| Kind::TlsStall)?;
        shaken.map_err(|error| of_handshake(&error, seen.certificate.as_ref(), name))
    }

    async fn ask(&self, mut on: Connection, material: &Material, deadline: Instant, seen: Observation) -> Asked {
        let request = match self.request(&self.settings.path, material) {
            Ok(request) => request,
            Err(error) => return Asked::answered(Probed::failed(Kind::OwnFault { detail: error_chain(&error) }, seen)),
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

    fn request(&self, path: &str, material: &Material) -> Result<Request<Empty<Bytes>>, http::Error> {
        let mut request = Request::get(path)
            .header(HOST, host(&self.settings.server_name, self.settings.port))
            .header(USER_AGENT, concat!("daymark/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = material.authorization() {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Empty::new())
    }
}

/// What came of asking on a connection.
struct Asked {
    probed: Probed,
    /// The connection had ended before any answer: on a kept one, no failure of the target.
    found_an_end: bool,
}

impl Asked {
    fn answered(probed: Probed) -> Self {
        Self { probed, found_an_end: false }
    }
}

/// An observation before anything was seen.
fn unseen() -> Observation {
    Observation { kind: Kind::AnswerTimeout, timings: Timings::default(), certificate: None }
}

/// RFC 9110, section 7.2: the port is left out where it is that of the scheme.
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
