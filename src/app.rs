//! The whole: binds everything, then spawns everything, and joins it all at the end. The only module that knows all parts.

mod bind;

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use daymark_authoritative::{Authoritative, InheritedSockets};
use daymark_config::{Config, PoolConfig};
use daymark_decision::{Decision, Engine, Membership, Memory};
use daymark_discovery::DiscoveryStatuses;
use daymark_gossip::Gossip;
use daymark_probe::{Supervisor, WatchOutputs};
use daymark_provider::{Provider, RemoteProvider};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::bind::{bind_admin, bind_authoritative, bind_wire, lock, token};
use crate::admin::{self, Admin, AdminToken, QueryCounts, token as admin_token};
use crate::discovery::{self, DiscoveryState, PersistentDiscovery};
use crate::driver::{self, DRIVER_TIMEOUT, Driver, Hosts, Outputs};
use crate::events::Events;
use crate::metrics::Metrics;
use crate::os::clock::Clock;
use crate::os::notify;
use crate::os::signals::{SignalRequest, Signals};
use crate::peers::{self, Transport, TransportChannels};
use crate::publish::{self, Progress, WriterLease};
use crate::reload::Reloader;
use crate::state::StateFile;
use crate::state::StateLock;
use crate::state::{DecidedState, StateHealth, StateWriter, persist_decisions};
use crate::watchdog::Watchdog;
use daymark_files::error_chain;

pub(crate) use self::bind::{RememberedNodes, remembered_nodes, remote_providers, told};

/// Everything that kept Daymark from starting. Nothing was started, and the operator has to mend it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct StartErrors(pub Vec<String>);

/// Why a running Daymark ended without having been told to, or at once.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A part ended that must not.
    #[error("{0}")]
    Part(String),
    /// A second signal came before the end.
    #[error("stopped at once by a second signal")]
    Aborted,
}

/// Everything bound and nothing running.
pub struct App {
    config: Config,
    file: Option<PathBuf>,
    clock: Clock,
    authoritative: Option<Arc<Authoritative>>,
    remote_providers: Vec<RememberingProvider>,
    wire: Option<Transport>,
    metrics: Metrics,
    admin: TcpListener,
    /// With the directory where it is still to be made.
    token: (AdminToken, Option<PathBuf>),
    extra: Router,
    signals: Signals,
    lock: Option<StateLock>,
}

/// A remote provider, and its memory if state is kept.
pub(crate) struct RememberingProvider {
    pub(crate) provider: Arc<dyn RemoteProvider>,
    pub(crate) memory: Option<ProviderMemory>,
}

/// The file of a provider's memory, and the memory that it holds.
pub(crate) struct ProviderMemory {
    pub(crate) file: StateFile<Value>,
    pub(crate) saved: Option<Value>,
}

type Parts = JoinSet<Result<(), String>>;

impl App {
    /// Binds every socket that is not given and takes the state. `file` is where the configuration came from, to be read again
    /// when it changes.
    pub fn bind(config: Config, file: Option<PathBuf>, given: InheritedSockets) -> Result<Self, StartErrors> {
        // From here on a signal is taken in, also one that comes before everything runs.
        let signals = Signals::new().map_err(|error| StartErrors(vec![format!("signals cannot be taken: {error}")]))?;
        let (clock, mut errors) = (Clock::start(), Vec::new());
        let authoritative = bind_authoritative(&config, given).unwrap_or_else(|sentences| {
            errors.extend(sentences);
            None
        });
        let metrics = Metrics::default();
        let wire = bind_wire(&config, &metrics).unwrap_or_else(|sentence| {
            errors.push(sentence);
            None
        });
        let admin = bind_admin(&config).map_err(|sentence| errors.push(sentence)).ok();
        match admin {
            Some(admin) if errors.is_empty() => {
                let lock = lock(&config).map_err(|sentence| StartErrors(vec![sentence]))?;
                let remote_providers = remote_providers(&config, |file| file.load(clock.now())).map_err(StartErrors)?;
                let (token, authoritative, extra) = (token(&config), authoritative.map(Arc::new), Router::new());
                Ok(Self {
                    config,
                    file,
                    clock,
                    authoritative,
                    remote_providers,
                    wire,
                    metrics,
                    admin,
                    token,
                    extra,
                    signals,
                    lock,
                })
            }
            _ => Err(StartErrors(errors)),
        }
    }

    /// Serves these routes beside the admin API.
    #[cfg(feature = "demo")]
    #[must_use]
    pub fn with_routes(self, extra: Router) -> Self {
        Self { extra, ..self }
    }

