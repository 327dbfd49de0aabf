//! Spawns the tasks of a bound [`App`], from the core outwards: the driver, the publishers, the reloader with the
//! probes and discovery, and the admin API.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use daymark_authoritative::Authoritative;
use daymark_config::{Config, PoolConfig};
use daymark_decision::{Decision, Engine, Membership, Memory};
use daymark_discovery::{DiscoveredPools, DiscoveryStatuses};
use daymark_files::error_chain;
use daymark_gossip::Gossip;
use daymark_probe::{Supervisor, WatchOutputs};
use daymark_provider::{Provider, RemoteProvider};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::bind::{AdminListeners, BoundServer, BoundToken, RememberedNodes, loaded};
use super::tasks::Tasks;
use super::{App, RememberingProvider};
use crate::admin::{self, Admin, AllowedHosts, DnsReader, token as admin_token};
use crate::driver::{self, DRIVER_TIMEOUT, Driver, DriverWithHandle, Hosts, Outputs};
use crate::events::Events;
use crate::expiries::PoolExpiries;
use crate::last_good::{GoodConfig, GoodConfigWriter};
use crate::metrics::{ConnectionServer, DnsReadings, Metrics, QueryCount};
use crate::node_discovery::{self, DiscoveryState, PersistentDiscovery};
use crate::os::clock::Clock;
use crate::os::notify;
use crate::os::signals::Signals;
use crate::peers::keyfile::KeyFile;
use crate::peers::{self, ChannelEnds, ResolvedPeers, Transport, TransportChannels};
use crate::publish::{self, Progress, WriterLease};
use crate::reload::{Refused, Reloader};
use crate::start::{ConfigFile, RefusedStart};
use crate::state::{DecidedState, StateDirectory, StateFile, StateHealth, StateWriter, persist_decisions};
use crate::watchdog::Watchdog;

/// The parts that many tasks share.
struct Spawner<'a> {
    tasks: &'a mut Tasks,
    stop: CancellationToken,
    clock: Clock,
    events: Events,
    metrics: Metrics,
    watchdog: Watchdog,
    state: StateHealth,
}

/// The outlets of the driver.
struct Core {
    driver: driver::Handle,
    /// The decisions, once they are persisted.
    decisions: watch::Receiver<Decision>,
    /// The writer lease of this host.
    lease: watch::Receiver<WriterLease>,
}

/// The hosts as the driver and the publishers see them.
struct HostGroup {
    /// `None` for a host without peers.
    hosts: Option<Hosts>,
    channels: TransportChannels,
    lease: watch::Receiver<WriterLease>,
}

/// The files of a start, and what they hold.
struct StartFiles {
    /// The file of the configuration.
    file: Option<ConfigFile>,
    good: Option<GoodConfig>,
    refused: RefusedStart,
    nodes: RememberedNodes,
}

/// The states that the admin API shows of the reloader and of discovery.
struct Reloading {
    refused: Refused,
    statuses: DiscoveryStatuses,
    expiries: PoolExpiries,
}

/// The admin API before it runs.
struct AdminInputs {
    listeners: AdminListeners,
    allowed: AllowedHosts,
    token: BoundToken,
    extra: Router,
    driver: driver::Handle,
    providers: Vec<Progress>,
    reloading: Reloading,
    authoritative: Option<Arc<Authoritative>>,
    key_file: Option<Arc<KeyFile>>,
}

