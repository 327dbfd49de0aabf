//! Binds the sockets and takes the files before anything runs. Each error names its key of the configuration.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use daymark_authoritative::{
    Authoritative, BindError, InheritedSockets, ListenAddress, MasterFile, ServerIdentity, ServerSettings, SocketError,
};
use daymark_cloudflare::{BuildError, Cloudflare};
use daymark_config::{Config, Finding, ProviderConfig};
use daymark_connections::{ConnectionLimits, Connections};
use serde_json::Value;
use tokio::net::TcpListener;
use tracing::warn;

use super::{ProviderMemory, RememberingProvider, StartError};
use crate::admin::{AdminToken, token};
use crate::descriptors::DescriptorBudget;
use crate::metrics::Metrics;
use crate::node_discovery;
use crate::os::sockets;
use crate::peers::Transport;
use crate::state::{Loaded, LockError, StateDirectory, StateFile, StateLock};
use crate::zones;
use daymark_discovery::DiscoveredPools;
use daymark_files::{error_chain, is_missing};

/// The time in which a DNS client over TCP must send a query (RFC 7766, section 6.2.3: a few seconds).
const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn bind_authoritative(
    config: &Config,
    zone_file: Result<Option<MasterFile>, Finding>,
    connections: Option<ConnectionLimits>,
    inherited: &mut InheritedSockets,
) -> Result<Option<Authoritative>, Vec<StartError>> {
    let authoritative = zones::authoritative(config);
    let (Some(authoritative), Some(tcp_connections)) = (authoritative, connections) else { return Ok(None) };
    let zones = zone_file.map_err(|finding| vec![finding]).and_then(|zone_file| zones::checked(config, zone_file));
    let processors = thread::available_parallelism().ok();
    let identity = authoritative.identity.as_ref().or_else(|| Some(&config.peers.as_ref()?.membership.own));
    let server = ServerSettings {
        listen: authoritative.listen.clone(),
        freebind: authoritative.freebind,
        zones: zones.map_err(settings)?,
        tcp_connections,
        tcp_idle_timeout: TCP_IDLE_TIMEOUT,
        udp_workers: authoritative.udp_workers.or(processors).unwrap_or(NonZeroUsize::MIN),
        identity: ServerIdentity {
            name: identity.map_or_else(machine_name, |name| name.as_str().to_owned()),
            version: concat!("daymark ", env!("CARGO_PKG_VERSION")).to_owned(),
            nsid: authoritative.nsid,
            chaos: authoritative.chaos,
        },
        rate_limit: authoritative.rate_limit.clone(),
    };
    let at_its_key = |error: &SocketError| {
        let index = authoritative.listen.iter().position(|address| *address == error.address()).unwrap_or_default();
        let key = zones::key(config, &format!("listen[{index}]"));
        StartError::Setting(config.finding(&key, "--listen", error.to_string()))
    };
    Authoritative::bind(&server, inherited).map(Some).map_err(|error| match error {
        BindError::Zones(errors) => vec![StartError::Zones(errors)],
        BindError::Sockets(errors) => errors.iter().map(at_its_key).collect(),
    })
}

/// The faults with which a process starts that takes no other one's place: it could not probe, or has too few descriptors.
pub(super) fn faults_beside_predecessor(
    config: &Config,
    broken_files: Vec<Finding>,
    budget: &DescriptorBudget,
) -> Vec<Finding> {
    let mut faults = broken_files;
    for (index, pool) in config.pools.iter().enumerate() {
        if let Some(ca) = pool.probe.trust.file().filter(|ca| is_missing(ca)) {
            let message = format!(
                "{} does not exist; a file is needed, because the running Daymark probes and this one could not",
                ca.display()
            );
            faults.push(config.finding(&format!("pools[{index}].probe.ca"), "--ca", message));
        }
    }
    faults.extend(budget.own_shortage().map(|shortage| config.finding("admin", "", shortage)));
    faults
}

