//! The verdicts of the hosts on the targets of a pool.

use super::Engine;
use crate::peers::PeerView;
use crate::pool::PoolState;
use crate::pool_verdicts::{PoolVerdicts, VoteResult};
use crate::quorum::{QuorumState, Vote, verdict};
use crate::starting::Starting;
use crate::target::Grade;

impl Engine {
    /// Judges each target of a pool by the votes that count.
    pub(super) fn verdicts_of(&self, pool: &PoolState) -> PoolVerdicts {
        match (self.quorum_state(), &self.starting) {
            (QuorumState::Starting, Some(starting)) => by_last_run(pool, starting),
            (QuorumState::Quorum, starting) => self.by_quorum(pool, starting.as_ref()),
            (QuorumState::NoQuorum | QuorumState::Starting, _) => pool.verdicts_by(|_, health| {
                let votes = [health.vote()];
                VoteResult::new(&votes, verdict(&votes), Grade::Unknown)
            }),
        }
    }

    /// The votes of the reachable hosts decide. During the start, a verdict of the last run stands if the missing votes could
    /// still lead to it.
    fn by_quorum(&self, pool: &PoolState, starting: Option<&Starting>) -> PoolVerdicts {
        let views: Vec<&PeerView> = self.views().filter(|view| !view.abstains).collect();
        let own_counts = views.is_empty() || !self.is_isolated();
        let mut views: Vec<_> = views.iter().map(|view| view.votes_from(&pool.policy.name)).collect();
        let members = self.member_count();
        pool.verdicts_by(|target, health| {
            let peers = views.iter_mut().filter_map(|votes| votes.on(target));
            let votes: Vec<Vote> = peers.chain(own_counts.then(|| health.vote())).collect();
            let retained = starting.and_then(|starting| starting.retained_verdict(target, &votes, members));
            // During the start, the last minority grade stands as well.
            let last_minority = retained.map(|_| pool.verdicts().minority(target));
            let best = votes.iter().map(|vote| vote.grade).chain(last_minority).max().unwrap_or_default();
            VoteResult::new(&votes, retained.or_else(|| verdict(&votes)), best)
        })
    }
}

/// The verdicts of the last run stand.
fn by_last_run(pool: &PoolState, starting: &Starting) -> PoolVerdicts {
    pool.verdicts_by(|target, health| {
        let own = health.vote();
        let best = pool.verdicts().minority(target).max(own.grade);
        VoteResult::new(&[own], starting.verdict(target, own), best)
    })
}
