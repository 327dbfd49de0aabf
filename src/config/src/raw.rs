//! The file as it is written: every key, once, with its kind, its default and its message. The reader, the schema and the
//! page of the configuration follow from it. Keys without `default` must be there; [`typed`](super::typed) says so.

mod admin;
mod cloudflare;
mod dnssec;
mod nodes;
mod rate_limit;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use daymark_decision::{HostName, Mode, NodeName, PoolName};
use schemars::JsonSchema;
use serde::Deserialize;

use super::PeerAddress;
use super::key::Key;
use super::values::{
    BoundedDuration, ClusterName, DnsName, FilePath, HostAddress, ListenText, PEER_PORT, PingUrl, RequestPath,
    ServeAddress, ServerName, Text, Whole, duration_text,
};

pub(super) use self::admin::{ADMIN_LISTEN, RawAdmin};
pub(super) use self::cloudflare::{CALL_SHARE, CALL_TIMEOUT, CloudflareTtl, DRIFT_INTERVAL, RawCloudflare, RawServed};
pub(super) use self::dnssec::{RawDnssec, RawDnssecKey};
pub(super) use self::nodes::{DISCOVERY_INTERVAL, RawDiscovered, RawFromKubernetes, RawNodes, SELECTOR, SHRINK_PAUSE};
pub(super) use self::rate_limit::RawRateLimit;

pub(super) const PORT: u16 = 6443;
pub(super) const PRIORITY: u16 = 0;
pub(super) const WEIGHT: u16 = 1;
pub(super) const PATH: &str = "/readyz";
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const TLS_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const RISE: u32 = 2;
pub(super) const FALL: u32 = 3;
pub(super) const CONFIRM_INTERVAL: Duration = Duration::from_millis(100);
pub(super) const LATE_AFTER: Duration = Duration::from_secs(1);
pub(super) const FRESH_EVERY: u32 = 10;
pub(super) const MAX_ANSWERS: u16 = 8;
pub(super) const TTL_MAX: Duration = Duration::from_secs(5);
pub(super) const TTL_MIN: Duration = Duration::from_secs(1);
pub(super) const TTL_NEGATIVE: Duration = Duration::from_secs(30);
pub(super) const DNS_LISTEN: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 53), SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 53)];
pub(super) const MAX_TCP_CONNECTIONS: usize = 256;
/// An eighth of all, so that a few clients that keep connections open leave room for others.
pub(super) const MAX_TCP_CONNECTIONS_PER_CLIENT: usize = 32;
pub(super) const PEERS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PEER_PORT);
pub(super) const CLUSTER: &str = "daymark";
/// The allowed numbers of members.
pub(super) const MEMBERS: RangeInclusive<usize> = 2..=15;
pub(super) const STATE_DIR: &str = "/var/lib/daymark";

const HOUR: u64 = 3_600_000;

pub(super) type Nodes = Vec<Key<RawNode>>;
pub(super) type Addresses = Vec<Key<Text<HostAddress>>>;
pub(super) type Interval = BoundedDuration<100, HOUR>;
pub(super) type Timeout = BoundedDuration<10, 60_000>;
pub(super) type Ttl = BoundedDuration<1000, HOUR>;

/// The configuration of Daymark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Config")]
pub(super) struct RawConfig {
    /// The pools: each one name, its port, and the nodes behind it.
    #[schemars(length(min = 1))]
    pub(super) pools: Key<Vec<Key<RawPool>>>,
    /// The providers, which publish the answers.
    #[schemars(length(min = 1))]
    pub(super) providers: Key<Vec<Key<RawProvider>>>,
    /// The hosts that decide together; by default this one decides alone.
    #[serde(default)]
    pub(super) peers: Key<RawPeers>,
    /// The admin API and the metrics.
    #[serde(default)]
    pub(super) admin: Key<RawAdmin>,
    /// The settings of `daymark sync`.
    #[serde(default)]
    pub(super) sync: Key<RawSync>,
    /// The directory of the state file, with which a restart changes no answer.
    #[serde(default)]
    #[schemars(extend("default" = STATE_DIR))]
    pub(super) state_dir: Key<Text<FilePath>>,
}

/// The settings of `daymark sync`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Sync")]
pub(super) struct RawSync {
    /// The URL that gets a POST with the changes after each pass that succeeded.
    #[serde(default)]
    pub(super) on_success: Key<Text<PingUrl>>,
    /// The URL that gets a POST with the reasons after each pass that failed.
    #[serde(default)]
    pub(super) on_failure: Key<Text<PingUrl>>,
}

/// One name, its port, and the nodes behind it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Pool")]
pub(super) struct RawPool {
    /// The name that is answered: kubeadm's `controlPlaneEndpoint` without its port.
    pub(super) name: Key<Text<PoolName>>,
    /// The TCP port of the apiserver on every node.
    #[serde(default)]
    #[schemars(extend("default" = PORT))]
    pub(super) port: Key<Whole<u16, 1, 65_535>>,
    /// The nodes, in the order of answers that nothing else orders; or some of them, and the way to find the others.
    pub(super) nodes: Key<RawNodes>,
    /// The settings of the probes.
    #[serde(default)]
    pub(super) probe: Key<RawProbe>,
    /// The choice and the order of the healthy addresses in an answer.
    #[serde(default)]
    pub(super) steering: Key<RawSteering>,
    /// The bounds of the TTL of an answer, and the TTL of negative answers.
    #[serde(default)]
    pub(super) ttl: Key<RawTtl>,
}

