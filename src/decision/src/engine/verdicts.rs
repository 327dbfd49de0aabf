//! What the hosts together find of each target of a pool.

use std::collections::BTreeMap;

use super::Engine;
use crate::peers::View;
use crate::pool::PoolState;
use crate::quorum::{Standing, Vote, verdict};
use crate::target::{Grade, Target};

impl Engine {
    /// The verdict on each target of a pool, and the best that any host whose vote counts finds it, where that is better.
    pub(super) fn judge(&self, pool: &PoolState) -> (BTreeMap<Target, Grade>, BTreeMap<Target, Grade>) {
        let mut found = BTreeMap::new();
        let mut note = |target: &Target, verdict: Option<Grade>, best: Grade| {
            if best >= Grade::Live && verdict.is_some_and(|verdict| verdict < Grade::Live) {
                found.insert(target.clone(), best);
            }
        };
        let verdicts = match (self.standing(), &self.listens) {
            (Standing::Listening, Some(listens)) => pool.judged(|target, health| {
                let verdict = listens.verdict(target, health.vote());
                note(target, verdict, pool.found(target).max(health.vote().grade));
                verdict
            }),
            (Standing::Quorum, listens) => {
                let views: Vec<&View> = self.views().filter(|view| !view.abstains).collect();
                let counts_itself = views.is_empty() || !self.is_blind();
                let mut views: Vec<_> = views.iter().map(|view| view.votes_from(&pool.policy.name)).collect();
                let members = self.membership.members.len();
                pool.judged(|target, health| {
                    let peers = views.iter_mut().filter_map(|votes| votes.on(target));
                    let votes: Vec<Vote> = peers.chain(counts_itself.then(|| health.vote())).collect();
                    let kept = listens.as_ref().and_then(|listens| listens.unsure(target, &votes, members));
                    // Where what was agreed on stands, so does what was found.
                    let before = kept.map(|_| pool.found(target));
                    let best = votes.iter().map(|vote| vote.grade).chain(before).max().unwrap_or_default();
                    let verdict = kept.or_else(|| verdict(votes));
                    note(target, verdict, best);
                    verdict
                })
            }
            (Standing::Alone | Standing::Listening, _) => pool.judged(|_, health| verdict([health.vote()])),
        };
        (verdicts, found)
    }
}
