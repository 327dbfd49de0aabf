//! What has to fit into one message: how long names and texts may be.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use daymark_decision::{
    HostName, HybridTimestamp, Moment, NodeName, Override, OverrideEntry, OverrideKind, OverrideState, PoolName,
    RevertedDrain,
};

use crate::facts::{Entry, Fact, Topic};
use crate::message::{Echo, Head, MOST_BYTES, Message, News, length};

/// The longest name of a host, in bytes: that of a label of the DNS. How many of what length fit together, [`crowding`] tells.
pub const LONGEST_HOST: usize = 63;
/// The longest reason of an operator's word, in bytes.
pub const LONGEST_REASON: usize = 200;
/// The longest author of an operator's word, in bytes.
pub const LONGEST_AUTHOR: usize = 64;

/// No count of a run comes near it.
const COUNT: u64 = u32::MAX as u64;
/// In the year 2248.
const LATE: u64 = 1 << 43;

/// How many bytes the names of hosts make a message too long, whatever is said in it but words; `None` where all fits.
pub fn crowding(members: &BTreeSet<HostName>) -> Option<usize> {
    let longest = members.iter().max_by_key(|host| host.as_str().len())?;
    let heads = members.iter().map(head).collect();
    let named = (COUNT, Topic::Members, Some(Fact::Members(members.clone())));
    let messages = [message(longest, heads, Vec::new()), message(longest, vec![head(longest); 3], vec![named])];
    messages.iter().filter_map(too_long).max()
}

/// How many bytes the longest word on a node makes a message too long; `None` where every word fits. `nodes` is how many the
/// pool has.
pub fn excess(members: &BTreeSet<HostName>, pool: &PoolName, node: &NodeName, nodes: usize) -> Option<usize> {
    let mut hosts: Vec<&HostName> = members.iter().collect();
    hosts.sort_by_key(|host| Reverse(host.as_str().len()));
    let longest = *hosts.first()?;
    let word = word(longest, &hosts, node, nodes);
    let entry: Entry = (COUNT, Topic::OverrideEntry(pool.clone(), node.clone()), Some(Fact::OverrideEntry(word)));
    too_long(&message(longest, vec![head(longest); 3], vec![entry]))
}

fn too_long(message: &Message) -> Option<usize> {
    // The frame of facts is reckoned with 32 bytes more, see `fitting`.
    let frame = if message.news.is_empty() { 0 } else { 32 };
    length(message).checked_add(frame)?.checked_sub(MOST_BYTES).filter(|excess| *excess > 0)
}

/// The longest message from a host with these heads and facts.
fn message(from: &HostName, heads: Vec<Head>, entries: Vec<Entry>) -> Message {
    let news = News { host: from.clone(), incarnation: LATE, after: COUNT, upto: COUNT, entries };
    Message {
        from: from.clone(),
        incarnation: LATE,
        number: COUNT,
        clock: Moment::from_millis(LATE),
        echo: Some(Echo { incarnation: LATE, number: COUNT, held: LATE }),
        heads,
        news: if news.entries.is_empty() { Vec::new() } else { vec![news] },
    }
}

fn head(host: &HostName) -> Head {
    Head { host: host.clone(), incarnation: LATE, beat: COUNT, age: LATE, version: COUNT }
}

/// The longest word that such hosts can say, the longest named ones first: an undone drain that knew as many others as the pool has.
fn word(longest: &HostName, hosts: &[&HostName], node: &NodeName, nodes: usize) -> OverrideEntry {
    let causal_context = hosts.iter().cycle().take(nodes.saturating_sub(1).min(OverrideEntry::MAX_CONTEXT));
    let drain = Override {
        kind: OverrideKind::Drain,
        reason: "x".repeat(LONGEST_REASON),
        author: "x".repeat(LONGEST_AUTHOR),
        since: Moment::from_millis(LATE),
        until: Some(Moment::from_millis(LATE)),
        host: Some(longest.clone()),
    };
    OverrideEntry {
        timestamp: HybridTimestamp { time: LATE, host: Some(longest.clone()) },
        causal_context: causal_context
            .map(|host| HybridTimestamp { time: LATE, host: Some((*host).clone()) })
            .collect(),
        insist: false,
        state: OverrideState::Reverted(RevertedDrain { drain, node: node.clone(), host: Some(longest.clone()) }),
        expiry_uncertain: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hosts: usize, host: usize, pool: usize, node: usize, nodes: usize) -> Option<usize> {
        let members = (0..hosts).map(|n| HostName::new(&format!("{n:0>host$}"))).collect();
        excess(&members, &PoolName::new(&"p".repeat(pool)), &NodeName::new(&"n".repeat(node)), nodes)
    }

    #[test]
    fn what_hosts_and_nodes_are_called_as_a_rule_fits() {
        assert_eq!(of(3, 18, 40, 40, 1_000), None);
        assert_eq!(of(15, 5, 40, 20, 1_000), None);
        assert_eq!(of(3, 32, 60, 60, 3), None);
        assert_eq!(of(3, 50, 20, 50, 3), None, "three control-plane nodes that are the hosts");
    }

    #[test]
    fn the_fewer_hosts_there_are_the_longer_their_names_may_be() {
        let crowding =
            |hosts: usize, name: usize| crowding(&(0..hosts).map(|n| HostName::new(&format!("{n:0>name$}"))).collect());
        for hosts in 2..=9 {
            assert_eq!(crowding(hosts, LONGEST_HOST), None, "{hosts}");
        }
        let longest = (1..LONGEST_HOST).take_while(|name| crowding(15, *name).is_none()).count();
        assert!((32..LONGEST_HOST).contains(&longest), "{longest}");
        assert_eq!(
            crowding(15, longest + 1),
            Some(crowding(15, longest + 2).unwrap() - 16),
            "a letter of each is a byte"
        );
    }

    #[test]
    fn a_byte_more_is_a_byte_in_excess() {
        let longest = (1..253).take_while(|node| of(3, 5, 253, *node, 25).is_none()).count();
        assert!(longest < 252, "{longest}");
        assert!(of(3, 5, 253, longest + 1, 25).is_some_and(|excess| excess <= 2), "the name is in it twice");
        assert!(of(3, 5, 253, longest + 1, 3).is_none(), "few nodes know of few others");
    }
}
