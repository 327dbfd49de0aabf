//! Every metric, by name. Counters and histograms grow as things happen; gauges are filled when someone reads.

mod connections;
mod discovery;
mod dns;
mod expiries;
mod hosts;
mod pools;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use daymark_api::{HostsStatus, PoolStatus, ProviderStatus};
use daymark_decision::{Moment, Observation, Target};
use daymark_provider::CallCount;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::connections::ConnectionMetrics;
pub use self::connections::ConnectionServer;
use self::discovery::DiscoveryMetrics;
use self::dns::DnsMetrics;
pub use self::dns::{DnsReadings, QueryCount};
use self::expiries::ExpiryMetrics;
use self::hosts::HostMetrics;
use self::pools::PoolMetrics;

/// Every metric of the process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Held while the families are filled and encoded: they are cleared in between.
    encoding: Arc<Mutex<()>>,
    probes: Family<ProbeLabels, Counter>,
    probe_duration: Family<PhaseLabels, Histogram, Buckets>,
    certificate_end: Family<TargetLabels, Gauge>,
    pools: PoolMetrics,
    desired: Family<ProviderLabels, Gauge<u64, AtomicU64>>,
    published: Family<ProviderLabels, Gauge<u64, AtomicU64>>,
    behind: Family<ProviderLabels, Gauge<u64, AtomicU64>>,
    last_success: Family<ProviderLabels, Gauge>,
    calls: Family<CallLabels, Counter>,
    calls_remaining: Family<ProviderLabels, Gauge>,
    dns: DnsMetrics,
    connections: ConnectionMetrics,
    state_failures: Counter,
    state_writable: Gauge,
    config_refused: Gauge,
    stuck: Gauge,
    crashes: Counter,
    lost_lines: Counter,
    hosts: HostMetrics,
    discovery: DiscoveryMetrics,
    expiries: ExpiryMetrics,
}

/// The values that the driver has.
#[derive(Debug)]
pub struct DriverReadings {
    /// Every pool.
    pub pools: Vec<PoolStatus>,
    /// This host among the others; `None` for a host without peers.
    pub hosts: Option<HostsStatus>,
}

/// The values of a provider.
#[derive(Debug)]
pub struct ProviderReadings {
    /// Its status.
    pub status: ProviderStatus,
    /// Its calls so far.
    pub calls: Vec<CallCount>,
}

/// The values that are read only when someone asks for the metrics.
#[derive(Debug)]
pub struct Readings {
    /// The readings of the driver. `None` if it does not answer: what it said before stays.
    pub driver: Option<DriverReadings>,
    /// Every provider.
    pub providers: Vec<ProviderReadings>,
    /// The time of this reading.
    pub now: Moment,
    /// The DNS server.
    pub dns: DnsReadings,
    /// The servers of TCP clients.
    pub servers: Vec<ConnectionServer>,
    /// The number of failures to save the state.
    pub state_failures: u64,
    /// True if the last save succeeded.
    pub state_writable: bool,
    /// True if the configuration that was read last is refused.
    pub config_refused: bool,
    /// The number of stuck tasks.
    pub stuck: usize,
    /// The number of crashes since the start.
    pub crashes: u64,
    /// The number of lost lines of the log.
    pub lost_lines: u64,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TargetLabels {
    pool: String,
    node: String,
    address: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProbeLabels {
    pool: String,
    node: String,
    address: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabels {
    pool: String,
    node: String,
    address: String,
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabels {
    pool: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    provider: String,
    call: &'static str,
    outcome: &'static str,
}

/// The buckets from half a millisecond, an answer on a kept connection, to eight seconds, beyond every sensible time-out.
#[derive(Clone, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new((0..15).map(|n| 0.0005 * f64::from(1 << n)))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            encoding: Arc::default(),
            probes: Family::default(),
            probe_duration: Family::new_with_constructor(Buckets),
            certificate_end: Family::default(),
            pools: PoolMetrics::default(),
            desired: Family::default(),
            published: Family::default(),
            behind: Family::default(),
            last_success: Family::default(),
            calls: Family::default(),
            calls_remaining: Family::default(),
            dns: DnsMetrics::default(),
            connections: ConnectionMetrics::default(),
            state_failures: Counter::default(),
            state_writable: Gauge::default(),
            config_refused: Gauge::default(),
            stuck: Gauge::default(),
            crashes: Counter::default(),
            lost_lines: Counter::default(),
            hosts: HostMetrics::default(),
            discovery: DiscoveryMetrics::default(),
            expiries: ExpiryMetrics::default(),
        };
        metrics.registry = Arc::new(metrics.registered());
        metrics
    }
}

impl Metrics {
    fn registered(&self) -> Registry {
        let mut all = Registry::with_prefix("daymark");
        all.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        all.register("probes", "Probes of a target by outcome", self.probes.clone());
        all.register(
            "probe_duration_seconds",
            "Time of a probe by phase: connect, tls, http",
            self.probe_duration.clone(),
        );
        all.register(
            "target_certificate_not_after_timestamp_seconds",
            "Expiry of the certificate that the target presents, in Unix time",
            self.certificate_end.clone(),
        );
        self.pools.register(&mut all);
        self.register_providers(&mut all);
        self.dns.register(&mut all);
        self.connections.register(&mut all);
        all.register("state_save_failures", "Failures to write the state file", self.state_failures.clone());
        all.register("state_writable", "1 while the state file can be written", self.state_writable.clone());
        let help = "1 while the new configuration is refused and the old one stays";
        all.register("config_refused", help, self.config_refused.clone());
        all.register("stuck_tasks", "Tasks of Daymark that the watchdog finds stuck", self.stuck.clone());
        all.register("crashes", "Crashes of parts of Daymark since the start", self.crashes.clone());
        all.register("log_lines_lost", "Lines of the log that could not be written in time", self.lost_lines.clone());
        self.hosts.register(&mut all);
        self.discovery.register(&mut all);
        self.expiries.register(&mut all);
        all
    }

