//! What has to fit into one message: how long names and texts may be.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use daymark_decision::{Fate, HostName, Moment, NodeName, Override, OverrideKind, PoolName, Stamp, Undone, Word};

use crate::facts::{Entry, Fact, Topic};
use crate::message::{Echo, Head, MOST_BYTES, Message, News, length};

/// The longest name of a host, in bytes. With it the heads and the facts of any hosts fit, but for words, whose length
/// depends on the pool as well.
pub const LONGEST_HOST: usize = 32;
/// The longest reason of an operator's word, in bytes.
pub const LONGEST_REASON: usize = 200;
/// The longest author of an operator's word, in bytes.
pub const LONGEST_AUTHOR: usize = 64;

/// No count of a run comes near it.
const COUNT: u64 = u32::MAX as u64;
/// In the year 2248.
const LATE: u64 = 1 << 43;

/// How many bytes the longest word on a node makes a message too long; `None` where every word fits. `nodes` is how many the
/// pool has.
pub fn excess(members: &BTreeSet<HostName>, pool: &PoolName, node: &NodeName, nodes: usize) -> Option<usize> {
    let mut hosts: Vec<&HostName> = members.iter().collect();
    hosts.sort_by_key(|host| Reverse(host.as_str().len()));
    let longest = *hosts.first()?;
    let late = Moment::from_millis(LATE);
    let word = word(longest, &hosts, node, nodes);
    let entry: Entry = (COUNT, Topic::Word(pool.clone(), node.clone()), Some(Fact::Word(word)));
    let head = Head { host: longest.clone(), incarnation: LATE, beat: COUNT, age: LATE, version: COUNT };
    let news = News { host: longest.clone(), incarnation: LATE, after: COUNT, upto: COUNT, entries: vec![entry] };
    let message = Message {
        from: longest.clone(),
        incarnation: LATE,
        number: COUNT,
        clock: late,
        echo: Some(Echo { incarnation: LATE, number: COUNT, held: LATE }),
        heads: vec![head; 3],
        news: vec![news],
    };
    // The frame is reckoned with 32 bytes more, see `fitting`.
    length(&message).checked_add(32)?.checked_sub(MOST_BYTES).filter(|excess| *excess > 0)
}

/// The longest word that such hosts can say, the longest named ones first: an undone drain that knew as many others as the pool has.
fn word(longest: &HostName, hosts: &[&HostName], node: &NodeName, nodes: usize) -> Word {
    let knew = hosts.iter().cycle().take(nodes.saturating_sub(1).min(Word::MOST_KNOWN));
    let order = Override {
        kind: OverrideKind::Drain,
        reason: "x".repeat(LONGEST_REASON),
        author: "x".repeat(LONGEST_AUTHOR),
        since: Moment::from_millis(LATE),
        until: Some(Moment::from_millis(LATE)),
        host: Some(longest.clone()),
    };
    Word {
        stamp: Stamp { time: LATE, host: longest.clone() },
        knew: knew.map(|host| Stamp { time: LATE, host: (*host).clone() }).collect(),
        insist: false,
        fate: Fate::Undone(Undone { order, node: node.clone(), host: longest.clone() }),
        is_doubted: false,
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
        assert_eq!(of(3, LONGEST_HOST, 60, 60, 3), None);
    }

    #[test]
    fn a_byte_more_is_a_byte_in_excess() {
        let longest = (1..253).take_while(|node| of(3, 5, 253, *node, 25).is_none()).count();
        assert!(longest < 252, "{longest}");
        assert!(of(3, 5, 253, longest + 1, 25).is_some_and(|excess| excess <= 2), "the name is in it twice");
        assert!(of(3, 5, 253, longest + 1, 3).is_none(), "few nodes know of few others");
    }
}
