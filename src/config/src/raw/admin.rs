//! The section of the admin API.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::key::Key;
use crate::values::{DnsName, FilePath, ListenText, Text};

pub(crate) const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9353);

/// The admin API and the metrics.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Admin")]
pub(crate) struct RawAdmin {
    /// The address to listen on.
    #[serde(default)]
    #[schemars(extend("default" = ADMIN_LISTEN.to_string()))]
    pub(crate) listen: Key<Text<ListenText>>,
    /// Another address, which serves the metrics and the health checks alone.
    #[serde(default)]
    pub(crate) metrics_listen: Key<Text<ListenText>>,
    /// Listen also on addresses that this host does not have yet.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(crate) freebind: Key<bool>,
    /// The names in the `Host` header of requests; IP addresses and `localhost` are always allowed.
    #[serde(default)]
    pub(crate) allowed_hosts: Key<Vec<Key<Text<DnsName>>>>,
    /// A file with the token that writing needs, white space around it ignored; by default one that Daymark makes in `stateDir`.
    #[serde(default)]
    pub(crate) token_file: Key<Text<FilePath>>,
}
