//! Limits on names and texts, so that everything a host sends fits into one message.
//!
//! The configuration checks its names against these limits when it is read. This module does not know which names are
//! configured.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use daymark_decision::{
    HostName, HybridTimestamp, Moment, NodeKey, NodeName, Override, OverrideEntry, OverrideKind, OverrideState,
    PoolName, RevertedDrain,
};

use crate::entries::{Entry, EntryKey, EntryValue};
use crate::message::{Delta, DigestEntry, Echo, MAX_MESSAGE_BYTES, Message, encoded_len};

/// The most bytes of the reason of an override.
pub const MAX_REASON_BYTES: usize = 200;
/// The most bytes of the author of an override.
pub const MAX_AUTHOR_BYTES: usize = 64;

/// The bytes that are kept free in a delta. Its version numbers and its length may take more bytes in the end than they did
/// when the delta was begun.
pub(crate) const DELTA_MARGIN_BYTES: usize = 32;

/// A count that no run of a host comes near.
const LARGE_COUNT: u64 = u32::MAX as u64;
/// A time in milliseconds, in the year 2248. No earlier time takes more bytes.
const LATE_TIME: u64 = 1 << 43;

/// The number of bytes by which the names of these hosts make a digest or the list of members too long; `None` if they fit.
pub fn host_names_overflow(members: &BTreeSet<HostName>) -> Option<usize> {
    let longest = members.iter().max_by_key(|host| host.as_str().len())?;
    let digest = members.iter().map(longest_digest_entry).collect();
    let members =
        Entry { version: LARGE_COUNT, key: EntryKey::Members, value: Some(EntryValue::Members(members.clone())) };
    let messages = [
        longest_message(longest, digest, Vec::new()),
        longest_message(longest, vec![longest_digest_entry(longest); 3], vec![members]),
    ];
    messages.iter().filter_map(overflow).max()
}

/// The number of bytes by which the longest override of a node makes a message too long; `None` if every override fits.
/// `nodes` is the number of nodes in the pool.
pub fn override_overflow(
    members: &BTreeSet<HostName>,
    pool: &PoolName,
    node: &NodeName,
    nodes: usize,
) -> Option<usize> {
    let mut hosts: Vec<&HostName> = members.iter().collect();
    hosts.sort_by_key(|host| Reverse(host.as_str().len()));
    let longest = *hosts.first()?;
    let entry = Entry {
        version: LARGE_COUNT,
        key: EntryKey::Override(NodeKey { pool: pool.clone(), node: node.clone() }),
        value: Some(EntryValue::Override(longest_override(longest, &hosts, node, nodes))),
    };
    overflow(&longest_message(longest, vec![longest_digest_entry(longest); 3], vec![entry]))
}

fn overflow(message: &Message) -> Option<usize> {
    let margin = if message.deltas.is_empty() { 0 } else { DELTA_MARGIN_BYTES };
    encoded_len(message).checked_add(margin)?.checked_sub(MAX_MESSAGE_BYTES).filter(|bytes| *bytes > 0)
}

/// The longest message from a host with this digest and these entries.
fn longest_message(from: &HostName, digest: Vec<DigestEntry>, entries: Vec<Entry>) -> Message {
    let delta = Delta { host: from.clone(), incarnation: LATE_TIME, after: LARGE_COUNT, up_to: LARGE_COUNT, entries };
    Message {
        from: from.clone(),
        incarnation: LATE_TIME,
        sequence_number: LARGE_COUNT,
        sent_at: Moment::from_millis(LATE_TIME),
        echo: Some(Echo { incarnation: LATE_TIME, sequence_number: LARGE_COUNT, held_ms: LATE_TIME }),
        digest,
        deltas: if delta.entries.is_empty() { Vec::new() } else { vec![delta] },
    }
}

fn longest_digest_entry(host: &HostName) -> DigestEntry {
    DigestEntry {
        host: host.clone(),
        incarnation: LATE_TIME,
        heartbeat: LARGE_COUNT,
        heartbeat_age_ms: LATE_TIME,
        version: LARGE_COUNT,
    }
}

