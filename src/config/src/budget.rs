//! The longest time that a failure lasts for clients, as a sum of configured durations. Pure arithmetic; it measures nothing.

use std::fmt;
use std::time::Duration;

use daymark_cloudflare::{CloudflareSettings, Manage, PublishMode, RECORD_TTL};
use daymark_decision::{HostName, Membership};
use daymark_provider::CLIENTS_NOTICE;

use super::families::{FamilyNodes, families};
use super::findings::Finding;
use super::values::duration_text;
use super::{Config, PoolConfig, ProviderConfig};
use daymark_discovery::DiscoverySettings;
use daymark_probe as probe;

/// One duration of a sum, with the keys it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The factor, the key and its value, such as `3 × confirmInterval 100ms`.
    pub name: String,
    /// The duration that it adds.
    pub duration: Duration,
}

/// A duration that shows its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum(pub Vec<Term>);

impl Sum {
    /// The terms together.
    pub fn total(&self) -> Duration {
        self.0.iter().fold(Duration::ZERO, |sum, term| sum.saturating_add(term.duration))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<&str> = self.0.iter().map(|term| term.name.as_str()).collect();
        write!(f, "{} = {}", seconds(self.total()), terms.join(" + "))
    }
}

/// The time from the silence of a node (power loss, a cut) to the verdict: its packets go nowhere, so TCP runs out of time.
pub fn silent(probe: &probe::ProbeSettings) -> Sum {
    confirmed(probe, term("connectTimeout", probe.connect_timeout))
}

/// The time from the standstill of a node (a stopped process behind a TCP stack that still accepts) to the verdict: the
/// handshakes run out of time once an answer is late.
pub fn hung(probe: &probe::ProbeSettings) -> Sum {
    let late = term("lateAfter", probe.late_after);
    let confirm = confirmations(probe);
    let later = if confirm.duration > late.duration { confirm } else { late };
    let sum = Sum(vec![term("interval", probe.interval), later, term("tlsTimeout", probe.tls_timeout)]);
    let whole = stuck(probe);
    if whole.total() < sum.total() { whole } else { sum }
}

/// The time from the last answer of a node that still makes connections and answers none, to the verdict: only the whole probe
/// runs out of time.
pub fn stuck(probe: &probe::ProbeSettings) -> Sum {
    confirmed(probe, term("timeout", probe.timeout))
}

/// The longest time until a node is down, whatever happens to it.
pub fn longest(probe: &probe::ProbeSettings) -> Duration {
    [silent(probe), hung(probe), stuck(probe)].iter().map(Sum::total).max().unwrap_or_default()
}

/// A probe has just passed; the next one is silent to its end, and those that confirm it start beside it.
fn confirmed(probe: &probe::ProbeSettings, deadline: Term) -> Sum {
    Sum(vec![term("interval", probe.interval), confirmations(probe), deadline])
}

fn confirmations(probe: &probe::ProbeSettings) -> Term {
    let fall = probe.thresholds.fall.get();
    Term {
        name: format!("fall {fall} × confirmInterval {}", seconds(probe.confirm_interval)),
        duration: probe.confirm_interval.saturating_mul(fall),
    }
}

fn term(name: &str, duration: Duration) -> Term {
    Term { name: format!("{name} {}", seconds(duration)), duration }
}

/// The worst case of every pool, and who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One a pool, in the order of the configuration.
    pub pools: Vec<PoolReport>,
    /// The hosts that decide together; `None`: this one decides alone.
    pub hosts: Option<Membership>,
    /// True if it was checked for every host, and not as one of them.
    pub is_for_all_hosts: bool,
    /// The warnings on the configuration.
    pub warnings: Vec<Finding>,
}

/// The worst case of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolReport {
    /// The name of the pool.
    pub name: String,
    /// The names of its nodes.
    pub nodes: Vec<String>,
    /// Its address families, if there are two.
    pub families: Vec<FamilyNodes>,
    /// The way in which further nodes are found, as a sentence.
    pub discovery: Option<String>,
    /// The time until a silent node is down.
    pub silent: Sum,
    /// The time until a hung node is down.
    pub hung: Sum,
    /// The time until a stuck node is down.
    pub stuck: Sum,
    /// The longest time for which caches keep the former answer.
    pub ttl_max: Duration,
    /// True if Daymark itself serves it by DNS.
    pub is_served: bool,
    /// The Cloudflare providers that publish it, each with its TTL.
    pub cloudflare: Vec<PublishedTtl>,
}

/// The TTL of a pool as a Cloudflare provider publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTtl {
    /// The name of the provider.
    pub provider: String,
    /// `None` if only Cloudflare knows it.
    pub ttl: Option<Duration>,
}

/// One way in which a node fails, and the time until it is down.
struct FailureTime<'a> {
    node: &'static str,
    sum: &'a Sum,
}

impl PoolReport {
    /// The worst case of this pool.
    pub fn new(config: &PoolConfig) -> Self {
        let PoolConfig { pool, probe, discovery } = config;
        Self {
            discovery: discovery.as_ref().map(message),
            name: pool.name.to_string(),
            nodes: pool.nodes.iter().map(|node| node.name.to_string()).collect(),
            families: families(&pool.nodes),
            silent: silent(probe),
            hung: hung(probe),
            stuck: stuck(probe),
            ttl_max: Duration::from_secs(pool.ttl.max.into()),
            is_served: false,
            cloudflare: Vec::new(),
        }
    }