    /// Runs until a signal, or until a part fails. When it returns, every task has ended.
    pub async fn run(mut self) -> Result<(), RunError> {
        let _lock = self.lock.take();
        let (stop, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
        let (mut signals, mut parts) = self.spawn(&stop, &reload);
        notify::ready();
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    SignalRequest::Reload => reload.notify_one(),
                    SignalRequest::Stop if stop.is_cancelled() => return Err(RunError::Aborted),
                    SignalRequest::Stop => {
                        info!("stopping; a second signal stops at once");
                        notify::stopping();
                        stop.cancel();
                    }
                },
                ended = parts.join_next() => {
                    let Some(ended) = ended else { return outcome };
                    let ended = ended.unwrap_or_else(|crash| Err(format!("a part has crashed: {crash}")));
                    let is_early = !stop.is_cancelled();
                    match ended {
                        Err(fault) => outcome = outcome.and(Err(RunError::Part(fault))),
                        Ok(()) if is_early => outcome = Err(RunError::Part("a part ended that must not".to_owned())),
                        Ok(()) => {}
                    }
                    stop.cancel();
                }
            }
        }
    }

    fn spawn(self, stop: &CancellationToken, reload: &Arc<Notify>) -> (Signals, Parts) {
        let mut parts = Parts::new();
        let (events, metrics, watchdog) = (Events::default(), self.metrics, Watchdog::default());
        let (clock, state) = (self.clock, StateHealth::default());
        let (newest, from_driver) = watch::channel(DecidedState::default());
        let file = self.config.state_dir.as_deref().map(StateFile::new);
        let memory = file.as_ref().and_then(|file| told(file.load(clock.now()))).unwrap_or_default();
        let membership = membership(&self.config);
        let (hosts, channels, lease) = hosts(&self.config, membership.as_ref(), &clock, &metrics);
        let RememberedNodes { discovered, file: nodes_file } =
            remembered_nodes(&self.config, |file| file.load(clock.now()));
        let writer = nodes_file.map(|nodes| StateWriter::new(nodes.file, state.clone(), Some(nodes.content)));
        let engine = engine(&discovery::complete(&discovered, &self.config.pools), membership, memory, &clock);
        let watchdog_handle = watchdog.watch("the driver", DRIVER_TIMEOUT);
        let outputs = Outputs { decisions: newest, events: events.clone(), metrics: metrics.clone(), watchdog_handle };
        let (driver, handle) = Driver::new(engine, hosts, clock, outputs);
        parts.spawn(endless(driver.run()));
        if let Some(wire) = self.wire {
            info!("the gossip with the other hosts listens on {}", shown(wire.local_addr()));
            let watchdog_handle = watchdog.watch("the gossip", peers::TRANSPORT_TIMEOUT);
            parts.spawn(endless(wire.run(channels, watchdog_handle, stop.clone())));
        }

        let first = from_driver.borrow().decision.clone();
        let (to_providers, decisions) = watch::channel(first);
        parts.spawn(endless(persist_decisions(file, from_driver, to_providers, state.clone())));
        let mut providers = Vec::new();
        if let Some(authoritative) = &self.authoritative {
            providers.push(serve_dns(&mut parts, authoritative.clone(), decisions.clone(), clock, stop));
        }
        for RememberingProvider { provider, memory } in self.remote_providers {
            let memory = memory.map(|memory| StateWriter::new(memory.file, state.clone(), memory.saved));
            let (decisions, lease, shutdown) = (decisions.clone(), lease.clone(), stop.clone());
            let inputs = publish::remote::Inputs { decisions, lease, memory, shutdown };
            providers.push(publish_remotely(&mut parts, provider, inputs, clock));
        }
        drop(decisions);

        parts.spawn(endless(notify::keep_alive(watchdog.clone(), stop.clone())));
        let probes = supervisor(handle.clone(), watchdog.clone());
        let authoritative = self.authoritative.clone();
        let statuses = DiscoveryStatuses::default();
        let remembered = DiscoveryState { discovered, writer };
        let discovery = PersistentDiscovery::new(remembered, handle.clone(), clock, events.clone(), statuses.clone());
        let reloader = Reloader::new(self.file, self.config, handle.clone(), probes, discovery, authoritative.clone());
        let refused = reloader.refused();
        parts.spawn(endless(reloader.run(reload.clone(), stop.clone())));

        let queries = query_counts(authoritative);
        let (token, missing_in) = self.token;
        if let Some(dir) = missing_in {
            parts.spawn(endless(admin_token::keep_making(dir, stop.clone())));
        }
        let driver = handle;
        let admin =
            Admin { driver, clock, events, statuses, metrics, watchdog, providers, state, refused, queries, token };
        let routes = admin::routes(admin).merge(self.extra);
        info!("the admin API listens on {}", shown(self.admin.local_addr()));
        let stop = stop.clone();
        parts.spawn(async move { admin::serve(self.admin, routes, stop).await.map_err(part("the admin API")) });
        (self.signals, parts)
    }
}

