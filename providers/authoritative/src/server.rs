//! The server. It owns the sockets, the zones and the latest decision.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use daymark_connections::Connections;
use daymark_decision::Decision;
use daymark_provider::{DecisionError, Provider, validate};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::bind::{BindError, Binding, BoundSockets, InheritedSockets, bind_all};
use crate::counters::{DnsTransport, ResponseCount, ResponseCounters};
use crate::engine_responder::Properties;
use crate::inputs::ServedInputs;
use crate::rate_limit::{RateLimitCounts, RateLimitSettings, ResponseRateLimit};
use crate::responder::Responder;
use crate::settings::{Nameserver, ServerSettings, ZoneSettings};
use crate::tcp::{self, TcpLimits};
use crate::udp::{self, FailedSocket, StopSignal, UdpEndpoint};
use crate::zone::{MissingGlue, Zone, ZoneErrors};

mod signing;

pub use signing::{ZoneKeyStatus, ZoneSignatures};
use signing::{signing_lines, unix_now};

/// An authoritative DNS server of zones whose pools have the answers of the latest decision.
pub struct Authoritative {
    sockets: Vec<BoundSockets>,
    udp_workers: NonZeroUsize,
    limits: TcpLimits,
    responder: Arc<Responder>,
    properties: Properties,
    /// Only changes take this lock; queries do not.
    inputs: Mutex<ServedInputs>,
}

