//! The zones and the decision that the responses are built from.
//!
//! A reload brings new zones first and a decision about their pools a moment later. In between, the former zones are served. So a
//! pool that is added has an answer from its first query on, and none that is removed is without one before it goes.

use std::sync::Arc;

use daymark_decision::Decision;

use crate::engine_responder::Properties;
use crate::responder::ServedState;
use crate::zone::Zone;

/// The zones that are served, those that wait for an answer of each of their pools, and the answers.
pub(crate) struct ServedInputs {
    served: Vec<Arc<Zone>>,
    /// The zones of a reload that has added a pool without an answer yet.
    waiting: Option<Vec<Arc<Zone>>>,
    /// `None` before the first decision.
    decision: Option<Decision>,
}

impl ServedInputs {
    /// The inputs before the first decision.
    pub(crate) fn new(zones: Vec<Arc<Zone>>) -> Self {
        Self { served: zones, waiting: None, decision: None }
    }

    /// The generation of the newest decision.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.decision.as_ref().map(|decision| decision.generation)
    }

    /// The served zones.
    pub(crate) fn zones(&self) -> &[Arc<Zone>] {
        &self.served
    }

    /// The served zones with their answers. `now` is in seconds since the Unix epoch.
    pub(crate) fn served(&self, properties: &Properties, now: u64) -> ServedState {
        ServedState::new(&self.served, self.decision.as_ref(), properties, now)
    }

    /// Takes new zones. They are served at once if each of their pools has an answer, and otherwise from the decision on that has
    /// the last of them. Before the first decision there is nothing to wait with.
    pub(crate) fn set_zones(&mut self, zones: Vec<Arc<Zone>>) {
        for zone in &zones {
            let former = self.served.iter().find(|former| former.apex() == zone.apex());
            if let Some((signer, former)) = zone.signer().zip(former.and_then(|former| former.signer())) {
                signer.inherit(former);
            }
        }
        self.waiting = Some(zones);
        self.serve_waiting();
    }

    /// Takes a new decision.
    ///
    /// A reload may follow another one so quickly that a decision still lacks a pool of the newest zones. Its former answer stands
    /// until a decision has it.
    pub(crate) fn set_decision(&mut self, decision: &Decision) {
        let mut newest = decision.clone();
        if let Some(former) = self.decision.take() {
            let zones = self.served.iter().chain(self.waiting.iter().flatten());
            for pool in zones.flat_map(|zone| zone.pools()).map(|pool| &pool.pool) {
                if newest.answer(pool).is_none() {
                    newest.answers.extend(former.answer(pool).cloned());
                }
            }
        }
        self.decision = Some(newest);
        self.serve_waiting();
    }

    fn serve_waiting(&mut self) {
        let has_every_answer = |zones: &mut Vec<Arc<Zone>>| {
            let mut pools = zones.iter().flat_map(|zone| zone.pools());
            self.decision.as_ref().is_none_or(|decision| pools.all(|pool| decision.answer(&pool.pool).is_some()))
        };
        if let Some(zones) = self.waiting.take_if(has_every_answer) {
            self.served = zones;
        }
    }
}

#[cfg(test)]
mod tests {
    use daymark_decision::PoolName;
    use daymark_decision::fixtures::pool_name;
    use daymark_provider::contract;

    use crate::settings::{Nameserver, ZoneSettings};

    use super::*;

    /// A zone for each pool.
    fn zones(pools: &[&str]) -> Vec<Arc<Zone>> {
        let nameservers = [Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() }];
        let build = |pool: &&str| Zone::build(&ZoneSettings::for_pool(&pool_name(pool), &nameservers)).unwrap();
        pools.iter().map(build).map(Arc::new).collect()
    }

    fn decision(generation: u64, pools: &[&str]) -> Decision {
        let answer = |pool: &&str| contract::decision(&pool_name(pool), generation, &["192.0.2.1"]).answers.remove(0);
        Decision { answers: pools.iter().map(answer).collect(), generation }
    }

    /// The served pools. Each must have an answer.
    fn served(inputs: &ServedInputs) -> Vec<&str> {
        let pools: Vec<_> = inputs.served.iter().flat_map(|zone| zone.pools()).map(|pool| &pool.pool).collect();
        let decision = inputs.decision.as_ref().unwrap();
        assert!(pools.iter().all(|pool| decision.answer(pool).is_some()), "{pools:?} of {decision:?}");
        pools.into_iter().map(PoolName::as_str).collect()
    }

    fn started(pools: &[&str]) -> ServedInputs {
        let mut inputs = ServedInputs::new(zones(pools));
        inputs.set_decision(&decision(1, pools));
        inputs
    }

    #[test]
    fn an_added_pool_is_served_from_its_first_answer_on() {
        let mut inputs = started(&["a.example"]);
        inputs.set_zones(zones(&["a.example", "b.example"]));
        assert_eq!(served(&inputs), ["a.example"]);
        inputs.set_decision(&decision(2, &["a.example"]));
        assert_eq!((served(&inputs), inputs.generation()), (vec!["a.example"], Some(2)));
        inputs.set_decision(&decision(3, &["a.example", "b.example"]));
        assert_eq!(served(&inputs), ["a.example", "b.example"]);
    }

    #[test]
    fn a_removed_pool_goes_at_once() {
        let mut inputs = started(&["a.example", "b.example"]);
        inputs.set_zones(zones(&["b.example"]));
        assert_eq!(served(&inputs), ["b.example"]);
        inputs.set_decision(&decision(2, &["b.example"]));
        assert!(inputs.decision.unwrap().answer(&pool_name("a.example")).is_none());
    }

    #[test]
    fn a_pool_that_replaces_another_is_served_when_that_one_goes() {
        let mut inputs = started(&["a.example"]);
        inputs.set_zones(zones(&["b.example"]));
        assert_eq!(served(&inputs), ["a.example"]);
        inputs.set_decision(&decision(2, &["b.example"]));
        assert_eq!(served(&inputs), ["b.example"]);
    }

    #[test]
    fn a_reload_that_follows_quickly_leaves_no_served_pool_without_an_answer() {
        let mut inputs = started(&["a.example", "b.example"]);
        // The first reload removes a pool, and the second adds it again before the decision of the first.
        inputs.set_zones(zones(&["a.example"]));
        inputs.set_zones(zones(&["a.example", "b.example"]));
        inputs.set_decision(&decision(2, &["a.example"]));
        assert_eq!(served(&inputs), ["a.example", "b.example"]);
        inputs.set_decision(&decision(3, &["a.example", "b.example"]));
        // The first replaces a pool, and the second adds one more.
        inputs.set_zones(zones(&["b.example", "c.example"]));
        inputs.set_zones(zones(&["b.example", "c.example", "d.example"]));
        inputs.set_decision(&decision(4, &["b.example", "c.example"]));
        assert_eq!(served(&inputs), ["a.example", "b.example"]);
        inputs.set_decision(&decision(5, &["b.example", "c.example", "d.example"]));
        assert_eq!(served(&inputs), ["b.example", "c.example", "d.example"]);
    }

    #[test]
    fn before_the_first_decision_new_zones_are_served_at_once() {
        let mut inputs = ServedInputs::new(zones(&["a.example"]));
        inputs.set_zones(zones(&["b.example"]));
        inputs.set_decision(&decision(1, &["b.example"]));
        assert_eq!(served(&inputs), ["b.example"]);
    }
}