    /// A message if the worst case through Cloudflare passes [`CLIENTS_NOTICE`].
    pub fn cloudflare_warning(&self, mode: &PublishMode) -> Option<String> {
        let total = self.longest() + cloudflare_ttl(mode)?;
        let sooner = match mode {
            PublishMode::Records { .. } => "Load Balancing or the authoritative provider",
            PublishMode::LoadBalancing { .. } => "a shorter ttl or the authoritative provider",
        };
        (total > CLIENTS_NOTICE).then(|| {
            format!(
                "{}: at worst, the answer is right in every cache after {} and Cloudflare's own time; clients notice \
                 by themselves after about {}, and nodes turn NotReady after 50s; {sooner} changes the answer sooner",
                self.name,
                seconds(total),
                seconds(CLIENTS_NOTICE)
            )
        })
    }

    fn failures(&self) -> [FailureTime<'_>; 3] {
        [("silent", &self.silent), ("hung", &self.hung), ("stuck", &self.stuck)]
            .map(|(node, sum)| FailureTime { node, sum })
    }

    fn longest(&self) -> Duration {
        self.failures().iter().map(|failure| failure.sum.total()).max().unwrap_or_default()
    }

    /// A message for each sum that passes [`CLIENTS_NOTICE`].
    pub fn warnings(&self) -> Vec<String> {
        let late = self.failures().into_iter().filter(|failure| failure.sum.total() + self.ttl_max > CLIENTS_NOTICE);
        late.map(|FailureTime { node, sum }| {
            let total = seconds(sum.total() + self.ttl_max);
            format!(
                "with a {node} node the answer is right in every cache after {total}; clients notice by themselves after \
                 about {}, and nodes turn NotReady after 50s",
                seconds(CLIENTS_NOTICE)
            )
        })
        .collect()
    }
}

/// The worst case of every pool of a configuration.
pub fn report(config: &Config) -> Report {
    let of_pool = |pool: &PoolConfig| {
        let cloudflares = config.providers.iter().filter_map(|provider| match provider {
            ProviderConfig::Cloudflare(settings) => Some(settings),
            ProviderConfig::Authoritative(_) => None,
        });
        let publishing =
            cloudflares.filter(|settings| settings.pools.iter().any(|served| served.pool == pool.pool.name));
        let of_provider = |settings: &CloudflareSettings| PublishedTtl {
            provider: settings.name.clone(),
            ttl: cloudflare_ttl(&settings.mode),
        };
        let cloudflare = publishing.map(of_provider).collect();
        let is_served = config.providers.iter().any(|provider| matches!(provider, ProviderConfig::Authoritative(_)));
        PoolReport { is_served, cloudflare, ..PoolReport::new(pool) }
    };
    Report {
        pools: config.pools.iter().map(of_pool).collect(),
        hosts: config.peers.as_ref().map(|peers| peers.membership.clone()),
        is_for_all_hosts: false,
        warnings: config.warnings.clone(),
    }
}

/// The longest time for which caches keep an answer of Cloudflare; `None` if only Cloudflare knows.
fn cloudflare_ttl(mode: &PublishMode) -> Option<Duration> {
    let ttl = match mode {
        PublishMode::Records { ttl, .. } => ttl.unwrap_or(RECORD_TTL),
        PublishMode::LoadBalancing { manage: Manage::Full { ttl }, .. } => *ttl,
        PublishMode::LoadBalancing { manage: Manage::Origins, .. } => return None,
    };
    Some(Duration::from_secs(ttl.into()))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pool in &self.pools {
            writeln!(f, "{pool}")?;
        }
        if let Some(hosts) = &self.hosts {
            writeln!(f, "{}", hosts_line(hosts, self.is_for_all_hosts))?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PoolReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pool {}", self.name)?;
        writeln!(f, "  nodes: {}", self.nodes.join(", "))?;
        if !self.families.is_empty() {
            let counts: Vec<String> = self.families.iter().map(FamilyNodes::count).collect();
            writeln!(f, "  addresses: {}", counts.join(", "))?;
        }
        if let Some(discovery) = &self.discovery {
            writeln!(f, "  {discovery}")?;
        }
        for FailureTime { node, sum } in self.failures() {
            let total = seconds(sum.total());
            let cached = seconds(sum.total() + self.ttl_max);
            writeln!(f, "  {node} node found in {sum}")?;
            if self.is_served {
                writeln!(f, "    right in every cache in {cached} = {total} + ttl.max {}", seconds(self.ttl_max))?;
            }
            for PublishedTtl { provider, ttl } in &self.cloudflare {
                let (cached, ttl) = match ttl {
                    Some(ttl) => (seconds(sum.total() + *ttl) + " = ", format!("TTL {}", seconds(*ttl))),
                    None => (String::new(), "the balancer's TTL".to_owned()),
                };
                writeln!(
                    f,
                    "    by {provider} in {cached}{total} + {ttl}, and Cloudflare's own time, which was never measured"
                )?;
            }
        }
        Ok(())
    }
}

fn message(DiscoverySettings { source, interval, shrink_pause }: &DiscoverySettings) -> String {
    format!(
        "discovery: {source}, listed every {}; a new node joins at once; a missing node leaves after {}, one at a time",
        duration_text(*interval),
        duration_text(*shrink_pause)
    )
}

/// The line on the hosts: those that decide, and the number that may fail before there is no quorum.
fn hosts_line(Membership { own, members, .. }: &Membership, is_for_all: bool) -> String {
    let names: Vec<_> = members.iter().map(HostName::as_str).collect();
    let losses = match members.len().saturating_sub(1) / 2 {
        0 => "each decides alone while the other is lost".to_owned(),
        n => format!("{n} of {} may fail, and the rest still decide together", members.len()),
    };
    let own = if is_for_all { "checked for each".to_owned() } else { format!("this is {own}") };
    format!("hosts: {} ({own}); {losses}", names.join(", "))
}

/// A duration in seconds, with a fraction only where it has one.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