/// The core for these pools, with what it remembers.
pub(crate) fn engine(pools: &[PoolConfig], membership: Option<Membership>, memory: Memory, clock: &Clock) -> Engine {
    let pools = pools.iter().map(|config| config.pool.clone()).collect();
    Engine::new(membership, pools, memory, clock.now())
}

/// The supervisor of the probes. Observations go to the driver, heartbeats to the watchdog.
fn supervisor(driver: driver::Handle, watchdog: Watchdog) -> Supervisor {
    Supervisor::new(WatchOutputs {
        observe: Arc::new(move |target, observation| {
            if driver.observe(target.clone(), observation).is_err() {
                warn!("the driver takes no observation of {target}");
            }
        }),
        heartbeat: Box::new(move |name, allowed| {
            let watchdog_handle = watchdog.watch(name, allowed);
            Box::new(move || watchdog_handle.heartbeat())
        }),
    })
}

fn membership(config: &Config) -> Option<Membership> {
    config.peers.as_ref().map(|peers| peers.membership.clone())
}

/// The gossip with the other hosts, if there are any, the transport's ends of its channels, and the writer lease of this host.
fn hosts(
    config: &Config,
    membership: Option<&Membership>,
    clock: &Clock,
    metrics: &Metrics,
) -> (Option<Hosts>, TransportChannels, watch::Receiver<WriterLease>) {
    let (driver_channels, transport_channels) = peers::channels();
    let first = if membership.is_some() { WriterLease::Unclear } else { WriterLease::NotNeeded };
    let (to_publishers, lease) = watch::channel(first);
    let hosts = membership.map(|membership| {
        let gossip = Gossip::new(membership, clock.started().as_millis(), clock.now());
        Hosts::new(gossip, peers::configuration_hashes(&config.pools), driver_channels, to_publishers, metrics.clone())
    });
    (hosts, transport_channels, lease)
}

fn shown(address: io::Result<SocketAddr>) -> String {
    address.map_or_else(|error| error.to_string(), |address| address.to_string())
}

/// Publishes the first decision, and only then serves: the first query gets an answer.
fn serve_dns(
    parts: &mut Parts,
    authoritative: Arc<Authoritative>,
    decisions: watch::Receiver<Decision>,
    clock: Clock,
    stop: &CancellationToken,
) -> Progress {
    let first = decisions.borrow().clone();
    if let Err(error) = authoritative.publish(&first) {
        warn!("the first answer is not published: {}", error_chain(&error));
    }
    let progress = Progress::local(authoritative.name(), clock);
    let publisher = publish::local::publish(authoritative.clone(), decisions, progress.clone(), stop.clone());
    parts.spawn(endless(publisher));
    let addresses: Vec<String> = authoritative.local_addrs().iter().map(ToString::to_string).collect();
    info!("DNS is served on {}", addresses.join(", "));
    let stop = stop.clone();
    parts.spawn(async move { authoritative.serve(stop).await.map_err(|error| error_chain(&error)) });
    progress
}

fn publish_remotely(
    parts: &mut Parts,
    provider: Arc<dyn RemoteProvider>,
    inputs: publish::remote::Inputs,
    clock: Clock,
) -> Progress {
    info!("provider {} publishes through {}", provider.name(), provider.system());
    let counted = Arc::clone(&provider);
    let progress = Progress::remote(provider.name(), clock, move || counted.usage());
    parts.spawn(endless(publish::remote::publish(provider, inputs, progress.clone())));
    progress
}

fn query_counts(authoritative: Option<Arc<Authoritative>>) -> QueryCounts {
    Arc::new(move || {
        let counts = authoritative.iter().flat_map(|server| server.response_counts());
        counts.map(|counted| (counted.transport.as_str(), counted.code.to_owned(), counted.count)).collect()
    })
}

/// A part without a fault of its own.
async fn endless(part: impl Future<Output = ()>) -> Result<(), String> {
    part.await;
    Ok(())
}

fn part<E: Display>(name: &str) -> impl Fn(E) -> String + use<'_, E> {
    move |error| format!("{name} failed: {error}")
}