/// One machine of a pool.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Node")]
pub(super) struct RawNode {
    /// Its name, unique in the pool.
    pub(super) name: Key<Text<NodeName>>,
    /// Its addresses, IPv4, IPv6 or both; each is probed and answered by itself.
    #[schemars(length(min = 1))]
    pub(super) addresses: Key<Addresses>,
    /// The rank in the steering mode `failover`; the lowest is preferred.
    #[serde(default)]
    #[schemars(extend("default" = PRIORITY))]
    pub(super) priority: Key<Whole<u16, 0, 65_535>>,
    /// Its share of first places in the steering mode `weighted`, relative to the others.
    #[serde(default)]
    #[schemars(extend("default" = WEIGHT))]
    pub(super) weight: Key<Whole<u16, 1, 65_535>>,
}

/// The settings of the probes of a pool.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Probe")]
pub(super) struct RawProbe {
    /// The path and query of the request.
    #[serde(default)]
    #[schemars(extend("default" = PATH))]
    pub(super) path: Key<Text<RequestPath>>,
    /// The time from the start of one probe of a settled target to the start of the next.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(INTERVAL)))]
    pub(super) interval: Key<Text<Interval>>,
    /// The longest time that TCP may take; not longer than `timeout`.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(CONNECT_TIMEOUT)))]
    pub(super) connect_timeout: Key<Text<Timeout>>,
    /// The longest time that a TLS handshake may take; not longer than `timeout`. A shorter `timeout` lowers the default.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(TLS_TIMEOUT)))]
    pub(super) tls_timeout: Key<Text<Timeout>>,
    /// The longest time that a whole probe may take.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(TIMEOUT)))]
    pub(super) timeout: Key<Text<Timeout>>,
    /// The number of better observations in a row that improve a grade.
    #[serde(default)]
    #[schemars(extend("default" = RISE))]
    pub(super) rise: Key<Whole<u32, 1, 100>>,
    /// The number of worse observations in a row that worsen a grade.
    #[serde(default)]
    #[schemars(extend("default" = FALL))]
    pub(super) fall: Key<Whole<u32, 1, 100>>,
    /// The interval after a first failure, until the verdict is settled; not longer than `interval`.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(CONFIRM_INTERVAL)))]
    pub(super) confirm_interval: Key<Text<BoundedDuration<10, HOUR>>>,
    /// An answer is late if it takes this much longer than the last one. A handshake that lasts `tlsTimeout` longer still is a
    /// failure. Not longer than `timeout`; a shorter `timeout` lowers the default.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(LATE_AFTER)))]
    pub(super) late_after: Key<Text<Timeout>>,
    /// One probe of this many uses a fresh connection, the others the kept one.
    #[serde(default)]
    #[schemars(extend("default" = FRESH_EVERY))]
    pub(super) fresh_every: Key<Whole<u32, 1, 10_000>>,
    /// The name in SNI and `Host`, for which the certificate must be valid; by default the name of the pool.
    #[serde(default)]
    pub(super) server_name: Key<Text<ServerName>>,
    /// Accept every certificate; not together with `ca`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) insecure: Key<bool>,
    /// A PEM file with the CA certificates of the apiservers; by default those of the system.
    #[serde(default)]
    pub(super) ca: Key<Text<FilePath>>,
    /// The credentials that the probe shows; by default none.
    #[serde(default)]
    pub(super) auth: Key<RawAuth>,
}

/// The credentials that the probe shows: exactly one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Auth", extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct RawAuth {
    /// A client certificate.
    #[serde(default)]
    pub(super) client_certificate: Key<RawClientCertificate>,
    /// A file with a bearer token.
    #[serde(default)]
    pub(super) token_file: Key<Text<FilePath>>,
}

/// A client certificate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ClientCertificate")]
pub(super) struct RawClientCertificate {
    /// A PEM file with the chain, the end certificate first.
    pub(super) certificate: Key<Text<FilePath>>,
    /// A PEM file with the private key of the certificate.
    pub(super) key: Key<Text<FilePath>>,
}

/// The choice and the order of the healthy addresses in an answer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Steering")]
pub(super) struct RawSteering {
    /// `all`: every healthy address; `failover`: only those of the best priority; `weighted`: ordered by weight.
    #[serde(default)]
    #[schemars(extend("default" = "all"))]
    pub(super) mode: Key<Text<Mode>>,
    /// The most addresses of one family in one response.
    #[serde(default)]
    #[schemars(extend("default" = MAX_ANSWERS))]
    pub(super) max_answers: Key<Whole<u16, 1, 100>>,
}

