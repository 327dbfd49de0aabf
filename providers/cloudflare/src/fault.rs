//! The faults that keep an answer from being published.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use daymark_decision::PoolName;
use daymark_files::error_chain;
use daymark_provider::ApplyError;

use crate::client::{CallError, Retry};
use crate::drift::RECHECK_AFTER;
use crate::finding::CloudflareFinding;

/// A fault that keeps the answer of one pool from being published whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PoolFault {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The remote state is in the way.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Blocked(Vec<CloudflareFinding>),
    /// The remote state differs after the write.
    #[error("Cloudflare does not confirm the write: {0}")]
    NotConfirmed(String),
    /// A newer answer replaced this one, or the writer lease has ended.
    #[error("a newer answer superseded this one, or this host no longer has the writer lease")]
    Superseded,
    /// Few calls are left, so the next pass waits.
    #[error("few calls are left, so Daymark waits for {0:.0?}; if this happens often, raise `callShare`")]
    Throttled(Duration),
    /// Few calls are left and are kept for changes.
    #[error(
        "few calls are left and are kept for changes, so the drift check is postponed; if this happens often, raise \
         `callShare`"
    )]
    DriftUnchecked,
    /// No node has a verdict yet.
    #[error("no node has a verdict yet, so the published answer stays")]
    NoVerdict,
}

/// The faults of one pass, by pool.
#[derive(Debug, Default)]
pub(crate) struct PoolFaults(Vec<OfPool>);

#[derive(Debug)]
struct OfPool {
    pool: PoolName,
    fault: PoolFault,
}

impl From<CloudflareFinding> for PoolFault {
    fn from(finding: CloudflareFinding) -> Self {
        Self::Blocked(vec![finding])
    }
}

impl PoolFault {
    /// The pause before another try. `None` if only an operator can help.
    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Call(error) => match error.retry() {
                Retry::BackOff => Some(Duration::ZERO),
                Retry::After(pause) => Some(pause),
                Retry::Operator => None,
            },
            // Only working probes lead to a verdict. A drift check that was left out is made in the next pass.
            Self::Blocked(_) | Self::NoVerdict | Self::DriftUnchecked => None,
            Self::Throttled(pause) => Some(*pause),
            Self::NotConfirmed(_) | Self::Superseded => Some(Duration::ZERO),
        }
    }

    /// The next step for an operator, if the message does not contain it.
    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Call(error) => error.advice(),
            Self::NotConfirmed(_) => {
                Some("Daymark tries again; if this lasts, look for another writer of the same objects")
            }
            Self::Superseded => Some("Daymark goes on with the newer answer"),
            Self::NoVerdict => Some("look at the probes with `daymark status`"),
            Self::Blocked(_) | Self::Throttled(_) | Self::DriftUnchecked => None,
        }
    }

    /// Returns true if another try may help without an operator.
    pub(crate) fn is_temporary(&self) -> bool {
        self.pause().is_some()
    }
}

impl PoolFaults {
    pub(crate) fn add(&mut self, pool: &PoolName, fault: PoolFault) {
        self.0.push(OfPool { pool: pool.clone(), fault });
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The outcome of the pass for the publisher. If any answer may still be published, it tries again soon.
    pub(crate) fn into_result(self) -> Result<(), ApplyError> {
        if self.is_empty() {
            return Ok(());
        }
        let is_published = self.0.iter().all(|of_pool| matches!(of_pool.fault, PoolFault::DriftUnchecked));
        let pause = self.0.iter().filter_map(|of_pool| of_pool.fault.pause()).max();
        let source = Box::new(self);
        if is_published {
            return Err(ApplyError::DriftUnchecked { source, pause: Some(RECHECK_AFTER) });
        }
        match pause {
            Some(pause) => Err(ApplyError::Unavailable { source, pause: Some(pause).filter(|pause| !pause.is_zero()) }),
            None => Err(ApplyError::Refused(source)),
        }
    }
}

impl fmt::Display for PoolFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, OfPool { pool, fault }) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{pool}: {}", error_chain(fault))?;
            fault.advice().into_iter().try_for_each(|advice| write!(f, "; {advice}"))?;
        }
        Ok(())
    }
}

impl Error for PoolFaults {}

#[cfg(test)]
mod tests {
    use super::*;
    use daymark_decision::fixtures::pool_name;
    use jiff::Timestamp;

    use crate::client::{ApiError, Call, NoToken, ObjectOwner};
    use crate::settings::TokenSource;

    /// The error of one pass over pools with these faults, and its message.
    fn error_of(faults: Vec<PoolFault>) -> (ApplyError, String) {
        let mut of_pass = PoolFaults::default();
        for (fault, n) in faults.into_iter().zip(1..) {
            of_pass.add(&pool_name(&format!("{n}.example.org")), fault);
        }
        let error = of_pass.into_result().unwrap_err();
        let message = error.source().unwrap().to_string();
        (error, message)
    }

