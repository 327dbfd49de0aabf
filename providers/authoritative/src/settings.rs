//! The settings of the server: the addresses to listen on, and the zones to serve.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use daymark_connections::ConnectionLimits;
use daymark_decision::PoolName;

use crate::dnssec::SigningSettings;
use crate::rate_limit::RateLimitSettings;

/// The settings of an authoritative server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The addresses to listen on, each by UDP and TCP. Port 0 takes a free port, the same for both.
    pub listen: Vec<SocketAddr>,
    /// Listen also on addresses that the host does not have yet, such as the virtual IP address of a standby.
    pub freebind: bool,
    /// The zones to serve.
    pub zones: Vec<ZoneSettings>,
    /// The limits of the TCP connections that are open at once, over all addresses. Above a limit an idle one is closed for a
    /// new one.
    pub tcp_connections: ConnectionLimits,
    /// The time a TCP client has to send a whole query, and again to read the whole response.
    pub tcp_idle_timeout: Duration,
    /// The threads that answer by UDP, each with a socket of every address.
    pub udp_workers: NonZeroUsize,
    /// The limit of the responses that one network gets by UDP.
    pub rate_limit: RateLimitSettings,
    /// The answers to questions about the server itself.
    pub identity: ServerIdentity,
}

/// The answers to questions about the server itself, and which of them are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerIdentity {
    /// The name that tells this server from the others of its zones.
    pub name: String,
    /// The name and the version of the program.
    pub version: String,
    /// Answer the NSID option with the name (RFC 5001).
    pub nsid: bool,
    /// Answer `id.server`, `hostname.bind`, `version.server` and `version.bind` of class CHAOS (RFC 4892).
    pub chaos: bool,
}

/// The settings of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSettings {
    /// The name of the zone's apex.
    pub apex: String,
    /// The pools of the zone. The name of each is the apex or below it.
    pub pools: Vec<PoolName>,
    /// The nameservers of the zone. The first is the primary (MNAME). NS and SOA records of the master file take precedence.
    pub nameservers: Vec<Nameserver>,
    /// The static records of the zone.
    pub master_file: Option<MasterFile>,
    /// The keys of the zone, if it is signed.
    pub signing: Option<SigningSettings>,
}

impl ZoneSettings {
    /// A zone with one pool, whose name is the apex.
    pub fn for_pool(pool: &PoolName, nameservers: &[Nameserver]) -> Self {
        Self {
            apex: pool.as_str().to_owned(),
            pools: vec![pool.clone()],
            nameservers: nameservers.to_vec(),
            master_file: None,
            signing: None,
        }
    }
}

/// One nameserver of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    /// Its DNS name.
    pub name: String,
    /// Its addresses. They are needed if the name is in the zone, and ignored otherwise.
    pub addresses: Vec<IpAddr>,
}

/// The contents of a master file (RFC 1035, section 5), and of the files that it includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterFile {
    /// The path of the file. Errors name it, and `$INCLUDE` is relative to it.
    pub path: PathBuf,
    /// The text of the file. Relative names are relative to the apex.
    pub text: String,
    /// The text of each file that is included, directly or by another one.
    pub included: BTreeMap<PathBuf, String>,
}
