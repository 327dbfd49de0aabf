//! The server: it owns the sockets, the zones and the decision that stands.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use daymark_decision::Decision;
use daymark_provider::{Provider, PublishError, admit};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::bind::{self, BindError, Given, Sockets};
use crate::content::Content;
use crate::counts::Transport;
use crate::respond::Responder;
use crate::settings::{Settings, ZoneSettings};
use crate::tcp::{self, Limits};
use crate::udp;
use crate::zone::{Zone, ZoneErrors};

/// Serves zones, and the newest answers in them.
pub struct Authoritative {
    sockets: Vec<Sockets>,
    limits: Limits,
    responder: Arc<Responder>,
    /// What the content is made of. Locked by those who change it, never by a query.
    source: Mutex<Source>,
}

struct Source {
    zones: Vec<Arc<Zone>>,
    /// `None` before the first.
    decision: Option<Decision>,
}

/// Why the server stopped without having been told to. The caller stops the process: without its sockets it is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket gave up.
    #[error("the socket on {address} by {transport} is dead")]
    Socket {
        /// Where it listened.
        address: SocketAddr,
        /// By which transport.
        transport: Transport,
        /// What the kernel says.
        source: io::Error,
    },
    /// A defect of ours.
    #[error("a task of the DNS server failed")]
    Task(#[from] JoinError),
}

impl Authoritative {
    /// Builds the zones and binds every socket that is not given. Queries wait in the kernel until [`serve`](Self::serve).
    pub fn bind(settings: &Settings, given: Given) -> Result<Self, BindError> {
        let zones = built(&settings.zones)?;
        let sockets = bind::all(&settings.listen, given)?;
        let places = settings.max_tcp_connections.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            sockets,
            limits: Limits { places: Arc::new(Semaphore::new(places)), idle: settings.tcp_idle },
            responder: Arc::new(Responder::new(Content::new(&zones, None))),
            source: Mutex::new(Source { zones, decision: None }),
        })
    }

    /// Where it listens, each by UDP and TCP, with the ports that port 0 became.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|sockets| sockets.address).collect()
    }

    /// Serves until it is stopped. Every task has ended when it returns.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn serve(&self, stop: CancellationToken) -> Result<(), ServeError> {
        // Where one task fails, it stops the others.
        let stop = stop.child_token();
        let mut tasks = JoinSet::new();
        for sockets in &self.sockets {
            let address = sockets.address;
            let dead = move |transport| move |source| ServeError::Socket { address, transport, source };
            let udp = sockets.udp.socket.try_clone().and_then(UdpSocket::from_std).map_err(dead(Transport::Udp))?;
            let tcp = sockets.tcp.try_clone().and_then(TcpListener::from_std).map_err(dead(Transport::Tcp))?;
            let (state, responder, until) = (Arc::clone(&sockets.udp.state), Arc::clone(&self.responder), stop.clone());
            tasks.spawn(async move { udp::serve(udp, &state, &responder, &until).await.map_err(dead(Transport::Udp)) });
            let (responder, limits, until) = (Arc::clone(&self.responder), self.limits.clone(), stop.clone());
            tasks
                .spawn(async move { tcp::serve(tcp, &responder, &limits, &until).await.map_err(dead(Transport::Tcp)) });
        }
        let mut result = Ok(());
        while let Some(ended) = tasks.join_next().await {
            stop.cancel();
            result = result.and(ended.map_err(ServeError::from).flatten());
        }
        result
    }

    /// Serves other zones from now on, with the answers that stand. Where one of them is wrong, nothing changes.
    ///
    /// A reload calls this first, and then [publishes](Provider::publish) a decision of a newer generation: one of the
    /// generation that stands changes nothing. Between the two, a pool that is new has no answer and gets SERVFAIL, so that
    /// resolvers soon ask again, and a pool that is gone is no longer served. In the other order the names of new pools are
    /// denied for longer, which resolvers keep, and pools that are gone get SERVFAIL.
    pub fn configure(&self, zones: &[ZoneSettings]) -> Result<(), ZoneErrors> {
        let zones = built(zones)?;
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.zones = zones;
        self.show(&source);
        Ok(())
    }

    /// How many responses went out since the start, by transport and response code, those never given included.
    pub fn query_counts(&self) -> Vec<(Transport, &'static str, u64)> {
        self.responder.counts.read()
    }

    /// Swaps what is served, whole. Under the lock of the source, so that the last change is the one that stands.
    fn show(&self, source: &Source) {
        let content = Content::new(&source.zones, source.decision.as_ref());
        self.responder.content.store(Arc::new(content));
    }
}

fn built(zones: &[ZoneSettings]) -> Result<Vec<Arc<Zone>>, ZoneErrors> {
    Ok(Zone::build_all(zones)?.into_iter().map(Arc::new).collect())
}

impl Provider for Authoritative {
    fn name(&self) -> &'static str {
        "authoritative"
    }

    async fn publish(&self, decision: &Decision) -> Result<(), PublishError> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let published = source.decision.as_ref().map(|published| published.generation);
        admit(decision, published.unwrap_or(0))?;
        if published != Some(decision.generation) {
            source.decision = Some(decision.clone());
            self.show(&source);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