/// The longest override that these hosts can make: a reverted drain whose causal context has every other node of the pool.
/// `hosts` begins with the longest names.
fn longest_override(longest: &HostName, hosts: &[&HostName], node: &NodeName, nodes: usize) -> OverrideEntry {
    let known = hosts.iter().cycle().take(nodes.saturating_sub(1).min(OverrideEntry::MAX_CONTEXT));
    let drain = Override {
        kind: OverrideKind::Drain,
        reason: "x".repeat(MAX_REASON_BYTES),
        author: "x".repeat(MAX_AUTHOR_BYTES),
        since: Moment::from_millis(LATE_TIME),
        until: Some(Moment::from_millis(LATE_TIME)),
        host: Some(longest.clone()),
    };
    OverrideEntry {
        timestamp: HybridTimestamp { time: LATE_TIME, host: Some(longest.clone()) },
        causal_context: known.map(|host| HybridTimestamp { time: LATE_TIME, host: Some((*host).clone()) }).collect(),
        context_revision: u32::MAX,
        insist: false,
        state: OverrideState::Reverted(RevertedDrain { drain, node: node.clone(), host: Some(longest.clone()) }),
        expiry_uncertain: false,
    }
}

#[cfg(test)]
mod tests {
    use daymark_decision::fixtures::{host_name, node_name, pool_name};

    use super::*;

    /// The number of hosts and nodes, and the lengths of their names and of the pool's.
    struct Lengths {
        hosts: usize,
        host: usize,
        pool: usize,
        node: usize,
        nodes: usize,
    }

    impl Lengths {
        fn overflow(&self) -> Option<usize> {
            let width = self.host;
            let members = (0..self.hosts).map(|n| host_name(&format!("{n:0>width$}"))).collect();
            let pool = long_pool_name(self.pool);
            override_overflow(&members, &pool, &node_name(&"n".repeat(self.node)), self.nodes)
        }
    }

    /// A name of this many bytes, of labels of at most 63 bytes.
    fn long_pool_name(bytes: usize) -> PoolName {
        let is_dot = |n: usize| n % 64 == 63;
        pool_name(&(0..bytes).map(|n| if is_dot(n) { '.' } else { 'p' }).collect::<String>())
    }

    fn names_overflow(hosts: usize, length: usize) -> Option<usize> {
        host_names_overflow(&(0..hosts).map(|n| host_name(&format!("{n:0>length$}"))).collect())
    }

    #[test]
    fn common_names_of_hosts_and_nodes_fit() {
        assert_eq!(Lengths { hosts: 3, host: 18, pool: 40, node: 40, nodes: 1_000 }.overflow(), None);
        assert_eq!(Lengths { hosts: 15, host: 5, pool: 40, node: 20, nodes: 1_000 }.overflow(), None);
        assert_eq!(Lengths { hosts: 3, host: 32, pool: 60, node: 60, nodes: 3 }.overflow(), None);
        let control_plane = Lengths { hosts: 3, host: 50, pool: 20, node: 50, nodes: 3 };
        assert_eq!(control_plane.overflow(), None, "three control-plane nodes that are the hosts");
    }

    #[test]
    fn the_fewer_hosts_there_are_the_longer_their_names_may_be() {
        for hosts in 2..=9 {
            assert_eq!(names_overflow(hosts, HostName::MAX_BYTES), None, "{hosts}");
        }
        let longest = (1..HostName::MAX_BYTES).take_while(|length| names_overflow(15, *length).is_none()).count();
        assert!((32..HostName::MAX_BYTES).contains(&longest), "{longest}");
        let one_more = names_overflow(15, longest + 1).unwrap();
        let two_more = names_overflow(15, longest + 2).unwrap();
        assert_eq!(one_more, two_more - 16, "each name is a byte longer, and the longest is there twice");
    }

    #[test]
    fn a_name_that_is_a_byte_longer_overflows_by_a_byte_for_each_use() {
        let overflow = |node, nodes| Lengths { hosts: 3, host: 5, pool: 253, node, nodes }.overflow();
        let longest = (1..253).take_while(|node| overflow(*node, 25).is_none()).count();
        assert!(longest < 252, "{longest}");
        assert!(overflow(longest + 1, 25).is_some_and(|bytes| bytes <= 2), "the name is in it twice");
        assert!(overflow(longest + 1, 3).is_none(), "few nodes make a short causal context");
    }
}
