//! What is bound and taken before anything runs, each with the sentence on why it cannot be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::{Authoritative, BindError, InheritedSockets, ListenAddress, ServerSettings, SocketError};
use daymark_cloudflare::{BuildError, Cloudflare};
use daymark_config::{Config, ProviderConfig};
use serde_json::Value;
use tokio::net::TcpListener;
use tracing::warn;

use super::{ProviderMemory, RememberingProvider};
use crate::admin::{AdminToken, token};
use crate::discovery;
use crate::metrics::Metrics;
use crate::os::sockets;
use crate::peers::{Transport, TransportError};
use crate::state::{Loaded, StateFile};
use crate::state::{LockError, StateLock};
use crate::zones;
use daymark_discovery::DiscoveredPools;
use daymark_files::error_chain;

/// How long a DNS client over TCP may take to send a query (RFC 7766, section 6.2.3: a few seconds).
const TCP_IDLE: Duration = Duration::from_secs(10);

pub(super) fn bind_authoritative(
    config: &Config,
    given: InheritedSockets,
) -> Result<Option<Authoritative>, Vec<String>> {
    let authoritative = zones::authoritative(config);
    let is_wanted = |place: &SocketAddr| authoritative.is_some_and(|it| it.listen.contains(place));
    // No reason not to start: what is configured is served, and who asks elsewhere is no worse off than without Daymark.
    for ListenAddress { address, transport } in given.addresses().filter(|listen| !is_wanted(&listen.address)) {
        warn!(
            "the service manager has bound {address} by {transport}, and no provider has that address in `listen`, so no one \
             answers there; one of the two is to be changed"
        );
    }
    let Some(authoritative) = authoritative else { return Ok(None) };
    let settings = ServerSettings {
        listen: authoritative.listen.clone(),
        zones: zones::checked(config)?,
        max_tcp_connections: authoritative.max_tcp_connections,
        tcp_idle_timeout: TCP_IDLE,
    };
    let at_its_key = |error: &SocketError| {
        let index = authoritative.listen.iter().position(|address| *address == error.address()).unwrap_or_default();
        let key = zones::key(config, &format!("listen[{index}]"));
        config.finding(&key, "--listen", error.to_string()).to_string()
    };
    Authoritative::bind(&settings, given).map(Some).map_err(|error| match error {
        BindError::Zones(errors) => errors.0.iter().map(ToString::to_string).collect(),
        BindError::Sockets(errors) => errors.iter().map(at_its_key).collect(),
    })
}

/// Sets up every remote provider with its memory, read by `look`. On errors, returns each as a sentence with its key.
pub(crate) fn remote_providers(
    config: &Config,
    look: impl Fn(&StateFile<Value>) -> Loaded<Value>,
) -> Result<Vec<RememberingProvider>, Vec<String>> {
    let mut providers = Vec::new();
    let mut errors = Vec::new();
    for (index, provider) in config.providers.iter().enumerate() {
        let ProviderConfig::Cloudflare(settings) = provider else { continue };
        let memory = config.state_dir.as_deref().map(|dir| {
            let file = StateFile::of_provider(dir, &settings.name);
            let saved = told(look(&file));
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
                errors.push(config.finding(&key, "", error_chain(&error)).to_string());
            }
        }
    }
    if errors.is_empty() { Ok(providers) } else { Err(errors) }
}

pub(super) fn bind_admin(config: &Config) -> Result<TcpListener, String> {
    let listen = config.admin.listen;
    sockets::listen(listen).map_err(|error| {
        let sentence = format!("cannot listen on {listen} by tcp: {error}; a free address of this host is needed");
        config.finding("admin.listen", "--admin", sentence).to_string()
    })
}

/// Takes the state for this run. A directory that takes no lock is no reason not to start.
pub(super) fn lock(config: &Config) -> Result<Option<StateLock>, String> {
    let Some(dir) = &config.state_dir else { return Ok(None) };
    match StateLock::take(dir, "daymark run") {
        Ok(lock) => Ok(Some(lock)),
        Err(held @ LockError::InUse { .. }) => {
            Err(config.finding("stateDir", "--state-dir", held.to_string()).to_string())
        }
        Err(impossible) => {
            warn!("{}", error_chain(&impossible));
            Ok(None)
        }
    }
}

/// The token, and the directory where it is still to be made.
pub(super) fn token(config: &Config) -> (AdminToken, Option<PathBuf>) {
    match (&config.admin.token_file, &config.state_dir) {
        (Some(file), _) => (AdminToken::in_file(file), None),
        (None, Some(dir)) => {
            let Err(error) = token::make_in(dir) else { return (AdminToken::in_dir(dir), None) };
            let shown = dir.display();
            warn!("no admin token can be made in {shown}: {error}; until one can be, no one can drain or force nodes");
            (AdminToken::in_dir(dir), Some(dir.clone()))
        }
        (None, None) => (AdminToken::off(), None),
    }
}

/// What a file remembers; where it cannot be used, that is logged.
pub(crate) fn told<M>(Loaded { memory, warning }: Loaded<M>) -> Option<M> {
    if let Some(warning) = warning {
        warn!("{warning}");
    }
    memory
}

pub(super) fn bind_wire(config: &Config, metrics: &Metrics) -> Result<Option<Transport>, String> {
    let Some(peers) = &config.peers else { return Ok(None) };
    Transport::bind(peers, metrics.clone()).map(Some).map_err(|error| {
        let key = match error {
            TransportError::Bind { .. } => "peers.listen",
            TransportError::Keys(_) => "peers.keyFile",
        };
        config.finding(key, "", error_chain(&error)).to_string()
    })
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
    let content = told(look(&file)).unwrap_or_default();
    let mut discovered = content.clone();
    for message in discovered.retain_valid(&discovery::enabled(&config.pools)) {
        warn!("{message}");
    }
    RememberedNodes { discovered, file: Some(SavedNodes { file, content }) }
}
