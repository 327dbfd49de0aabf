//! The bridge between the gossip and the decision core.
//!
//! It passes the views and overrides of the other hosts to the engine, and this host's state to the gossip. Neither of the two
//! knows the other.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{Engine, Moment, NodeKey, PoolName};

use crate::entries::{ConfigurationHash, EntryKey, EntryValue};
use crate::gossip::{Gossip, ReceivedView};

/// Passes everything new between the engine and the gossip. The caller does so after every input of either.
pub fn exchange(
    engine: &mut Engine,
    gossip: &mut Gossip,
    configuration: &BTreeMap<PoolName, ConfigurationHash>,
    now: Moment,
) {
    if gossip.take_set_back() {
        engine.handle_set_back(now);
    }
    // Views come first: the engine judges the nodes that a drain would leave by what it knows of them.
    for ReceivedView { view, last_seen } in gossip.take_views() {
        engine.handle_peer_view(view, last_seen, now);
    }
    gossip.set_configuration(configuration);
    let overrides = gossip.take_override_entries();
    if !overrides.is_empty() {
        engine.handle_override_entries(overrides, now);
    }
    // Collecting all entries costs more than most inputs do.
    if gossip.is_behind(engine.revision()) {
        let entries = entries(engine, configuration, gossip.unsaved_overrides());
        gossip.set_entries(&entries, now);
    }
}

fn entries(
    engine: &Engine,
    configuration: &BTreeMap<PoolName, ConfigurationHash>,
    unsaved_overrides: &BTreeSet<NodeKey>,
) -> BTreeMap<EntryKey, EntryValue> {
    let votes = engine.votes().into_iter().map(|(target, vote)| (EntryKey::Vote(target), EntryValue::Vote(vote)));
    let overrides = engine
        .override_entries()
        .map(|(key, entry)| (EntryKey::Override(key.clone()), EntryValue::Override(entry.clone())));
    let configuration = configuration
        .iter()
        .map(|(pool, hash)| (EntryKey::Configuration(pool.clone()), EntryValue::Configuration(*hash)));
    let participation =
        EntryValue::Participation { abstains: engine.is_isolated(), eligible_writer: engine.is_eligible_writer() };
    let members = engine.membership().map(|membership| membership.members.clone()).unwrap_or_default();
    let of_host = [
        (EntryKey::Participation, participation),
        (EntryKey::ReachableHosts, EntryValue::ReachableHosts(engine.reachable_hosts())),
        (EntryKey::Members, EntryValue::Members(members)),
    ];
    let unsaved =
        unsaved_overrides.iter().map(|key| (EntryKey::UnsavedOverride(key.clone()), EntryValue::UnsavedOverride));
    votes.chain(overrides).chain(configuration).chain(of_host).chain(unsaved).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daymark_decision::fixtures::{host_name, node, node_name, pool_name, quick_pool};
    use daymark_decision::{Command, Membership, Memory, Override, OverrideKind, Pool};

    use super::*;

    fn pool(nodes: u8) -> Pool {
        let node = |n| node(&format!("kube-cp-{n}"), &[&format!("192.0.2.{n}")]);
        quick_pool("lb.kube-cp.com", (1..=nodes).map(node).collect())
    }

    struct Host {
        engine: Engine,
        gossip: Gossip,
        configuration: ConfigurationHash,
    }

    impl Host {
        fn new(own: &str, nodes: u8, now: Moment) -> Self {
            let members = ["dns-1", "dns-2"].map(host_name).into();
            let membership = Membership { own: host_name(own), members, can_write: true };
            let engine = Engine::new(Some(membership.clone()), vec![pool(nodes)], Memory::default(), now);
            Self {
                engine,
                gossip: Gossip::new(&membership, now.as_millis(), now),
                configuration: ConfigurationHash([nodes; 8]),
            }
        }

        fn configure(&mut self, nodes: u8, now: Moment) {
            self.configuration = ConfigurationHash([nodes; 8]);
            self.engine.handle_policy(vec![pool(nodes)], now);
        }

        fn exchange(&mut self, now: Moment) {
            let configuration = [(pool_name("lb.kube-cp.com"), self.configuration)].into();
            exchange(&mut self.engine, &mut self.gossip, &configuration, now);
        }

        fn drained(&self) -> Vec<&str> {
            self.engine.overrides().map(|(key, _)| key.node.as_str()).collect()
        }
    }

    #[test]
    fn an_override_of_a_node_that_is_not_configured_takes_effect_when_the_node_is() {
        let start = Moment::from_millis(1_767_225_600_000);
        let at = |ms| start.after(Duration::from_millis(ms));
        let mut hosts = [Host::new("dns-1", 3, start), Host::new("dns-2", 2, start)];
        let since = start;
        let requested = Override {
            kind: OverrideKind::Drain,
            reason: String::new(),
            author: String::new(),
            since,
            until: None,
            host: None,
        };
        let pool_name = pool_name("lb.kube-cp.com");
        let node = node_name("kube-cp-3");
        let command = Command::SetOverride { pool: pool_name, node, requested, insist: false };
        let run = |hosts: &mut [Host; 2], from: u64| {
            for ms in (from..from + 3_000).step_by(10) {
                for (sender, receiver) in [(0, 1), (1, 0)] {
                    hosts[sender].exchange(at(ms));
                    while let Some(transmit) = hosts[sender].gossip.poll_transmit(at(ms)) {
                        hosts[receiver].gossip.handle(transmit.message, at(ms)).unwrap();
                    }
                }
            }
        };
        run(&mut hosts, 0);
        hosts[0].engine.handle_command(command, at(3_000)).unwrap();
        run(&mut hosts, 3_000);
        assert_eq!((hosts[0].drained(), hosts[1].drained()), (vec!["kube-cp-3"], vec![]));
        assert_eq!(hosts[1].gossip.take_override_entries(), [], "the override has arrived");
        hosts[1].configure(3, at(6_000));
        hosts[1].exchange(at(6_000));
        assert_eq!(hosts[1].drained(), ["kube-cp-3"]);
        // A node that is removed and added again on one host stays drained: the others never removed it.
        hosts[1].configure(2, at(6_000));
        run(&mut hosts, 6_000);
        hosts[1].configure(3, at(9_000));
        hosts[1].exchange(at(9_000));
        assert_eq!((hosts[0].drained(), hosts[1].drained()), (vec!["kube-cp-3"], vec!["kube-cp-3"]));
    }

    #[test]
    fn overrides_that_are_on_no_disk_of_a_host_are_reported_to_the_others_until_they_are() {
        let start = Moment::from_millis(1_767_225_600_000);
        let at = |ms| start.after(Duration::from_millis(ms));
        let mut hosts = [Host::new("dns-1", 3, start), Host::new("dns-2", 3, start)];
        let unsaved = NodeKey { pool: pool_name("lb.kube-cp.com"), node: node_name("kube-cp-3") };
        let mut now = 0;
        for expected in [BTreeSet::from([unsaved]), BTreeSet::new()] {
            hosts[0].gossip.set_unsaved_overrides(expected.clone());
            for ms in (now..now + 3_000).step_by(10) {
                for (sender, receiver) in [(0, 1), (1, 0)] {
                    hosts[sender].exchange(at(ms));
                    while let Some(transmit) = hosts[sender].gossip.poll_transmit(at(ms)) {
                        hosts[receiver].gossip.handle(transmit.message, at(ms)).unwrap();
                    }
                }
            }
            now += 3_000;
            let summary = hosts[1].gossip.peers().next().unwrap();
            assert_eq!(summary.unsaved_overrides, expected);
        }
    }
}