    fn register_providers(&self, all: &mut Registry) {
        all.register("provider_desired_generation", "Generation to publish", self.desired.clone());
        all.register("provider_published_generation", "Generation that is published", self.published.clone());
        all.register(
            "provider_behind_seconds",
            "Time for which the published generation has not been the desired one",
            self.behind.clone(),
        );
        all.register(
            "provider_last_success_timestamp_seconds",
            "Last success of publishing or of a drift check, in Unix time",
            self.last_success.clone(),
        );
        all.register("provider_calls", "Calls to the API of the provider, by call and outcome", self.calls.clone());
        all.register(
            "provider_calls_remaining",
            "Calls that the API of the provider still allows in this window, as last reported",
            self.calls_remaining.clone(),
        );
    }

    /// Counts one observation.
    pub fn observe(&self, target: &Target, observation: &Observation) {
        let TargetLabels { pool, node, address } = labels(target);
        let outcome = observation.kind.label();
        let probe = ProbeLabels { pool: pool.clone(), node: node.clone(), address: address.clone(), outcome };
        self.probes.get_or_create(&probe).inc();
        let timings = observation.timings;
        for (phase, took) in [("connect", timings.connect), ("tls", timings.tls), ("http", timings.http)] {
            let Some(took) = took else { continue };
            let phase = PhaseLabels { pool: pool.clone(), node: node.clone(), address: address.clone(), phase };
            self.probe_duration.get_or_create(&phase).observe(took.as_secs_f64());
        }
        if let Some(certificate) = &observation.certificate {
            self.certificate_end
                .get_or_create(&TargetLabels { pool, node, address })
                .set(seconds(certificate.not_after));
        }
    }

    /// Counts a datagram that was `sent` to another host, or `received`.
    pub fn count_datagram(&self, direction: &'static str, bytes: usize) {
        self.hosts.count(direction, bytes);
    }

    /// Counts a datagram that was rejected or not sent.
    pub fn reject_datagram(&self, reason: &'static str) {
        self.hosts.reject(reason);
    }

    /// Forgets every target, so that none that is gone stays; the counters begin anew.
    pub fn forget_targets(&self) {
        self.probes.clear();
        self.probe_duration.clear();
        self.certificate_end.clear();
    }

    /// The metrics as text, in the `OpenMetrics` format 1.0.
    pub fn encode(&self, readings: &Readings) -> Result<String, fmt::Error> {
        let _alone = self.encoding.lock();
        self.fill(readings);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn fill(&self, readings: &Readings) {
        if let Some(driver) = &readings.driver {
            self.fill_driver(driver);
        }
        readings.providers.iter().for_each(|provider| self.fill_provider(provider, readings.now));
        self.dns.fill(&readings.dns);
        self.connections.fill(&readings.servers);
        self.state_failures.inner().store(readings.state_failures, Ordering::Relaxed);
        self.state_writable.set(readings.state_writable.into());
        self.config_refused.set(readings.config_refused.into());
        self.stuck.set(i64::try_from(readings.stuck).unwrap_or(i64::MAX));
        self.crashes.inner().store(readings.crashes, Ordering::Relaxed);
        self.lost_lines.inner().store(readings.lost_lines, Ordering::Relaxed);
    }

    fn fill_driver(&self, driver: &DriverReadings) {
        self.pools.fill(&driver.pools);
        self.hosts.fill(driver.hosts.as_ref());
        self.discovery.fill(&driver.pools);
        self.expiries.fill(&driver.pools);
    }

    fn fill_provider(&self, readings: &ProviderReadings, now: Moment) {
        let ProviderReadings { status: provider, calls } = readings;
        let of = ProviderLabels { provider: provider.name.clone() };
        self.desired.get_or_create(&of).set(provider.desired);
        self.published.get_or_create(&of).set(provider.published.unwrap_or_default());
        self.behind.get_or_create(&of).set(provider.behind(now));
        if let Some(at) = provider.last_success {
            self.last_success.get_or_create(&of).set(seconds(at));
        }
        if let Some(remaining) = provider.remaining {
            self.calls_remaining.get_or_create(&of).set(remaining.into());
        }
        for &CallCount { call, outcome, count } in calls {
            let labels = CallLabels { provider: provider.name.clone(), call, outcome };
            self.calls.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
        }
    }
}

/// The Unix time of a moment, for a gauge.
fn seconds(at: Moment) -> i64 {
    i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn labels(target: &Target) -> TargetLabels {
    TargetLabels { pool: target.pool.to_string(), node: target.node.to_string(), address: target.address.to_string() }
}