/// The bounds of the TTL of an answer, and the TTL of negative answers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "TtlRange")]
pub(super) struct RawTtl {
    /// The ceiling, used at rest; whole seconds.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(TTL_MAX)))]
    pub(super) max: Key<Text<Ttl>>,
    /// The floor, used while a change is under way; whole seconds, not above `max`.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(TTL_MIN)))]
    pub(super) min: Key<Text<Ttl>>,
    /// The TTL of negative answers (no such name, no such record) in whole seconds. The SOA record of a `zoneFile` takes precedence.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(TTL_NEGATIVE)))]
    pub(super) negative: Key<Text<Ttl>>,
}

/// A provider, which publishes the answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Provider", tag = "type")]
pub(super) enum RawProvider {
    /// Daymark serves the name itself, as an authoritative DNS server.
    Authoritative(RawAuthoritative),
    /// Daymark writes to Cloudflare.
    Cloudflare(RawCloudflare),
}

/// Serving authoritative DNS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Authoritative")]
pub(super) struct RawAuthoritative {
    /// The addresses to listen on, by UDP and TCP; `self:53` is that of this host among `peers.members`.
    #[serde(default)]
    #[schemars(length(min = 1), extend("default" = DNS_LISTEN.map(|address| address.to_string())))]
    pub(super) listen: Key<Vec<Key<Text<ServeAddress>>>>,
    /// Listen also on addresses that this host does not have yet, such as the virtual IP address of a standby.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) freebind: Key<bool>,
    /// The servers of the zone, the first as its primary.
    #[schemars(length(min = 1))]
    pub(super) nameservers: Key<Vec<Key<RawNameserver>>>,
    /// The parent zone that holds the pools; by default each name of a pool is a zone of its own.
    #[serde(default)]
    pub(super) zone: Key<Text<DnsName>>,
    /// A master file (RFC 1035, section 5) with static records of `zone`.
    #[serde(default)]
    pub(super) zone_file: Key<Text<FilePath>>,
    /// The most TCP connections that may be open at once.
    #[serde(default)]
    #[schemars(extend("default" = MAX_TCP_CONNECTIONS))]
    pub(super) max_tcp_connections: Key<Whole<usize, 1, 65_535>>,
    /// The most TCP connections that one client may have open at once.
    #[serde(default)]
    #[schemars(extend("default" = MAX_TCP_CONNECTIONS_PER_CLIENT))]
    pub(super) max_tcp_connections_per_client: Key<Whole<usize, 1, 65_535>>,
    /// The limit of the responses that one network gets by UDP.
    #[serde(default)]
    pub(super) rate_limit: Key<RawRateLimit>,
    /// The threads that answer by UDP; by default as many as the host has processors.
    #[serde(default)]
    pub(super) udp_workers: Key<Whole<usize, 1, 256>>,
    /// The name that tells this server from the others of its zones; by default `peers.self`, or else the name of the machine.
    #[serde(default)]
    pub(super) identity: Key<Text<HostName>>,
    /// Answer the NSID option with `identity` (RFC 5001).
    #[serde(default)]
    #[schemars(extend("default" = true))]
    pub(super) nsid: Key<bool>,
    /// Answer `id.server`, `hostname.bind`, `version.server` and `version.bind` of class CHAOS (RFC 4892).
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) chaos: Key<bool>,
    /// The keys that sign every zone; by default none is signed.
    #[serde(default)]
    pub(super) dnssec: Key<RawDnssec>,
}

/// One server of a zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Nameserver")]
pub(super) struct RawNameserver {
    /// Its DNS name; not the name of a pool.
    pub(super) name: Key<Text<DnsName>>,
    /// Its addresses, which are needed if its name lies inside a served zone.
    #[serde(default)]
    pub(super) addresses: Key<Addresses>,
}

/// The hosts that decide together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Peers")]
pub(super) struct RawPeers {
    /// The name of this host among the members; needed here or by `--self` or `DAYMARK_SELF`, which come first.
    #[serde(default, rename = "self")]
    pub(super) own: Key<Text<HostName>>,
    /// The address to listen on for the other hosts, by UDP.
    #[serde(default)]
    #[schemars(extend("default" = PEERS_LISTEN.to_string()))]
    pub(super) listen: Key<Text<ListenText>>,
    /// Listen also on an address that this host does not have yet.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) freebind: Key<bool>,
    /// The name that these hosts share; messages of hosts with another one are rejected.
    #[serde(default)]
    #[schemars(extend("default" = CLUSTER))]
    pub(super) cluster: Key<Text<ClusterName>>,
    /// All hosts, this one included.
    #[schemars(length(min = *MEMBERS.start(), max = *MEMBERS.end()))]
    pub(super) members: Key<Vec<Key<RawMember>>>,
    /// A file with the keys that the hosts share, as `daymark keygen` makes them; read again when it changes.
    pub(super) key_file: Key<Text<FilePath>>,
}

/// One host that runs Daymark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Member")]
pub(super) struct RawMember {
    /// Its name, unique among the members.
    pub(super) name: Key<Text<HostName>>,
    /// The address at which the other hosts reach it; a name is resolved again and again.
    pub(super) address: Key<Text<PeerAddress>>,
}
