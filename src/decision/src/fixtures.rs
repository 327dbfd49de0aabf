//! Pools, nodes, memberships and observations for the tests of this crate and of those above it.
//!
//! The feature `fixtures` makes them public. No program uses them.

#![allow(clippy::expect_used, reason = "a panic in a helper of tests is a failing test")]

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::name::{HostName, NodeName, PoolName};
use crate::observation::{Kind, Observation, Timings};
use crate::policy::{Mode, Node, Pool, ProbeTiming, Steering, Thresholds, TtlRange};
use crate::quorum::Membership;

/// A pool with the defaults of the configuration.
///
/// # Panics
///
/// Panics if a pool must not have this name.
pub fn pool(name: &str, nodes: Vec<Node>) -> Pool {
    Pool {
        name: pool_name(name),
        nodes,
        thresholds: thresholds(2, 3),
        timing: ProbeTiming {
            interval: Duration::from_secs(1),
            confirm_interval: Duration::from_millis(100),
            detection: Duration::from_millis(6_300),
        },
        steering: Steering { mode: Mode::All, max_answers: 8 },
        ttl: TtlRange { min: 1, max: 5 },
        negative_ttl: 30,
    }
}

/// A pool whose grades change with a single observation, which proves a silent node in two seconds.
///
/// # Panics
///
/// Panics if a pool must not have this name.
pub fn quick_pool(name: &str, nodes: Vec<Node>) -> Pool {
    let pool = pool(name, nodes);
    let timing = ProbeTiming { detection: Duration::from_secs(2), ..pool.timing };
    Pool { thresholds: thresholds(1, 1), timing, ..pool }
}

/// A node of these addresses.
///
/// # Panics
///
/// Panics if one is no IP address, or if a node must not have this name.
pub fn node(name: &str, addresses: &[&str]) -> Node {
    let addresses = addresses.iter().map(|address| address.parse().expect("an IP address")).collect();
    Node { name: node_name(name), addresses, priority: 0, weight: 1 }
}

/// The thresholds of these numbers of observations.
///
/// # Panics
///
/// Panics if one is 0.
pub fn thresholds(rise: u32, fall: u32) -> Thresholds {
    let at_least_one = |number| NonZeroU32::new(number).expect("at least 1");
    Thresholds { rise: at_least_one(rise), fall: at_least_one(fall) }
}

/// The host `dns-NUMBER`.
pub fn host(number: usize) -> HostName {
    host_name(&format!("dns-{number}"))
}

/// The name of a host.
///
/// # Panics
///
/// Panics if a host must not have this name.
pub fn host_name(name: &str) -> HostName {
    HostName::new(name).expect("a name of a host")
}

/// The name of a pool.
///
/// # Panics
///
/// Panics if a pool must not have this name.
pub fn pool_name(name: &str) -> PoolName {
    PoolName::new(name).expect("a name of a pool")
}

/// The name of a node.
///
/// # Panics
///
/// Panics if a node must not have this name.
pub fn node_name(name: &str) -> NodeName {
    NodeName::new(name).expect("a name of a node")
}

/// The membership of the host `dns-OWN` among the hosts of these numbers. It can write.
pub fn membership(own: usize, members: impl IntoIterator<Item = usize>) -> Membership {
    let members: BTreeSet<HostName> = members.into_iter().map(host).collect();
    Membership { own: host(own), members, can_write: true }
}

/// Checks that a text for people shows nothing of Rust's `Debug`.
///
/// # Panics
///
/// Panics if the text is empty, or holds braces, paths, variants of `Option` or quotes with backslashes.
pub fn assert_is_plain_message(text: &str) {
    assert!(!text.is_empty(), "an empty text");
    for sign in ["{", "}", "::", "Some(", "None", "Err(", "Error(", "\\\"", "\\'"] {
        assert!(!text.contains(sign), "{sign} in {text}");
    }
}

/// Every kind of observation, in each of its forms.
pub fn kinds() -> Vec<Kind> {
    let text = || "text".to_owned();
    let mut kinds = vec![
        Kind::Ready,
        Kind::NotReady { failing: Vec::new() },
        Kind::NotReady { failing: vec![text()] },
        Kind::ShuttingDown,
        Kind::Overloaded,
        Kind::Starting,
        Kind::Redirect { status: 302, location: Some(text()) },
        Kind::Redirect { status: 302, location: None },
        Kind::OtherStatus { status: 404 },
        Kind::Refused,
        Kind::Reset,
        Kind::Unreachable,
        Kind::ConnectTimeout,
        Kind::TlsStall,
        Kind::NotTls,
        Kind::TlsFailed { detail: text() },
        Kind::ClientCertificateRefused { detail: text() },
        Kind::UntrustedCa,
        Kind::WrongName { expected: text(), names: vec![text()] },
        Kind::WrongName { expected: text(), names: Vec::new() },
        Kind::Expired,
        Kind::CaExpired { ca: text() },
        Kind::CertificateRefused { detail: text() },
        Kind::NotYetValid,
        Kind::AnswerTimeout,
        Kind::ClosedEarly,
        Kind::NotHttp,
        Kind::TooLarge { limit: 65_536 },
        Kind::LocalError { detail: text() },
    ];
    for credentials in [true, false] {
        kinds.push(Kind::ClientCertificateRequired { credentials });
        kinds.push(Kind::Unauthorized { status: 401, credentials });
    }
    kinds
}

/// An observation without times and without a certificate.
pub fn observation(kind: Kind) -> Observation {
    Observation { kind, timings: Timings::default(), certificate: None }
}
