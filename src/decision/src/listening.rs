//! The first moments of a run among other hosts.

use std::collections::BTreeMap;

use crate::moment::Moment;
use crate::quorum::{Vote, sure_verdict, verdict};
use crate::target::{Grade, Target};

/// The first moments of a run with other hosts: until all are heard, what was agreed on before stands where those that are
/// not could still decide, for this host's own view may be the odd one.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    /// From then on this host takes itself for alone.
    pub(crate) until: Moment,
    /// What an earlier run knew.
    pub(crate) agreed: BTreeMap<Target, Grade>,
}

impl Listening {
    /// What was agreed on, where the votes of hosts that are not heard yet could change what these say.
    pub(crate) fn unsure(&self, target: &Target, votes: &[Vote], members: usize) -> Option<Grade> {
        if sure_verdict(votes, members).is_some() {
            return None;
        }
        let has_stopped = votes.iter().any(|vote| vote.shutting_down);
        let least = if has_stopped { Grade::Live } else { Grade::Ready };
        self.agreed.get(target).copied().filter(|agreed| *agreed != Grade::Unknown).map(|agreed| agreed.min(least))
    }

    /// What was agreed on, unless the target has said itself that it stops; else what this host knows.
    pub(crate) fn verdict(&self, target: &Target, own: Vote) -> Option<Grade> {
        let agreed = self.agreed.get(target).copied().filter(|agreed| *agreed != Grade::Unknown);
        let least = if own.shutting_down { Grade::Live } else { Grade::Ready };
        agreed.map(|agreed| agreed.min(least)).or_else(|| verdict([own]))
    }
}
