//! What the operator asked for: where to listen, and which zones to serve.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use daymark_decision::PoolName;

/// Everything the server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen, each by UDP and TCP. Port 0 takes a free port, the same for both.
    pub listen: Vec<SocketAddr>,
    /// The zones.
    pub zones: Vec<ZoneSettings>,
    /// How many TCP connections may be open at once, over all addresses. One more is closed as it comes.
    pub max_tcp_connections: usize,
    /// For how long a TCP client may take to send a whole query, and to take a whole response.
    pub tcp_idle: Duration,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSettings {
    /// The name of the zone.
    pub apex: String,
    /// The pools whose names lie in the zone, its apex included.
    pub pools: Vec<PoolName>,
    /// The servers of the zone, the first as its primary (MNAME). The NS and SOA records of the master file win over them.
    pub nameservers: Vec<Nameserver>,
    /// Static records.
    pub master_file: Option<MasterFile>,
}

impl ZoneSettings {
    /// The zone that is a pool's own.
    pub fn of_pool(pool: &PoolName, nameservers: &[Nameserver]) -> Self {
        Self {
            apex: pool.as_str().to_owned(),
            pools: vec![pool.clone()],
            nameservers: nameservers.to_vec(),
            master_file: None,
        }
    }
}

/// One server of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    /// Its DNS name.
    pub name: String,
    /// Its addresses. Needed where the name lies in the zone, and unused elsewhere.
    pub addresses: Vec<IpAddr>,
}

/// A master file (RFC 1035, section 5), as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterFile {
    /// Where it was read: for errors, and to find what it includes.
    pub path: PathBuf,
    /// Its text. Relative names are relative to the apex.
    pub text: String,
}
