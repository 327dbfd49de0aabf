//! The objects of Cloudflare's API, with the fields that Daymark reads. An object that Daymark sends back keeps its unknown
//! fields.
//!
//! Sources: the `OpenAPI` document of Cloudflare, and what its service adds to it.

use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::PoolName;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::idn::to_ascii;
use crate::mark::FoundMark;

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
    /// The TTL in seconds; 1 for the automatic one.
    #[serde(deserialize_with = "whole_seconds")]
    pub(crate) ttl: u64,
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
    #[serde(default, rename = "type")]
    pub(crate) kind: ZoneKind,
    #[serde(default)]
    pub(crate) account: ZoneAccount,
}

/// The way in which a zone comes to Cloudflare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ZoneKind {
    /// Its name servers are Cloudflare's.
    #[default]
    Full,
    /// Another provider answers for the zone, and leads single names to Cloudflare by CNAME.
    Partial,
    /// Cloudflare copies its records from another primary.
    Secondary,
    /// Only clients of Cloudflare Gateway resolve it.
    Internal,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The account of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ZoneAccount {
    #[serde(default)]
    pub(crate) id: Option<String>,
}

/// The plan that the owner of a zone pays for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ZonePlan {
    #[serde(default)]
    pub(crate) legacy_id: Option<String>,
}

/// One object that uses a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Reference {
    #[serde(default)]
    pub(crate) resource_name: String,
    #[serde(default)]
    pub(crate) resource_type: String,
}