impl App {
    /// Spawns every task, and returns the signals to them. The first decision is published before the first query is read, unless
    /// DNS is served already.
    pub(super) fn spawn(self, tasks: &mut Tasks, stop: &CancellationToken, reload: Arc<Notify>) -> Signals {
        let mut spawner = Spawner {
            tasks,
            stop: stop.clone(),
            clock: self.clock,
            events: Events::default(),
            metrics: self.metrics,
            watchdog: Watchdog::default(),
            state: self.state,
        };
        if let Some(directory) = self.directory {
            spawner.directory(directory, &self.config);
        }
        let nodes = super::remembered_nodes(&self.config, |file| file.load(self.clock.now()));
        let key_file = self.transport.as_ref().map(Transport::key_file);
        let signing_lines = self.authoritative.as_ref().map(|dns| dns.signing_lines()).unwrap_or_default();
        let Core { driver, decisions, lease } =
            spawner.driver(&self.config, &signing_lines, &nodes.discovered, self.transport);
        let providers = spawner.publishers(self.authoritative.as_ref(), self.remote_providers, &decisions, &lease);
        if let Some(server) = self.authoritative.clone().filter(|_| !self.is_serving) {
            spawner.tasks.serve_dns(server, None, stop.clone());
        }
        spawner.tasks.spawn("the notifier", notify::keep_alive(spawner.watchdog.clone(), stop.clone()));
        // The publishers alone keep the decisions, so the state writer ends with them.
        drop(decisions);
        let allowed = AllowedHosts::new(&self.config.admin.allowed_hosts);
        let files = StartFiles { file: self.file, good: self.good, refused: self.refused, nodes };
        let reloading = spawner.reloader(files, self.config, driver.clone(), self.authoritative.clone(), reload);
        spawner.admin(AdminInputs {
            listeners: self.admin,
            allowed,
            token: self.token,
            extra: self.extra,
            driver,
            providers,
            reloading,
            authoritative: self.authoritative,
            key_file,
        });
        self.signals
    }
}

