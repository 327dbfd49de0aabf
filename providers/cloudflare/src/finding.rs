//! Everything at Cloudflare that an operator should change, as sentences: the state first, then its effect, then what to do.
//! Pure. Refusals of calls have sentences of their own.

use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Family, PoolName, Target};
use daymark_provider::CLIENTS_NOTICE;

use crate::api::Record;
use crate::client::Call;
use crate::settings::TokenSource;

/// The ports on which Cloudflare's proxy passes HTTPS.
pub(crate) const PROXY_PORTS: [u16; 6] = [443, 2053, 2083, 2087, 2096, 8443];

/// One state at Cloudflare that keeps an answer from being published, or from reaching clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloudflareFinding {
    #[error("the token in {token} is {status}; create a new token, or activate this one")]
    TokenInactive { token: TokenSource, status: String },

    #[error(
        "the token sees no zone {zone}{}; check the name, and check that the token has the permission {} for this zone (an internal \
         zone has to be given by its ID)",
        account.as_ref().map(|account| format!(" of the account {account}")).unwrap_or_default(),
        Call::ReadZone.permission().unwrap_or_default()
    )]
    ZoneUnseen { zone: String, account: Option<String> },
    #[error("the token sees several zones {name}; set `zone` to the ID of the right one: {}", ids.join(", "))]
    ZoneAmbiguous { name: String, ids: Vec<String> },
    #[error(
        "the name {pool} does not lie in the zone {zone} ({id}), where Cloudflare would take it for {pool}.{zone}; set `zone` to the \
         zone of {pool}, or leave it out"
    )]
    ZoneElsewhere { pool: PoolName, zone: String, id: String },
    #[error("the zone {nearer} answers for {pool}, because it is nearer than the zone {zone}; set `zone` to it")]
    ZoneNearer { pool: PoolName, zone: String, nearer: String },
    #[error(
        "the zone {zone} is a secondary zone, whose records Cloudflare copies from another primary, so Daymark cannot write them; \
         use another zone, or `mode: loadBalancing`"
    )]
    ZoneSecondary { zone: String },
    #[error(
        "the zone {zone} is a partial (CNAME) zone, so the name answers only if its DNS provider has the record {pool} CNAME \
         {pool}.cdn.cloudflare.net; add it there, or make the zone a full one"
    )]
    ZonePartial { zone: String, pool: PoolName },
    #[error(
        "the zone {zone} is an internal zone, so only clients of Cloudflare Gateway resolve its names; use a zone of the Internet"
    )]
    ZoneInternal { zone: String },
    #[error(
        "the zone {zone} is {status}, so no resolver asks Cloudflare for its names; delegate it to Cloudflare's name servers at its \
         registrar"
    )]
    ZoneInactive { zone: String, status: String },

    #[error(
        "the records have a TTL of {ttl}s, because the zone does not allow {configured}s; set `ttl` to {ttl}s or more"
    )]
    TtlRaised { ttl: u32, configured: u32 },
    #[error(
        "{record} is not Daymark's, so the name has an address that Daymark does not decide; delete the record, or set its comment \
         to \"{mark}\" to hand it over"
    )]
    RecordForeign { record: RecordLabel, mark: String },
    #[error(
        "{record} belongs to {owner}, not to that of this configuration; give each cluster a name of its own, or set the record's \
         comment to \"{mark}\" to hand it over"
    )]
    RecordOfOther { record: RecordLabel, owner: String, mark: String },
    #[error("{record} is an alias, so the name cannot have addresses; delete the record")]
    RecordAlias { record: RecordLabel },
    #[error(
        "{record} delegates {}, so Cloudflare does not answer for {pool}; delete the record, or publish where it leads to",
        record.name
    )]
    RecordDelegates { record: RecordLabel, pool: PoolName },
    #[error("{record} is hidden behind the load balancer, and answers if that is disabled; delete the record")]
    RecordHidden { record: RecordLabel },
    #[error(
        "the zone has a load balancer {pool}, which answers instead of the records; delete or disable it, or set `mode: \
         loadBalancing`"
    )]
    RecordsBehindBalancer { pool: PoolName },

    #[error(
        "the account has no Cloudflare pool {name}; {}; create the pool, or correct `cloudflarePool`",
        known_text(known)
    )]
    PoolMissing { name: String, known: Vec<String> },
    #[error(
        "the Cloudflare pool {name} exists and {belonging}; set its description to \"{mark}\" to hand it over, choose another name, \
         or set `manage: origins`"
    )]
    PoolForeign { name: String, belonging: String, mark: String },
    #[error("the Cloudflare pool {name} is disabled, so no load balancer answers with it; enable the pool")]
    PoolDisabled { name: String },
    #[error(
        "the Cloudflare pool {name} has a {monitor}, which cannot verify a private CA and counts an origin of unknown health as \
         down; detach the {monitor}, because Daymark probes the nodes itself"
    )]
    PoolMonitored { name: String, monitor: &'static str },
    #[error(
        "the Cloudflare pool {name} sheds load, so a part of the clients gets other addresses than those of its enabled origins; \
         set the percentages of `load_shedding` to 0"
    )]
    PoolShedsLoad { name: String },
    #[error(
        "the Cloudflare pool {name} counts as unhealthy with fewer than {minimum} enabled origins, and has {count}; set its \
         `minimum_origins` to 1"
    )]
    PoolBelowMinimum { name: String, minimum: u64, count: usize },
    #[error(
        "the Cloudflare pool {name} is also used by {}, where the switches of {pool} take effect too; give each name a pool of its \
         own",
        others.join(", ")
    )]
    PoolShared { name: String, pool: PoolName, others: Vec<String> },

    #[error("no origin of the Cloudflare pool {pool} belongs to the node {target}; add one")]
    OriginMissing { pool: String, target: Target },
    #[error(
        "several origins of the Cloudflare pool {pool} belong to the node {target}: {}; keep one of them",
        origins.join(", ")
    )]
    OriginTwice { pool: String, target: Target, origins: Vec<String> },
    #[error(
        "origins of the Cloudflare pool {pool} have the weight 0, so Cloudflare never answers with them, enabled or not: {}; give \
         them a weight above 0",
        origins.join(", ")
    )]
    OriginWeightless { pool: String, origins: Vec<String> },
    #[error(
        "the Cloudflare pool {pool} has origins whose address is not public: {}; no client on the Internet reaches them, and \
         Cloudflare refuses them if a monitor is attached; use public addresses",
        origins.join(", ")
    )]
    OriginPrivate { pool: String, origins: Vec<String> },
    #[error(
        "no origin of the Cloudflare pool {pool} belongs to a node of the answer, so Daymark changes nothing there; give the \
         origins the names or the addresses of the nodes (answer: {answer}; origins: {origins})"
    )]
    OriginsElsewhere { pool: String, answer: String, origins: String },
    #[error(
        "no origin of the Cloudflare pool {pool} with a weight above 0 belongs to a node of the answer, so Daymark changes nothing \
         there; give the origins of the nodes weights (answer: {answer}; origins: {origins})"
    )]
    OriginsWithoutWeight { pool: String, answer: String, origins: String },

    #[error("the zone has no load balancer {name}; create one with the Cloudflare pool {pool}")]
    BalancerMissing { name: PoolName, pool: String },
    #[error(
        "the zone has a load balancer {name} that {belonging}; set its description to \"{mark}\" to hand it over, or set `manage: \
         origins`"
    )]
    BalancerForeign { name: PoolName, belonging: String, mark: String },
    #[error(
        "the load balancer {name} is disabled, so Cloudflare answers with the records of the name or not at all; enable it"
    )]
    BalancerDisabled { name: PoolName },
    #[error("the load balancer {name} does not use the Cloudflare pool {pool}; add it there")]
    BalancerUnused { name: PoolName, pool: String },
    #[error(
        "the load balancer {name} answers with the Cloudflare pool {pool} only if no other pool is healthy, so its switches have no \
         effect until then; make it the first of the default pools, with a weight above 0"
    )]
    BalancerFallsBack { name: PoolName, pool: String },
    #[error(
        "the load balancer {name} has `{field}`, which may choose other pools and origins than Daymark switches; remove them"
    )]
    BalancerOverridden { name: PoolName, field: &'static str },
    #[error(
        "the load balancer {name} is proxied, and Cloudflare's proxy does not pass port {port}, only {}; set it to DNS only",
        PROXY_PORTS.map(|port| port.to_string()).join(", ")
    )]
    BalancerProxied { name: PoolName, port: u16 },
    #[error(
        "the fallback pool {pool} of the load balancer {name} is disabled, so the name has no address when no pool is healthy; \
         enable it"
    )]
    FallbackDisabled { name: PoolName, pool: String },
    #[error(
        "the load balancer {name} has a TTL of {}s, and a failure is detected within {}s, so clients may use a dead node longer than \
         the {}s after which they notice by themselves; shorten the TTL",
        ttl.as_secs(), detection.as_secs_f64(), CLIENTS_NOTICE.as_secs()
    )]
    BalancerTtl { name: PoolName, ttl: Duration, detection: Duration },

    /// A change by someone else that is left alone. `drift` describes it.
    #[error(
        "{drift} again and again, so Daymark does not repair it until the answer changes; undo the change at Cloudflare, or let \
         only one writer manage it"
    )]
    Contested { drift: String },
    /// A deletion by someone else that is repaired only after pauses. `drift` describes it.
    #[error(
        "{drift} again and again, and without it the name has no address; Daymark creates it again after longer and longer pauses; \
         find out who deletes it, or stop Daymark if it should stay deleted"
    )]
    DeletedAgain { drift: String },
    #[error(
        "no {family} target has been usable yet, so the addresses of an earlier answer stay: {}; check the nodes and their probes",
        addresses_text(addresses)
    )]
    EarlierAnswer { family: Family, addresses: Vec<IpAddr> },
}

/// A record in a sentence, such as `the record lb.kube-cp.com A 192.0.2.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordLabel {
    name: String,
    kind: String,
    content: String,
}

impl From<&Record> for RecordLabel {
    fn from(Record { name, kind, content, .. }: &Record) -> Self {
        Self { name: name.clone(), kind: kind.clone(), content: content.clone() }
    }
}

impl std::fmt::Display for RecordLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, kind, content } = self;
        write!(f, "the record {name} {kind} {content}")
    }
}

fn known_text(known: &[String]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) }
}

fn addresses_text(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
