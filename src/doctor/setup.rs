//! The setup that is looked at: the configuration with its zones and discovered nodes, and the servers to ask besides.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use daymark_config::{Config, ConfigErrors, PoolConfig};

use crate::app;
use crate::node_discovery;
use crate::state::StateFile;
use crate::zones;

/// The servers to ask beside those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoctorTargets {
    /// The servers of the parent zone; if empty, they are found from the root.
    pub parents: Vec<SocketAddr>,
    /// The root servers to begin at; if empty, those of the Internet.
    pub roots: Vec<SocketAddr>,
    /// The resolvers to ask beside those of this machine.
    pub resolvers: Vec<SocketAddr>,
    /// The file with the resolvers of this machine.
    pub resolv_conf: PathBuf,
    /// The port of the name servers.
    pub port: u16,
    /// The admin APIs of hosts, as HOST:PORT. If empty, that of the configuration on this machine.
    pub host_apis: Vec<String>,
}

/// Everything that a run looks at.
pub struct ExaminedSetup {
    /// The configuration.
    pub(super) config: Config,
    /// Its pools, with the discovered nodes that the state has.
    pub(super) pools: Vec<PoolConfig>,
    /// The zones that Daymark serves itself.
    pub(super) zones: Vec<DelegatedZone>,
    /// The servers to ask besides.
    pub(super) targets: DoctorTargets,
}

/// A zone that Daymark serves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DelegatedZone {
    /// Its name, in lower case and without the final dot.
    pub(super) apex: String,
    /// Its name servers.
    pub(super) servers: Vec<SetupServer>,
    /// The names of its pools.
    pub(super) pools: Vec<String>,
    /// True if it has a zone file, whose serial may be the base of its own.
    pub(super) has_file: bool,
}

/// A configured name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetupServer {
    /// Its name, in lower case and without the final dot.
    pub(super) name: String,
    /// Its addresses; may be empty if the name lies outside of the zone.
    pub(super) addresses: Vec<IpAddr>,
}

impl ExaminedSetup {
    /// Builds the zones of a configuration, and reads the discovered nodes from its state. Returns every error of the zone file.
    pub fn new(config: Config, targets: DoctorTargets) -> Result<Self, ConfigErrors> {
        let zones = served_zones(&config)?;
        let discovered = app::remembered_nodes(&config, StateFile::peek).discovered;
        let pools = node_discovery::complete(&discovered, &config.pools);
        Ok(Self { config, pools, zones, targets })
    }
}

fn served_zones(config: &Config) -> Result<Vec<DelegatedZone>, ConfigErrors> {
    let Some(authoritative) = zones::authoritative(config) else { return Ok(Vec::new()) };
    let prepared = zones::load(config).map_err(ConfigErrors)?.zones;
    let servers = zones::nameservers(config, &prepared).into_iter();
    let servers = servers.map(|server| SetupServer { name: canonical(&server.name), addresses: server.addresses });
    let servers: Vec<SetupServer> = servers.collect();
    let names = config.pools.iter().map(|pool| pool.pool.name.to_string());
    let has_file = authoritative.zone_file.is_some();
    Ok(match &authoritative.zone {
        Some(apex) => vec![DelegatedZone { apex: canonical(apex), servers, pools: names.collect(), has_file }],
        None => names
            .map(|name| DelegatedZone { apex: canonical(&name), servers: servers.clone(), pools: vec![name], has_file })
            .collect(),
    })
}

/// A name in lower case and without the final dot.
fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