impl Spawner<'_> {
    /// Looks after the state directory, with the admin token that Daymark has made in it.
    fn directory(&mut self, directory: StateDirectory, config: &Config) {
        self.state.set_directory(directory.clone());
        let token_dir = config.state_dir.clone().filter(|_| config.admin.token_file.is_none());
        let refill = move || {
            if let Some(Err(error)) = token_dir.as_deref().map(admin_token::make_in) {
                warn!("the admin token cannot be created again: {error}");
            }
        };
        let state = self.state.clone();
        let record = move |dir: &Path, outcome| state.record(dir, outcome);
        let looking = directory.look_after(record, refill, self.stop.clone());
        self.tasks.spawn("the guard of the state directory", looking);
    }

    /// Spawns the driver, the writer of its state, and the transport to the other hosts.
    fn driver(
        &mut self,
        config: &Config,
        signing_lines: &BTreeSet<String>,
        discovered: &DiscoveredPools,
        transport: Option<Transport>,
    ) -> Core {
        let file = config.state_dir.as_deref().map(StateFile::new);
        let memory = file.as_ref().and_then(|file| loaded(file.load(self.clock.now()))).unwrap_or_default();
        let membership = config.peers.as_ref().map(|peers| peers.membership.clone());
        let HostGroup { hosts, channels, lease } = self.cluster(config, signing_lines, membership.as_ref());
        let loaded = memory.clone();
        let engine = engine(&node_discovery::complete(discovered, &config.pools), membership, memory, &self.clock);
        let (decided, from_driver) = watch::channel(DecidedState::default());
        let outputs = Outputs {
            decisions: decided,
            events: self.events.clone(),
            metrics: self.metrics.clone(),
            watchdog_handle: self.watchdog.watch("the driver", DRIVER_TIMEOUT),
        };
        let DriverWithHandle { driver, handle } = Driver::with_handle(engine, hosts, self.clock, outputs);
        self.tasks.spawn("the driver", driver.run());
        if let Some(mut transport) = transport {
            self.remember_peers(config, &mut transport);
            info!("the gossip with the other hosts listens on {}", shown(transport.local_addr()));
            let watchdog_handle = self.watchdog.watch("the gossip", peers::TRANSPORT_TIMEOUT);
            self.tasks.spawn("the gossip", transport.run(channels, watchdog_handle, self.stop.clone()));
        }
        let first = from_driver.borrow().decision.clone();
        let (to_providers, decisions) = watch::channel(first);
        let writer = persist_decisions(file, loaded, from_driver, to_providers, self.state.clone());
        self.tasks.spawn("the state writer", writer);
        Core { driver: handle, decisions, lease }
    }

    /// Takes over the addresses of the peers from before a restart, and saves newer ones.
    fn remember_peers(&mut self, config: &Config, transport: &mut Transport) {
        let Some(file) = config.state_dir.as_deref().map(ResolvedPeers::file) else { return };
        let known = loaded(file.load(self.clock.now())).unwrap_or_default();
        transport.remember(&known);
        let writer = StateWriter::new(file, self.state.clone(), Some(known));
        self.tasks.spawn("the writer of the peers' addresses", peers::save_addresses(writer, transport.addresses()));
    }

    fn cluster(&self, config: &Config, signing_lines: &BTreeSet<String>, membership: Option<&Membership>) -> HostGroup {
        let ChannelEnds { driver, transport } = peers::channels();
        let first = if membership.is_some() { WriterLease::Unclear } else { WriterLease::NotNeeded };
        let (to_publishers, lease) = watch::channel(first);
        let hosts = membership.map(|membership| {
            let gossip = Gossip::new(membership, self.clock.started().as_millis(), self.clock.now());
            let hashes = peers::configuration_hashes(&config.pools, signing_lines);
            Hosts::new(gossip, hashes, driver, to_publishers, self.metrics.clone(), self.state.clone())
        });
        HostGroup { hosts, channels: transport, lease }
    }

    /// Spawns a publisher for each provider.
    fn publishers(
        &mut self,
        authoritative: Option<&Arc<Authoritative>>,
        remote_providers: Vec<RememberingProvider>,
        decisions: &watch::Receiver<Decision>,
        lease: &watch::Receiver<WriterLease>,
    ) -> Vec<Progress> {
        let mut providers = Vec::new();
        if let Some(authoritative) = authoritative {
            providers.push(self.dns(authoritative, decisions.clone()));
        }
        for RememberingProvider { provider, memory } in remote_providers {
            let inputs = publish::remote::Inputs {
                decisions: decisions.clone(),
                lease: lease.clone(),
                memory: memory.map(|memory| StateWriter::new(memory.file, self.state.clone(), memory.saved)),
                shutdown: self.stop.clone(),
            };
            providers.push(self.remote_publisher(provider, inputs));
        }
        providers
    }

    /// Publishes the first decision, and from then on each one.
    fn dns(&mut self, authoritative: &Arc<Authoritative>, decisions: watch::Receiver<Decision>) -> Progress {
        let first = decisions.borrow().clone();
        if let Err(error) = authoritative.publish(&first) {
            warn!("the first answer is not published: {}", error_chain(&error));
        }
        let progress = Progress::local(authoritative.name(), self.clock);
        let publisher = publish::local::publish(authoritative.clone(), decisions, progress.clone(), self.stop.clone());
        self.tasks.spawn("the publisher to the DNS server", publisher);
        let addresses: Vec<String> = authoritative.local_addrs().iter().map(ToString::to_string).collect();
        info!("DNS is served on {}", addresses.join(", "));
        progress
    }

    fn remote_publisher(&mut self, provider: Arc<dyn RemoteProvider>, inputs: publish::remote::Inputs) -> Progress {
        info!("provider {} publishes through {}", provider.name(), provider.system());
        let counted = Arc::clone(&provider);
        let progress = Progress::remote(provider.name(), self.clock, move || counted.readings());
        let task = format!("the publisher of provider {}", provider.name());
        self.tasks.spawn(task, publish::remote::publish(provider, inputs, progress.clone()));
        progress
    }

    /// Spawns the reloader, which owns the probes and discovery.
    fn reloader(
        &mut self,
        files: StartFiles,
        config: Config,
        driver: driver::Handle,
        authoritative: Option<Arc<Authoritative>>,
        reload: Arc<Notify>,
    ) -> Reloading {
        let StartFiles { file, good, refused, nodes } = files;
        let statuses = DiscoveryStatuses::default();
        let good_file = config.state_dir.as_deref().map(GoodConfig::state_file);
        let good_writer = good_file.map(|file| StateWriter::new(file, self.state.clone(), None));
        let good = GoodConfigWriter::new(good_writer, good);
        let writer = nodes.file.map(|nodes| StateWriter::new(nodes.file, self.state.clone(), Some(nodes.content)));
        let remembered = DiscoveryState { discovered: nodes.discovered, writer };
        let discovery =
            PersistentDiscovery::new(remembered, driver.clone(), self.clock, self.events.clone(), statuses.clone());
        let probes = supervisor(driver.clone(), self.watchdog.clone());
        let mut reloader = Reloader::new(file, config, good, driver, probes, discovery, authoritative);
        reloader.refuse_newest(refused.errors, refused.config);
        let refused = reloader.refused();
        let expiries = reloader.expiries();
        self.tasks.spawn("the reloader", reloader.run(reload, self.stop.clone()));
        Reloading { refused, statuses, expiries }
    }

    fn admin(&mut self, inputs: AdminInputs) {
        if let Some(dir) = inputs.token.missing_in {
            self.tasks.spawn("the maker of the admin token", admin_token::keep_making(dir, self.stop.clone()));
        }
        let servers = connection_servers(inputs.authoritative.as_deref(), &inputs.listeners);
        let admin = Admin {
            driver: inputs.driver,
            clock: self.clock,
            events: self.events.clone(),
            statuses: inputs.reloading.statuses,
            expiries: inputs.reloading.expiries,
            metrics: self.metrics.clone(),
            watchdog: self.watchdog.clone(),
            providers: inputs.providers,
            state: self.state.clone(),
            refused: inputs.reloading.refused,
            servers,
            dns: dns_reader(inputs.authoritative),
            key_file: inputs.key_file,
            token: inputs.token.token,
        };
        let AdminListeners { api, metrics } = inputs.listeners;
        if let Some(BoundServer { listener, connections }) = metrics {
            info!("the metrics alone are served on {}", shown(listener.local_addr()));
            let routes = admin::metrics_routes(admin.clone());
            let server = admin::serve(listener, routes, inputs.allowed.clone(), connections, self.stop.clone());
            self.tasks.spawn_fallible("the server of the metrics", server);
        }
        let routes = admin::routes(admin).merge(inputs.extra);
        info!("the admin API listens on {}", shown(api.listener.local_addr()));
        let server = admin::serve(api.listener, routes, inputs.allowed, api.connections, self.stop.clone());
        self.tasks.spawn_fallible("the admin API", server);
    }
}

