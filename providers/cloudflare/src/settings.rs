//! What an operator tells the provider.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use daymark_decision::PoolName;

/// Where Cloudflare's API is, version included.
pub const API: &str = "https://api.cloudflare.com/client/v4";
/// The TTL of records in seconds, the least that a zone without an Enterprise plan allows.
pub const RECORD_TTL: u32 = 60;
/// The TTL of records in seconds that an Enterprise zone allows.
pub const RECORD_TTL_ENTERPRISE: u32 = 30;
/// The TTL in seconds of a balancer that Daymark makes.
pub const BALANCER_TTL: u32 = 30;

/// Everything the provider is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What logs, metrics and `daymark status` call it.
    pub name: String,
    /// How its calls are made.
    pub calls: CallSettings,
    /// How long what is published may stand unseen.
    pub drift_interval: Duration,
    /// The pools it publishes. Never empty.
    pub pools: Vec<Served>,
    /// What it writes.
    pub mode: Mode,
}

/// How calls of the API are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSettings {
    /// The base address, version included, without a final slash. See [`API`].
    pub api: String,
    /// What proves who calls.
    pub token: TokenSource,
    /// How long one call may take.
    pub timeout: Duration,
    /// The percentage, 1 to 100, of the 1,200 calls per five minutes that the provider may use.
    pub share: u8,
}

/// Where the API token is. It is never held in the settings, which may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A file, read again when it changes; white space around the token is ignored.
    File(PathBuf),
    /// An environment variable of the process.
    Environment(String),
}

/// One pool that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its name: the name that is answered.
    pub pool: PoolName,
    /// The port of its nodes.
    pub port: u16,
    /// From a node's failure to the verdict on it, at the longest.
    pub detection: Duration,
}

/// What the provider writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One DNS record a healthy target.
    Records {
        /// The zone that holds the records: its name, or its ID of 32 hex digits.
        zone: String,
        /// The TTL in seconds; `None` for the least that the zone allows, but not under [`RECORD_TTL_ENTERPRISE`].
        ttl: Option<u32>,
    },
    /// The switch `enabled` of the origins of Load Balancing pools.
    LoadBalancing {
        /// The ID of the account that has the pools, 32 hex digits.
        account: String,
        /// The zone of the balancers, its name or its ID; without one, balancers are neither checked nor made.
        zone: Option<String>,
        /// The name or the ID of the Cloudflare pool behind each pool, in the order of [`Settings::pools`].
        cloudflare_pools: Vec<String>,
        /// How much of it is Daymark's.
        manage: Manage,
    },
}

/// How much of a Load Balancing setup is Daymark's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manage {
    /// Which origins of an existing pool are enabled.
    Origins,
    /// Also the pool itself and its balancer, which it makes, keeps, and marks as its own. Needs a zone.
    Full {
        /// The TTL of the balancer in seconds.
        ttl: u32,
    },
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
        }
    }
}

/// Whether it is an ID of Cloudflare's, 32 hex digits, rather than a name.
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|it| it.is_ascii_hexdigit())
}
