//! The settings of a server for the tests of every binary.

use std::num::NonZeroUsize;
use std::time::Duration;

use daymark_authoritative::{RateLimitSettings, ServerIdentity, ServerSettings, ZoneSettings};
use daymark_connections::ConnectionLimits;

/// Settings that serve these zones at an address, with one UDP worker and up to this many connections.
pub(crate) fn server_settings(listen: &str, zones: Vec<ZoneSettings>, connections: usize) -> ServerSettings {
    ServerSettings {
        listen: vec![listen.parse().unwrap()],
        freebind: false,
        zones,
        tcp_connections: ConnectionLimits { all: connections, per_client: connections },
        tcp_idle_timeout: Duration::from_mins(1),
        udp_workers: NonZeroUsize::MIN,
        identity: ServerIdentity {
            name: "dns-1".to_owned(),
            version: "daymark test".to_owned(),
            nsid: true,
            chaos: false,
        },
        rate_limit: RateLimitSettings::default(),
    }
}
