//! The settings of the admin API.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// The address on which it listens.
    pub listen: SocketAddr,
    /// The address that serves the metrics and the health checks alone.
    pub metrics_listen: Option<SocketAddr>,
    /// Listen on both addresses also before the host has them.
    pub freebind: bool,
    /// The names in the `Host` header of requests.
    pub allowed_hosts: Vec<String>,
    /// The file with the token that writing needs; `None`: one that Daymark makes in the state directory, if there is one.
    pub token_file: Option<PathBuf>,
}
