//! The configuration of the provider that serves DNS.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use daymark_authoritative::RateLimitSettings;
use daymark_decision::HostName;

use crate::DnssecConfig;

/// Serving authoritative DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoritativeConfig {
    /// UDP and TCP addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Listen also on addresses that the host does not have yet.
    pub freebind: bool,
    /// The servers of the zone, the first as its primary (MNAME).
    pub nameservers: Vec<NameserverConfig>,
    /// The parent zone that holds the pools; `None`: each pool's name is the apex of a zone of its own.
    pub zone: Option<String>,
    /// Static records of the parent zone, as a master file (RFC 1035, section 5).
    pub zone_file: Option<PathBuf>,
    /// The most TCP connections that may be open at once.
    pub max_tcp_connections: usize,
    /// The most TCP connections that one client may have open at once.
    pub max_tcp_connections_per_client: usize,
    /// The limit of the responses that one network gets by UDP.
    pub rate_limit: RateLimitSettings,
    /// The threads that answer by UDP. `None`: as many as the host has processors.
    pub udp_workers: Option<NonZeroUsize>,
    /// The name that tells this server from the others of its zones. `None`: that of this host among the peers, or else that of the
    /// machine.
    pub identity: Option<HostName>,
    /// Answer the NSID option with the identity (RFC 5001).
    pub nsid: bool,
    /// Answer the questions of class CHAOS about the server (RFC 4892).
    pub chaos: bool,
    /// The keys that sign every zone; `None`: no zone is signed.
    pub dnssec: Option<DnssecConfig>,
}

/// One server of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameserverConfig {
    /// Its DNS name, without the final dot.
    pub name: String,
    /// Its addresses, for glue; may be empty if the name is outside the zone.
    pub addresses: Vec<IpAddr>,
}

impl AuthoritativeConfig {
    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.zone_file.as_deref().into_iter().chain(self.dnssec.iter().flat_map(DnssecConfig::files))
    }
}