/// Logs a warning of each socket that nobody has taken. Daymark starts all the same: it serves the configured addresses.
pub(super) fn warn_of_unused_sockets(sockets: &InheritedSockets, has_predecessor: bool) {
    let mut addresses: Vec<ListenAddress> = sockets.addresses().collect();
    // An address has a UDP socket for each worker.
    addresses.dedup();
    for ListenAddress { address, transport } in addresses {
        if has_predecessor {
            warn!(
                "the running Daymark listens on {address} by {transport}, and the configuration has no such `listen`; no one \
                 answers there from now on"
            );
        } else {
            warn!(
                "the service manager has bound {address} by {transport}, but the configuration has no such `listen`, so no one \
                 answers there; change one of the two"
            );
        }
    }
}

/// The name of the machine, as the kernel has it.
fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn settings(findings: Vec<Finding>) -> Vec<StartError> {
    findings.into_iter().map(StartError::Setting).collect()
}

/// Sets up every remote provider with its memory, read by `look`. Returns every error with its key.
pub(crate) fn remote_providers(
    config: &Config,
    look: impl Fn(&StateFile<Value>) -> Loaded<Value>,
) -> Result<Vec<RememberingProvider>, Vec<Finding>> {
    let mut providers = Vec::new();
    let mut errors = Vec::new();
    for (index, provider) in config.providers.iter().enumerate() {
        let settings = match provider {
            ProviderConfig::Cloudflare(settings) => settings,
            ProviderConfig::Authoritative(_) => continue,
        };
        let memory = config.state_dir.as_deref().map(|dir| {
            let file = StateFile::of_provider(dir, &settings.name);
            let saved = loaded(look(&file));
            ProviderMemory { file, saved }
        });
        let saved = memory.as_ref().and_then(|memory| memory.saved.clone());
        match Cloudflare::new(settings.clone(), saved) {
            Ok(cloudflare) => providers.push(RememberingProvider { provider: Arc::new(cloudflare), memory }),
            Err(error) => {
                let key = match &error {
                    BuildError::Token(_) => format!("providers[{index}].tokenVariable"),
                    _ => format!("providers[{index}]"),
                };
                errors.push(config.finding(&key, "", error_chain(&error)));
            }
        }
    }
    if errors.is_empty() { Ok(providers) } else { Err(errors) }
}

/// The bound servers of the admin API.
pub(super) struct AdminListeners {
    pub(super) api: BoundServer,
    /// The server of the metrics alone.
    pub(super) metrics: Option<BoundServer>,
}

/// A bound listener, and the connections that it will have.
pub(super) struct BoundServer {
    pub(super) listener: TcpListener,
    pub(super) connections: Connections,
}

impl AdminListeners {
    /// Clones of the sockets.
    pub(super) fn clone_sockets(&self) -> io::Result<Vec<std::net::TcpListener>> {
        let servers = [&self.api].into_iter().chain(&self.metrics);
        servers.map(|server| Ok(server.listener.as_fd().try_clone_to_owned()?.into())).collect()
    }
}

pub(super) fn bind_admin(
    config: &Config,
    inherited: &mut InheritedSockets,
    limits: ConnectionLimits,
) -> Result<AdminListeners, Vec<Finding>> {
    let mut listen = |address, key, flag| {
        let listener = sockets::listen(address, config.admin.freebind, inherited).map_err(|error| {
            let error = SocketError::new(address, daymark_authoritative::DnsTransport::Tcp, error);
            config.finding(key, flag, error.to_string())
        })?;
        Ok(BoundServer { listener, connections: Connections::new(limits) })
    };
    let api = listen(config.admin.listen, "admin.listen", "--admin");
    let metrics = config.admin.metrics_listen.map(|address| listen(address, "admin.metricsListen", "")).transpose();
    match (api, metrics) {
        (Ok(api), Ok(metrics)) => Ok(AdminListeners { api, metrics }),
        (api, metrics) => Err(api.err().into_iter().chain(metrics.err()).collect()),
    }
}

