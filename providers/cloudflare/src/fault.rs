//! What can keep an answer from being shown.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use daymark_decision::PoolName;
use daymark_provider::PublishError;

use crate::SOON;
use crate::client::{CallError, Retry};

/// Why an answer is not shown, or not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What stands at Cloudflare is in the way, as a sentence for the operator.
    #[error("{0}")]
    Problem(String),
    /// It was written, and reads otherwise.
    #[error("what was written reads back otherwise, so this is still to be done: {0}")]
    ReadsBack(String),
    /// A newer answer is there, and this one is not sent any further.
    #[error("a newer answer is there")]
    Superseded,
    /// Few calls are left, so the next pass waits.
    #[error("few calls are left, so Daymark waits for {0:.0?}; if this comes often, raise `callShare`")]
    Paced(Duration),
    /// Few calls are left, and those are for changes.
    #[error(
        "few calls are left and are kept for changes, so whether someone else has changed what stands is looked at later; if \
         this comes often, raise `callShare`"
    )]
    Unlooked,
    /// There is no verdict to publish.
    #[error("no node is judged yet, and what stands is better than a guess")]
    Guess,
}

/// The faults of one pass, pool by pool. Never empty.
#[derive(Debug)]
struct Faults(Vec<(PoolName, Fault)>);

impl Fault {
    /// The pause after which trying again may help; `None` where it is no reason to try again.
    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Call(error) => match error.retry() {
                Retry::BackOff => Some(Duration::ZERO),
                Retry::After(pause) => Some(pause),
                Retry::Operator => None,
            },
            // Probing must be mended for a guess to become a verdict. A look that was left out is made with the next pass,
            // whatever that is for.
            Self::Problem(_) | Self::Guess | Self::Unlooked => None,
            Self::Paced(pause) => Some(*pause),
            Self::ReadsBack(_) | Self::Superseded => Some(Duration::ZERO),
        }
    }

    /// Whether trying again may help without the operator.
    pub(crate) fn is_passing(&self) -> bool {
        self.pause().is_some()
    }
}

/// What the faults of a pass mean to the publisher: an answer that may yet be published makes it try again soon.
pub(crate) fn outcome(faults: Vec<(PoolName, Fault)>) -> Result<(), PublishError> {
    if faults.is_empty() {
        return Ok(());
    }
    let all_stands = faults.iter().all(|(_, fault)| matches!(fault, Fault::Unlooked));
    let pause = faults.iter().filter_map(|(_, fault)| fault.pause()).max();
    let source = Box::new(Faults(faults));
    match pause {
        _ if all_stands => Err(PublishError::Unlooked { source, pause: Some(SOON) }),
        Some(pause) => Err(PublishError::Unavailable { source, pause: Some(pause).filter(|it| !it.is_zero()) }),
        None => Err(PublishError::Refused(source)),
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (pool, fault)) in self.0.iter().enumerate() {
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

impl Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome of one pass over pools with these faults, with what it says.
    fn of(faults: Vec<Fault>) -> (PublishError, String) {
        let named = faults.into_iter().zip(1..).map(|(fault, n)| (PoolName::new(&format!("{n}.example.org")), fault));
        let outcome = outcome(named.collect()).unwrap_err();
        let said = outcome.source().unwrap().to_string();
        (outcome, said)
    }

    fn paced(seconds: u64) -> Fault {
        Fault::Paced(Duration::from_secs(seconds))
    }

    #[test]
    fn of_several_pools_the_longest_pause_is_the_one_told() {
        for faults in [[10, 90, 20], [90, 10, 20], [10, 20, 90]] {
            let faults = faults.map(paced).into_iter().chain([Fault::Superseded, Fault::Problem("no".to_owned())]);
            let (outcome, said) = of(faults.collect());
            let longest = Some(Duration::from_secs(90));
            assert!(matches!(outcome, PublishError::Unavailable { pause, .. } if pause == longest), "{outcome:?}");
            assert!((1..=5).all(|n| said.contains(&format!("{n}.example.org: "))), "each is told: {said}");
        }
    }

    #[test]
    fn without_a_pause_to_tell_the_callers_own_is_enough() {
        let (outcome, _) = of(vec![Fault::Superseded, Fault::ReadsBack("it".to_owned())]);
        assert!(matches!(outcome, PublishError::Unavailable { pause: None, .. }), "{outcome:?}");
    }

    #[test]
    fn what_only_the_operator_can_mend_is_tried_slowly_also_where_a_look_was_left_out() {
        let (outcome, said) = of(vec![Fault::Problem("no zone".to_owned()), Fault::Unlooked]);
        assert!(matches!(outcome, PublishError::Refused(_)), "{outcome:?}");
        assert!(said.starts_with("1.example.org: no zone; 2.example.org: few calls are left"), "{said}");
        let (outcome, _) = of(vec![Fault::Unlooked, paced(10)]);
        assert!(matches!(outcome, PublishError::Unavailable { pause, .. } if pause == Some(Duration::from_secs(10))));
    }
}
