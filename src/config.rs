//! The configuration: read from a file or from flags, checked whole, and typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use daymark_decision::Pool;

use crate::probe;

/// Everything that `daymark run` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The pools, each with the way it is probed.
    pub pools: Vec<PoolConfig>,
    /// What publishes the answers.
    pub providers: Vec<ProviderConfig>,
    /// The admin API.
    pub admin: AdminConfig,
    /// Where the state file lives; `None` keeps no state over restarts.
    pub state_dir: Option<PathBuf>,
}

/// One pool and the way it is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// What the core knows of it.
    pub pool: Pool,
    /// What the probes know of it.
    pub probe: probe::Settings,
}

/// What publishes the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderConfig {
    /// Daymark serves the zone itself.
    Authoritative(AuthoritativeConfig),
}

/// Serving authoritative DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoritativeConfig {
    /// UDP and TCP addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// The servers of the zone, the first as its primary (MNAME).
    pub nameservers: Vec<Nameserver>,
    /// The parent zone that holds the pools; `None`: each pool's name is the apex of a zone of its own.
    pub zone: Option<String>,
    /// Static records of the parent zone, as a master file (RFC 1035, section 5).
    pub zone_file: Option<PathBuf>,
    /// How many TCP connections may be open at once.
    pub max_tcp_connections: usize,
}

/// One server of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    /// Its DNS name, without the final dot.
    pub name: String,
    /// Its addresses, for glue; may be empty where the name is outside the zone.
    pub addresses: Vec<std::net::IpAddr>,
}

/// The admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The file with the token that writing needs; `None`: no one may write.
    pub token_file: Option<PathBuf>,
}