/// The state directory, locked unless a predecessor has the lock. Daymark starts without a lock if the directory cannot be locked
/// yet, and tries again later.
pub(super) fn lock(config: &Config, has_predecessor: bool) -> Result<Option<StateDirectory>, Finding> {
    const COMMAND: &str = "daymark run";
    let Some(dir) = &config.state_dir else { return Ok(None) };
    let lock = match StateLock::take(dir, COMMAND) {
        Ok(lock) => Some(lock),
        Err(LockError::InUse { .. }) if has_predecessor => None,
        Err(in_use @ LockError::InUse { .. }) => return Err(in_use_finding(config, &in_use)),
        Err(error) => {
            warn!("{}", error_chain(&error));
            None
        }
    };
    Ok(Some(StateDirectory::new(dir, COMMAND, lock)))
}

/// The process that has the state, if there is one. It creates nothing.
pub(super) fn running_process(config: &Config) -> Option<Finding> {
    let dir = config.state_dir.as_ref()?;
    let by = StateLock::holder(dir)?;
    Some(in_use_finding(config, &LockError::InUse { dir: dir.clone(), by }))
}

fn in_use_finding(config: &Config, in_use: &LockError) -> Finding {
    let message = format!("{in_use}; `daymark run --take-over` takes the place of a running one");
    config.finding("stateDir", "--state-dir", message)
}

/// The admin token.
pub(super) struct BoundToken {
    pub(super) token: AdminToken,
    /// The directory in which the token could not be made yet.
    pub(super) missing_in: Option<PathBuf>,
}

/// The admin token of the configuration, or the one in the state directory, made if there is none.
pub(super) fn token(config: &Config) -> BoundToken {
    let mut missing_in = None;
    let token = match (&config.admin.token_file, &config.state_dir) {
        (Some(file), _) => AdminToken::in_file(file),
        (None, Some(dir)) => {
            if let Err(error) = token::make_in(dir) {
                let shown = dir.display();
                warn!("no admin token can be created in {shown}, so nobody can drain or force nodes: {error}");
                missing_in = Some(dir.clone());
            }
            AdminToken::in_dir(dir)
        }
        (None, None) => AdminToken::off(),
    };
    BoundToken { token, missing_in }
}

/// The content of a state file. Logs a warning if it cannot be used.
pub(crate) fn loaded<M>(Loaded { memory, warning }: Loaded<M>) -> Option<M> {
    if let Some(warning) = warning {
        warn!("{warning}");
    }
    memory
}

pub(super) fn bind_transport(
    config: &Config,
    inherited: &mut InheritedSockets,
    metrics: &Metrics,
) -> Result<Option<Transport>, Finding> {
    let Some(peers) = &config.peers else { return Ok(None) };
    let transport = Transport::bind(peers, inherited, metrics.clone());
    transport.map(Some).map_err(|error| config.finding("peers.listen", "", error.to_string()))
}

/// The discovered nodes of the pools of this configuration, and their state file.
#[derive(Default)]
pub(crate) struct RememberedNodes {
    /// The nodes that fit the configuration.
    pub(crate) discovered: DiscoveredPools,
    /// The file with its content; `None` if no state is kept.
    pub(crate) file: Option<SavedNodes>,
}

/// A state file of discovery, and its content.
pub(crate) struct SavedNodes {
    pub(crate) file: StateFile<DiscoveredPools>,
    pub(crate) content: DiscoveredPools,
}

/// Takes the discovered nodes from the state file, read by `look`.
pub(crate) fn remembered_nodes(
    config: &Config,
    look: impl Fn(&StateFile<DiscoveredPools>) -> Loaded<DiscoveredPools>,
) -> RememberedNodes {
    let Some(file) = config.state_dir.as_deref().map(StateFile::of_discovery) else {
        return RememberedNodes::default();
    };
    let content = loaded(look(&file)).unwrap_or_default();
    let mut discovered = content.clone();
    for message in discovered.retain_valid(&node_discovery::enabled(&config.pools)) {
        warn!("{message}");
    }
    RememberedNodes { discovered, file: Some(SavedNodes { file, content }) }
}
