//! The objects of Cloudflare's API, with the fields that Daymark reads. An object that Daymark sends back keeps its unknown
//! fields.
//!
//! Sources: the `OpenAPI` document of Cloudflare, and what its service adds to it.

use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::PoolName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{GUESS_MARK, MARK};

/// The fields of an origin that only Cloudflare writes. Only lists have `healthy` and `failure_reason`.
const READ_ONLY: [&str; 3] = ["disabled_at", "healthy", "failure_reason"];

/// A Load Balancing pool.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct CloudflarePool(Map<String, Value>);

/// An origin of a Load Balancing pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CloudflareOrigin(Map<String, Value>);

/// A load balancer of a zone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Balancer(Map<String, Value>);

/// A DNS record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) content: String,
    pub(crate) ttl: u32,
    #[serde(default)]
    pub(crate) proxied: bool,
    #[serde(default)]
    pub(crate) comment: Option<String>,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct CloudflareZone {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `active` when its name servers are Cloudflare's.
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) plan: ZonePlan,
}

/// The plan that the owner of a zone pays for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ZonePlan {
    #[serde(default)]
    pub(crate) legacy_id: Option<String>,
}

/// The response to `GET /user/tokens/verify`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct TokenStatus {
    pub(crate) status: String,
}

impl CloudflarePool {
    pub(crate) fn id(&self) -> &str {
        text(&self.0, "id").unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        text(&self.0, "name").unwrap_or_default()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        flag(&self.0, "enabled", true)
    }

    /// Returns true if it is Daymark's, created for the pool of this name.
    pub(crate) fn is_ours(&self, pool: &PoolName) -> bool {
        is_created_for(text(&self.0, "description"), pool)
    }

    /// Returns true if a monitor of Cloudflare's checks the origins.
    pub(crate) fn has_monitor(&self) -> bool {
        text(&self.0, "monitor").is_some_and(|id| !id.is_empty())
    }

    pub(crate) fn origins(&self) -> Vec<CloudflareOrigin> {
        let origins = self.0.get("origins").and_then(Value::as_array).into_iter().flatten();
        origins.filter_map(Value::as_object).cloned().map(CloudflareOrigin).collect()
    }
}

impl CloudflareOrigin {
    /// An origin that Daymark creates.
    pub(crate) fn new(name: &str, address: IpAddr, is_enabled: bool) -> Self {
        let mut origin = Map::new();
        origin.insert("name".to_owned(), name.into());
        origin.insert("address".to_owned(), address.to_string().into());
        origin.insert("enabled".to_owned(), is_enabled.into());
        Self(origin)
    }

    pub(crate) fn name(&self) -> &str {
        text(&self.0, "name").unwrap_or_default()
    }

    /// An IP address or a host name.
    pub(crate) fn address(&self) -> &str {
        text(&self.0, "address").unwrap_or_default()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        flag(&self.0, "enabled", true)
    }

    /// Returns true if it is in a private network that Cloudflare reaches by a tunnel.
    pub(crate) fn is_tunnelled(&self) -> bool {
        text(&self.0, "virtual_network_id").is_some_and(|id| !id.is_empty())
    }

    pub(crate) fn enable(&mut self, is_enabled: bool) {
        self.0.insert("enabled".to_owned(), is_enabled.into());
    }

    pub(crate) fn move_to(&mut self, address: IpAddr) {
        self.0.insert("address".to_owned(), address.to_string().into());
    }

    /// The origin without the fields that only Cloudflare writes, fit to be sent back.
    pub(crate) fn writable(mut self) -> Self {
        self.0.retain(|field, _| !READ_ONLY.contains(&field.as_str()));
        self
    }
}

impl Balancer {
    pub(crate) fn id(&self) -> &str {
        text(&self.0, "id").unwrap_or_default()
    }

    /// The name that it answers for, in lower case.
    pub(crate) fn name(&self) -> String {
        text(&self.0, "name").unwrap_or_default().to_ascii_lowercase()
    }

    /// Returns true if it is Daymark's, created for the pool of this name.
    pub(crate) fn is_ours(&self, pool: &PoolName) -> bool {
        is_created_for(text(&self.0, "description"), pool)
    }

    pub(crate) fn is_proxied(&self) -> bool {
        flag(&self.0, "proxied", false)
    }

    /// The TTL of its answers in seconds. A proxied balancer has none.
    pub(crate) fn ttl(&self) -> Option<u64> {
        // The schema calls it a number, not an integer.
        let ttl = self.0.get("ttl")?;
        ttl.as_u64().or_else(|| Some(Duration::try_from_secs_f64(ttl.as_f64()?).ok()?.as_secs()))
    }

    pub(crate) fn fallback_pool(&self) -> &str {
        text(&self.0, "fallback_pool").unwrap_or_default()
    }

    /// Returns true if any field names the pool of this ID.
    pub(crate) fn uses(&self, pool: &str) -> bool {
        fn holds(value: &Value, pool: &str) -> bool {
            match value {
                Value::String(text) => text == pool,
                Value::Array(list) => list.iter().any(|value| holds(value, pool)),
                Value::Object(object) => object.values().any(|value| holds(value, pool)),
                _ => false,
            }
        }
        !pool.is_empty() && self.0.values().any(|value| holds(value, pool))
    }

    /// The value of one field, `null` if it is absent.
    pub(crate) fn field(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }
}

impl Record {
    /// Returns true for an address record of Daymark's.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.kind.as_str(), "A" | "AAAA") && bears_mark(self.comment.as_deref())
    }

    /// Returns true if it was published before any target of its family was usable.
    pub(crate) fn is_guess(&self) -> bool {
        self.comment.as_deref().is_some_and(|comment| comment.starts_with(GUESS_MARK))
    }

    /// Returns true if clients get this address from the record. A proxied record gives an address of Cloudflare's.
    pub(crate) fn resolves_to(&self, address: IpAddr) -> bool {
        !self.proxied && self.address() == Some(address)
    }

    /// Its address, if its type is A or AAAA.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let has_address = matches!(self.kind.as_str(), "A" | "AAAA");
        has_address.then(|| self.content.parse().ok()).flatten()
    }
}

impl CloudflareZone {
    /// Returns true if its name servers are Cloudflare's.
    pub(crate) fn is_active(&self) -> bool {
        self.status.as_deref() == Some("active")
    }

    pub(crate) fn is_enterprise(&self) -> bool {
        self.plan.legacy_id.as_deref() == Some("enterprise")
    }
}

/// Returns true if the text begins with the mark as a word of its own.
fn bears_mark(text: Option<&str>) -> bool {
    let rest = text.and_then(|text| text.strip_prefix(MARK));
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-' || next == '_'))
}

/// Returns true if the text bears the mark and names no other pool.
fn is_created_for(text: Option<&str>, pool: &PoolName) -> bool {
    let rest = text.and_then(|text| text.strip_prefix(MARK)).and_then(|rest| rest.strip_prefix(" for "));
    let name = rest.map(|rest| rest.split_whitespace().next().unwrap_or_default().trim_end_matches([',', ';', '.']));
    bears_mark(text) && name.is_none_or(|name| name.eq_ignore_ascii_case(pool.as_str()))
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

fn flag(object: &Map<String, Value>, field: &str, default: bool) -> bool {
    object.get(field).and_then(Value::as_bool).unwrap_or(default)
}