/// The response to `GET /user/tokens/verify` and `GET /accounts/{account}/tokens/verify`.
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

    pub(crate) fn description(&self) -> Option<&str> {
        text(&self.0, "description")
    }

    /// Returns true if this field, `monitor` or `monitor_group`, names what checks the origins for Cloudflare.
    pub(crate) fn is_monitored_by(&self, field: &str) -> bool {
        text(&self.0, field).is_some_and(|id| !id.is_empty())
    }

    /// The number of enabled origins below which the pool is unhealthy.
    pub(crate) fn minimum_origins(&self) -> u64 {
        self.0.get("minimum_origins").and_then(whole).unwrap_or(1)
    }

    /// Returns true if the pool turns away a part of its traffic.
    pub(crate) fn sheds_load(&self) -> bool {
        let shed = self.0.get("load_shedding").and_then(Value::as_object);
        let percents =
            shed.into_iter().flat_map(|shed| ["default_percent", "session_percent"].map(|key| shed.get(key)));
        percents.flatten().any(|percent| percent.as_f64().is_some_and(|percent| percent > 0.0))
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

    /// Returns true if Cloudflare never answers with it, even if it is enabled: its weight is 0.
    pub(crate) fn is_weightless(&self) -> bool {
        self.0.get("weight").and_then(Value::as_f64).is_some_and(|weight| weight <= 0.0)
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

    /// Returns true if it answers for the name of this pool.
    pub(crate) fn is_of(&self, pool: &PoolName) -> bool {
        to_ascii(text(&self.0, "name").unwrap_or_default()) == pool.as_str()
    }

    pub(crate) fn description(&self) -> Option<&str> {
        text(&self.0, "description")
    }

    pub(crate) fn is_enabled(&self) -> bool {
        flag(&self.0, "enabled", true)
    }

    pub(crate) fn is_proxied(&self) -> bool {
        flag(&self.0, "proxied", false)
    }

    /// The TTL of its answers in seconds. A proxied balancer has none.
    pub(crate) fn ttl(&self) -> Option<u64> {
        self.0.get("ttl").and_then(whole)
    }

    pub(crate) fn fallback_pool(&self) -> &str {
        text(&self.0, "fallback_pool").unwrap_or_default()
    }

    /// Returns true if any field names the pool of this ID.
    pub(crate) fn uses(&self, pool: &str) -> bool {
        !pool.is_empty() && self.0.values().any(|value| holds(value, pool))
    }

    /// Returns true if the pool of this ID answers while it is healthy, by the balancer's steering.
    ///
    /// Without steering the first of the default pools answers. At random each of them does that has a weight. Other policies
    /// choose among the default pools or by region, country and point of presence.
    pub(crate) fn answers_with(&self, pool: &str) -> bool {
        let defaults = self.field("default_pools").as_array().map(Vec::as_slice).unwrap_or_default();
        let is_default = defaults.iter().any(|default| default == pool);
        let by_place = ["region_pools", "country_pools", "pop_pools"].map(|field| self.field(field));
        let has_places = by_place.iter().any(|pools| pools.as_object().is_some_and(|pools| !pools.is_empty()));
        match self.field("steering_policy").as_str() {
            Some("random") => is_default && self.random_weight(pool) > 0.0,
            // An empty policy is `geo` with such pools, and `off` without them.
            Some("off") => defaults.first().is_some_and(|first| first == pool),
            Some("") | None if !has_places => defaults.first().is_some_and(|first| first == pool),
            _ => is_default || by_place.iter().any(|pools| holds(pools, pool)),
        }
    }

    /// The weight of a pool under the steering policy `random`.
    fn random_weight(&self, pool: &str) -> f64 {
        let steering = self.field("random_steering");
        let weight = steering["pool_weights"][pool].as_f64();
        weight.or_else(|| steering["default_weight"].as_f64()).unwrap_or(1.0)
    }

    /// Returns true if it has rules that are not disabled.
    pub(crate) fn has_rules(&self) -> bool {
        let mut rules = self.0.get("rules").and_then(Value::as_array).into_iter().flatten();
        rules.any(|rule| rule.get("disabled").and_then(Value::as_bool) != Some(true))
    }

    /// Returns true if it chooses among sets of pools, before its other fields.
    pub(crate) fn has_pool_sets(&self) -> bool {
        match self.field("pool_sets") {
            Value::Array(sets) => !sets.is_empty(),
            Value::Object(sets) => !sets.is_empty(),
            _ => false,
        }
    }

    /// The value of one field, `null` if it is absent.
    pub(crate) fn field(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }
}

impl Reference {
    /// Returns true for a load balancer that uses the pool.
    pub(crate) fn is_balancer(&self) -> bool {
        self.resource_type == "load_balancer"
    }
}

impl Record {
    /// The mark of an address record of a Daymark.
    pub(crate) fn mark(&self) -> Option<FoundMark<'_>> {
        let has_address = matches!(self.kind.as_str(), "A" | "AAAA");
        FoundMark::read(self.comment.as_deref()).filter(|_| has_address)
    }

    /// Returns true if it was published before any target of its family was usable.
    pub(crate) fn is_guess(&self) -> bool {
        self.mark().is_some_and(|mark| mark.is_guess())
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

/// The zone of a pool.
#[derive(Clone, Debug)]
pub(crate) struct PoolZone {
    pub(crate) zone: CloudflareZone,
    /// The name of a nearer zone, which answers for the name instead.
    pub(crate) nearer: Option<String>,
}

/// The path of the records of a zone.
pub(crate) fn records_path(zone: &CloudflareZone) -> String {
    format!("/zones/{}/dns_records", zone.id)
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

/// Returns true if a value contains the ID of a pool.
fn holds(value: &Value, pool: &str) -> bool {
    match value {
        Value::String(text) => text == pool,
        Value::Array(list) => list.iter().any(|value| holds(value, pool)),
        Value::Object(object) => object.values().any(|value| holds(value, pool)),
        _ => false,
    }
}

/// A number without its fraction. The schema calls some integers numbers, and `60` may come as `60.0`.
fn whole(number: &Value) -> Option<u64> {
    number.as_u64().or_else(|| Some(Duration::try_from_secs_f64(number.as_f64()?).ok()?.as_secs()))
}

fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = Value::deserialize(deserializer)?;
    whole(&number).ok_or_else(|| serde::de::Error::custom(format!("{number} is no number of seconds")))
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

fn flag(object: &Map<String, Value>, field: &str, default: bool) -> bool {
    object.get(field).and_then(Value::as_bool).unwrap_or(default)
}