/// An error that ended the server although it was not told to stop. The caller should end the process.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket can no longer be used.
    #[error("the socket on {address} by {transport} failed")]
    Socket {
        /// The address of the socket.
        address: SocketAddr,
        /// The transport of the socket.
        transport: DnsTransport,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel has no descriptor by which the server would stop its workers.
    #[error("the DNS server cannot start its workers")]
    Signal(#[source] io::Error),
    /// A task panicked, which is a bug.
    #[error("a task of the DNS server failed")]
    Task(#[from] JoinError),
}

impl From<FailedSocket> for ServeError {
    fn from(FailedSocket { address, source }: FailedSocket) -> Self {
        Self::Socket { address, transport: DnsTransport::Udp, source }
    }
}

impl Authoritative {
    /// Builds the zones, takes the inherited sockets of its addresses, and binds one for every other address. The kernel queues queries until
    /// [`serve`](Self::serve) is called.
    pub fn bind(settings: &ServerSettings, inherited: &mut InheritedSockets) -> Result<Self, BindError> {
        let zones = PreparedZones::build(&settings.zones)?.0;
        let properties = Properties {
            identity: Arc::new(settings.identity.clone()),
            keepalive: u16::try_from(settings.tcp_idle_timeout.as_millis() / 100).unwrap_or(u16::MAX),
        };
        let inputs = ServedInputs::new(zones);
        let how = Binding { freebind: settings.freebind, udp_workers: settings.udp_workers };
        let sockets = bind_all(&settings.listen, how, inherited)?;
        Ok(Self {
            sockets,
            udp_workers: settings.udp_workers,
            limits: TcpLimits {
                connections: Connections::new(settings.tcp_connections),
                idle_timeout: settings.tcp_idle_timeout,
            },
            responder: Arc::new(Responder {
                served: ArcSwap::new(Arc::new(inputs.served(&properties, unix_now()))),
                counters: ResponseCounters::default(),
                rate_limit: ResponseRateLimit::new(settings.rate_limit.clone(), Instant::now()),
            }),
            properties,
            inputs: Mutex::new(inputs),
        })
    }

    /// The addresses that the server listens on, each by UDP and TCP. Port 0 is replaced by the port that the kernel chose.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|sockets| sockets.address).collect()
    }

    /// Serves until `stop` is cancelled. Every task has ended when this returns.
    ///
    /// # Panics
    /// If it is called outside a tokio runtime.
    pub async fn serve(&self, stop: CancellationToken) -> Result<(), ServeError> {
        self.serve_prepared(self.prepare()?, stop).await
    }

    /// Takes every descriptor that serving needs, so that [`serve_prepared`](Self::serve_prepared) begins without a fault.
    ///
    /// # Panics
    /// If it is called outside a tokio runtime.
    pub fn prepare(&self) -> Result<PreparedSockets, ServeError> {
        let clone = |sockets: &BoundSockets| {
            let address = sockets.address;
            let listener = sockets.tcp.try_clone().and_then(TcpListener::from_std);
            let listener =
                listener.map_err(|source| ServeError::Socket { address, transport: DnsTransport::Tcp, source })?;
            Ok(TcpEndpoint { address, listener })
        };
        Ok(PreparedSockets {
            tcp: self.sockets.iter().map(clone).collect::<Result<_, ServeError>>()?,
            udp: self.endpoints()?,
            signal: StopSignal::new().map_err(ServeError::Signal)?,
        })
    }

    /// Serves from prepared sockets until `stop` is cancelled. Every task has ended when this returns.
    ///
    /// # Panics
    /// If it is called outside a tokio runtime.
    pub async fn serve_prepared(&self, prepared: PreparedSockets, stop: CancellationToken) -> Result<(), ServeError> {
        let PreparedSockets { tcp, udp, signal } = prepared;
        // A child token, so that a task that fails can stop the others.
        let stop = stop.child_token();
        let mut tasks = JoinSet::new();
        for TcpEndpoint { address, listener } in tcp {
            let tcp_error = move |source| ServeError::Socket { address, transport: DnsTransport::Tcp, source };
            let limits = self.limits.clone();
            let responder = Arc::clone(&self.responder);
            let stopped = stop.clone();
            tasks.spawn(async move { tcp::serve(listener, &responder, &limits, &stopped).await.map_err(tcp_error) });
        }
        // The workers end also if this future is dropped.
        let _at_the_end = signal.clone().on_drop();
        for endpoints in udp {
            let responder = Arc::clone(&self.responder);
            let signal = signal.clone();
            tasks.spawn_blocking(move || udp::serve(&endpoints, &responder, &signal).map_err(ServeError::from));
        }
        let stopped = stop.clone();
        tasks.spawn(async move {
            stopped.cancelled().await;
            signal.stop();
            Ok(())
        });
        let join = async {
            let mut result = Ok(());
            while let Some(ended) = tasks.join_next().await {
                stop.cancel();
                result = result.and(ended.map_err(ServeError::from).flatten());
            }
            result
        };
        tokio::select! {
            result = join => result,
            () = self.keep_signatures(SystemTime::now) => Ok(()),
        }
    }

    /// The UDP sockets of each worker. Each socket has a worker, and each worker a socket of every address, which several share if
    /// there are fewer.
    fn endpoints(&self) -> Result<Vec<Vec<UdpEndpoint>>, ServeError> {
        let workers = self.udp_workers.get();
        let mut endpoints: Vec<Vec<UdpEndpoint>> = (0..workers).map(|_| Vec::new()).collect();
        for BoundSockets { address, udp, .. } in &self.sockets {
            for index in 0..udp.len().max(workers) {
                let socket = udp[index % udp.len()].try_clone();
                let socket = socket.map_err(|source| FailedSocket { address: *address, source })?;
                endpoints[index % workers].push(UdpEndpoint { address: *address, socket });
            }
        }
        Ok(endpoints)
    }

    /// Clones of all sockets, for a process that is to take over from this one.
    pub fn clone_sockets(&self) -> io::Result<InheritedSockets> {
        let udp = self.sockets.iter().flat_map(|bound| &bound.udp).map(StdUdpSocket::try_clone);
        let tcp = self.sockets.iter().map(|bound| bound.tcp.try_clone());
        Ok(InheritedSockets { udp: udp.collect::<io::Result<_>>()?, tcp: tcp.collect::<io::Result<_>>()? })
    }

    /// Replaces the zones and keeps the current decision.
    ///
    /// A reload calls this first, then [publishes](Provider::publish) a decision of a newer generation. (A decision of the
    /// current generation changes nothing.) If the zones have a pool that the current decision lacks, the former zones are served
    /// until one has it. So a new pool has its answer from its first query on, and no removed pool gets SERVFAIL.
    pub fn configure(&self, zones: PreparedZones) {
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.set_zones(zones.0);
        self.replace_served(&inputs, unix_now());
    }

    /// Replaces the limit of the responses by UDP.
    pub fn limit_rate(&self, settings: RateLimitSettings) {
        self.responder.rate_limit.configure(settings);
    }

    /// The numbers of responses above the limit since the start.
    pub fn rate_limit_counts(&self) -> RateLimitCounts {
        self.responder.rate_limit.counts()
    }

    /// The number of responses since the start, for each transport and response code, including zeros.
    pub fn response_counts(&self) -> Vec<ResponseCount> {
        self.responder.counters.read()
    }

    /// The number of responses since the start that were copied from the table of finished responses.
    pub fn copied_responses(&self) -> u64 {
        self.responder.counters.copied()
    }

    /// The open TCP connections, with the limits of their number.
    pub fn connections(&self) -> &Connections {
        &self.limits.connections
    }

    /// Replaces what is served. The caller holds the lock of the inputs, so the latest change takes effect last.
    ///
    /// `now` is in seconds since the Unix epoch.
    fn replace_served(&self, inputs: &ServedInputs, now: u64) {
        self.responder.served.store(Arc::new(inputs.served(&self.properties, now)));
    }
}

/// The descriptors of a server that is about to begin. The kernel queues queries meanwhile.
pub struct PreparedSockets {
    tcp: Vec<TcpEndpoint>,
    /// The sockets of each worker.
    udp: Vec<Vec<UdpEndpoint>>,
    signal: StopSignal,
}

/// A listener that is to be served.
struct TcpEndpoint {
    address: SocketAddr,
    listener: TcpListener,
}

/// Zones that are built and checked, ready to be served.
#[derive(Debug)]
pub struct PreparedZones(Vec<Arc<Zone>>);

impl PreparedZones {
    /// Builds the zones. The errors are for the operator to fix.
    pub fn build(zones: &[ZoneSettings]) -> Result<Self, ZoneErrors> {
        Ok(Self(Zone::build_all(zones)?.into_iter().map(Arc::new).collect()))
    }

    /// The nameservers of each zone, by the NS records of its apex. Only those in the zone have their addresses.
    pub fn nameservers(&self) -> impl Iterator<Item = Vec<Nameserver>> {
        self.0.iter().map(|zone| zone.nameservers())
    }

    /// The keys of the zones, their roles and the kind of the proofs, as lines. Hosts with the same lines sign alike.
    pub fn signing_lines(&self) -> BTreeSet<String> {
        signing_lines(&self.0)
    }

    /// The delegations of the zones to nameservers in them that have no address.
    pub fn missing_glue(&self) -> impl Iterator<Item = MissingGlue> {
        self.0.iter().flat_map(|zone| zone.missing_glue())
    }
}

impl Provider for Authoritative {
    fn name(&self) -> &'static str {
        "authoritative"
    }

    fn publish(&self, decision: &Decision) -> Result<(), DecisionError> {
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let published = inputs.generation();
        validate(decision, published.unwrap_or(0))?;
        if published != Some(decision.generation) {
            inputs.set_decision(decision);
            self.replace_served(&inputs, unix_now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