    fn calls() -> Vec<CallError> {
        let call = Call::ReadZone;
        let token = TokenSource::Environment("CF_TOKEN".to_owned());
        let errors = vec![ApiError { code: 7, message: "try later".to_owned(), error_chain: Vec::new() }];
        vec![
            CallError::Token { call, source: NoToken::Unset("CF_TOKEN".to_owned()) },
            CallError::Limited { call, rest: Duration::from_mins(5), until: Timestamp::UNIX_EPOCH },
            CallError::Refused { call, owner: ObjectOwner::User, status: 403, errors: errors.clone(), token },
            CallError::Busy { call, status: 503, errors },
            CallError::Unreadable { call, status: 200, detail: "it is empty".to_owned() },
            CallError::TimedOut { call, limit: Duration::from_secs(10) },
        ]
    }

    #[test]
    fn each_fault_says_what_happens_next_or_what_to_do() {
        let mut faults: Vec<PoolFault> = calls().into_iter().map(PoolFault::Call).collect();
        faults.extend([
            PoolFault::NotConfirmed("add the record".to_owned()),
            PoolFault::Superseded,
            throttled(90),
            PoolFault::DriftUnchecked,
            PoolFault::NoVerdict,
        ]);
        let messages: Vec<String> = faults.into_iter().map(|fault| error_of(vec![fault]).1).collect();
        let expected = [
            "no token for reading the zone: the environment variable CF_TOKEN is not set; it must hold the API token; correct the \
             file or the variable of the token",
            "Cloudflare refuses reading the zone, like every call, until 1970-01-01T00:00:00Z, because the user of the token has \
             made too many calls, with all tokens and the dashboard together; if this happens often, lower `callShare`",
            "Cloudflare refuses reading the zone (HTTP 403): try later (code 7); the token in the environment variable CF_TOKEN \
             lacks the permission \"zone, Zone: Read\", or is not valid; correct the token",
            "Cloudflare is unavailable: reading the zone failed with HTTP 503: try later (code 7); Daymark tries again; if this \
             lasts, look at www.cloudflarestatus.com",
            "the response to reading the zone (HTTP 200) is not valid: it is empty; if this persists, check the address of the API, \
             and any proxy between this host and Cloudflare",
            "no response from Cloudflare within 10s while reading the zone; Daymark tries again; if this lasts, raise `timeout`",
            "Cloudflare does not confirm the write: add the record; Daymark tries again; if this lasts, look for another writer of \
             the same objects",
            "a newer answer superseded this one, or this host no longer has the writer lease; Daymark goes on with the newer answer",
            "few calls are left, so Daymark waits for 90s; if this happens often, raise `callShare`",
            "few calls are left and are kept for changes, so the drift check is postponed; if this happens often, raise `callShare`",
            "no node has a verdict yet, so the published answer stays; look at the probes with `daymark status`",
        ];
        assert_eq!(messages, expected.map(|message| format!("1.example.org: {message}")));
    }

    fn throttled(seconds: u64) -> PoolFault {
        PoolFault::Throttled(Duration::from_secs(seconds))
    }

    #[test]
    fn of_several_pools_the_longest_pause_is_reported() {
        for faults in [[10, 90, 20], [90, 10, 20], [10, 20, 90]] {
            let others = [
                PoolFault::Superseded,
                PoolFault::from(CloudflareFinding::ZoneUnseen { zone: "no".to_owned(), account: None }),
            ];
            let faults = faults.map(throttled).into_iter().chain(others);
            let (error, message) = error_of(faults.collect());
            let longest = Some(Duration::from_secs(90));
            assert!(matches!(error, ApplyError::Unavailable { pause, .. } if pause == longest), "{error:?}");
            assert!((1..=5).all(|n| message.contains(&format!("{n}.example.org: "))), "each is named: {message}");
        }
    }

    #[test]
    fn without_a_pause_to_report_the_callers_own_is_enough() {
        let (error, _) = error_of(vec![PoolFault::Superseded, PoolFault::NotConfirmed("add a record".to_owned())]);
        assert!(matches!(error, ApplyError::Unavailable { pause: None, .. }), "{error:?}");
    }

    #[test]
    fn what_only_an_operator_can_fix_is_tried_slowly_also_if_a_drift_check_was_left_out() {
        let (error, message) = error_of(vec![
            PoolFault::from(CloudflareFinding::ZoneSecondary { zone: "example.org".to_owned() }),
            PoolFault::DriftUnchecked,
        ]);
        assert!(matches!(error, ApplyError::Refused(_)), "{error:?}");
        assert!(message.starts_with("1.example.org: the zone example.org is a secondary zone, "), "{message}");
        assert!(message.contains("; 2.example.org: few calls are left"), "{message}");
        let (error, _) = error_of(vec![PoolFault::DriftUnchecked, throttled(10)]);
        assert!(matches!(error, ApplyError::Unavailable { pause, .. } if pause == Some(Duration::from_secs(10))));
    }
}