/// The servers of TCP clients, for the metrics.
fn connection_servers(authoritative: Option<&Authoritative>, listeners: &AdminListeners) -> Vec<ConnectionServer> {
    let dns = authoritative.map(|dns| ConnectionServer { name: "dns", connections: dns.connections().clone() });
    let of = |name, server: &BoundServer| ConnectionServer { name, connections: server.connections.clone() };
    let metrics = listeners.metrics.as_ref().map(|server| of("metrics", server));
    dns.into_iter().chain([of("admin", &listeners.api)]).chain(metrics).collect()
}

/// The core for these pools, with its memory.
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

fn shown(address: io::Result<SocketAddr>) -> String {
    address.map_or_else(|error| error.to_string(), |address| address.to_string())
}

fn dns_reader(authoritative: Option<Arc<Authoritative>>) -> DnsReader {
    Arc::new(move || {
        let counts = authoritative.iter().flat_map(|server| server.response_counts());
        let queries = counts.map(|counted| QueryCount {
            transport: counted.transport.as_str(),
            rcode: counted.code.to_owned(),
            count: counted.count,
        });
        DnsReadings {
            queries: queries.collect(),
            copied: authoritative.as_ref().map_or(0, |server| server.copied_responses()),
            rate_limited: authoritative.as_ref().map(|server| server.rate_limit_counts()),
            signatures: authoritative.iter().flat_map(|server| server.signatures()).collect(),
        }
    })
}
