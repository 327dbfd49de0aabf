//! The settings of the provider.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use daymark_decision::PoolName;

/// The base address of Cloudflare's API, version included.
pub const API: &str = "https://api.cloudflare.com/client/v4";
/// The TTL of records in seconds: the least that a zone without an Enterprise plan allows.
pub const RECORD_TTL: u32 = 60;
/// The TTL of records in seconds that an Enterprise zone allows.
pub const RECORD_TTL_ENTERPRISE: u32 = 30;
/// The TTL in seconds of a balancer that Daymark creates.
pub const BALANCER_TTL: u32 = 30;

/// The settings of one Cloudflare provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudflareSettings {
    /// The name in logs, metrics and `daymark status`.
    pub name: String,
    /// The settings of its calls.
    pub calls: CallSettings,
    /// The owner in the mark of what it creates, so that Daymarks of several clusters can share a zone; see [`is_owner`].
    pub owner: Option<String>,
    /// The interval between drift checks.
    pub drift_interval: Duration,
    /// The pools that it publishes. Never empty.
    pub pools: Vec<Served>,
    /// The objects that it writes.
    pub mode: PublishMode,
}

/// The settings of API calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSettings {
    /// The base address, version included, without a final slash. See [`API`].
    pub api: String,
    /// The place of the API token.
    pub token: TokenSource,
    /// The timeout of one call.
    pub timeout: Duration,
    /// The percentage, 1 to 100, of the 1,200 calls per five minutes that the provider may use.
    pub share: u8,
}

/// The place of the API token. Settings may be printed, so they never contain the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A file, read again when it changes. White space around the token is ignored.
    File(PathBuf),
    /// An environment variable of the process.
    Environment(String),
}

/// One pool that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its name, which is the name that clients resolve.
    pub pool: PoolName,
    /// The port of its nodes.
    pub port: u16,
    /// The longest time from a node's failure to the verdict on it.
    pub detection: Duration,
}

/// The objects that the provider writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishMode {
    /// DNS records, one for each target of the answer.
    Records {
        /// The zone that holds the records: its name, or its ID of 32 hex digits. Without it, each pool's zone is the one with
        /// the longest name in which the pool's name lies.
        zone: Option<String>,
        /// The TTL in seconds. `None` for the least that the zone allows, but not below [`RECORD_TTL_ENTERPRISE`].
        ttl: Option<u32>,
    },
    /// The switch `enabled` of the origins of Load Balancing pools.
    LoadBalancing {
        /// The ID of the account that has the pools, 32 hex digits.
        account: String,
        /// The zone of the balancers, its name or its ID. Without it, each pool's zone is found as for records.
        zone: Option<String>,
        /// The name or the ID of the Cloudflare pool behind each pool, in the order of [`CloudflareSettings::pools`].
        cloudflare_pools: Vec<String>,
        /// The part of the setup that Daymark manages.
        manage: Manage,
    },
}

/// The part of a Load Balancing setup that Daymark manages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manage {
    /// The switches of the origins of an existing pool.
    Origins,
    /// The pool and its balancer as well. Daymark creates them, corrects them, and marks them as its own.
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

/// Returns true for an ID of Cloudflare's, 32 hex digits, rather than a name.
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The most characters of an owner.
pub const MAX_OWNER_CHARS: usize = 32;

/// Returns true for a text that can be an owner: 1 to [`MAX_OWNER_CHARS`] letters, digits, `-`, `_` and `.`, of which the last is
/// no dot.
pub fn is_owner(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_OWNER_CHARS).contains(&text.len()) && text.bytes().all(is_allowed) && !text.ends_with('.')
}
