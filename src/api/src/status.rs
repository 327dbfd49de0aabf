//! The state of a running host, as `/api/v1/status` gives it.

use daymark_decision::{Moment, PoolName};
use serde::{Deserialize, Serialize};

use crate::{HostsStatus, PoolStatus};

/// A provider that lags for more seconds is an alarm.
const LAG_TOLERANCE: u64 = 30;

/// The state of a running host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of Daymark.
    pub version: String,
    /// The start of the run.
    pub started: Moment,
    /// The time of this report.
    pub now: Moment,
    /// The pools, by name.
    pub pools: Vec<PoolStatus>,
    /// The providers, in the order of the configuration.
    pub providers: Vec<ProviderStatus>,
    /// This host among the others; `None` if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<HostsStatus>,
    /// The alarms, as sentences.
    pub alarms: Vec<String>,
}

/// One provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// The generation to publish.
    pub desired: u64,
    /// The generation that is published; `None` before the first.
    pub published: Option<u64>,
    /// True if this host does not write: another one does, or none may.
    #[serde(default)]
    pub standby: bool,
    /// The error of the last attempt; `None` if it succeeded.
    pub error: Option<String>,
    /// The start of the attempt under way.
    pub attempt_since: Option<Moment>,
    /// The last success of publishing or of a drift check.
    pub last_success: Option<Moment>,
    /// The time since which the published generation is not the desired one.
    pub behind_since: Option<Moment>,
    /// The TTLs of the published names, by pool.
    #[serde(default)]
    pub ttls: Vec<ProviderTtl>,
    /// The findings of the provider's checks, as sentences.
    pub findings: Vec<String>,
    /// The notes of the provider's checks: states that are no fault but may surprise, as sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The calls that the provider's API still allows in this window, as last reported.
    pub remaining: Option<u32>,
}

/// The TTL that clients get from a provider for the name of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderTtl {
    /// The pool.
    pub pool: PoolName,
    /// The TTL in seconds.
    pub ttl_seconds: u32,
}

impl ProviderStatus {
    /// The TTLs as a phrase, `TTL 5 s`, by pool if they differ; empty if none is known.
    pub fn ttl_text(&self) -> String {
        let Some(first) = self.ttls.first() else { return String::new() };
        if self.ttls.iter().all(|ttl| ttl.ttl_seconds == first.ttl_seconds) {
            return format!("TTL {} s", first.ttl_seconds);
        }
        let each = self.ttls.iter().map(|ProviderTtl { pool, ttl_seconds }| format!("{pool} {ttl_seconds} s"));
        format!("TTL of {}", each.collect::<Vec<_>>().join(", "))
    }

    /// Whole seconds for which the published generation has not been the desired one.
    pub fn behind(&self, now: Moment) -> u64 {
        self.behind_since.map(|since| now.since(since).as_secs()).unwrap_or_default()
    }

    /// The published generation, and the desired one if the provider is behind: `generation 5 of 7, behind for 40 s`.
    pub fn progress(&self, now: Moment) -> String {
        let Self { desired, published, behind_since, .. } = self;
        match (published, behind_since) {
            (Some(published), None) => format!("generation {published}"),
            (None, None) => "nothing published".to_owned(),
            (Some(published), Some(_)) => {
                format!("generation {published} of {desired}, behind for {} s", self.behind(now))
            }
            (None, Some(_)) => {
                format!("nothing published, generation {desired} desired, behind for {} s", self.behind(now))
            }
        }
    }

    /// The known reason for which the published generation may not be the desired one.
    pub fn lag_reason(&self) -> Option<String> {
        let under_way = self.attempt_since.map(|since| format!("the current attempt began at {since}"));
        self.error.clone().or(under_way.filter(|_| self.behind_since.is_some()))
    }

    /// The alarms, as sentences.
    pub fn alarms(&self, now: Moment) -> Vec<String> {
        let behind = self.behind(now);
        let lag = (behind > LAG_TOLERANCE).then(|| {
            let reason = self.lag_reason().unwrap_or_else(|| "no attempt has ended yet".to_owned());
            format!("{}: {reason}", self.progress(now))
        });
        let failure = lag.or_else(|| self.error.clone());
        // A finding may be the reason for which publishing fails.
        let is_included = |finding: &String| failure.as_ref().is_some_and(|message| message.contains(finding.as_str()));
        let more = self.findings.iter().filter(|finding| !is_included(finding));
        failure.iter().chain(more).map(|message| format!("provider {}: {message}", self.name)).collect()
    }
}
