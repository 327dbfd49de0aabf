//! The faults that keep an answer from being published.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use daymark_decision::PoolName;
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
            write!(f, "{gap}{pool}: {fault}")?;
            let causes = std::iter::successors(fault.source(), |&cause| cause.source());
            for cause in causes {
                write!(f, ": {cause}")?;
            }
        }
        Ok(())
    }
}

impl Error for PoolFaults {}

#[cfg(test)]
mod tests {
    use super::*;
    use daymark_decision::fixtures::pool_name;

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

    fn throttled(seconds: u64) -> PoolFault {
        PoolFault::Throttled(Duration::from_secs(seconds))
    }

    #[test]
    fn of_several_pools_the_longest_pause_is_reported() {
        for faults in [[10, 90, 20], [90, 10, 20], [10, 20, 90]] {
            let others =
                [PoolFault::Superseded, PoolFault::from(CloudflareFinding::ZoneUnseen { zone: "no".to_owned() })];
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
