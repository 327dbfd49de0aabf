//! The contracts that providers keep, as one suite for each trait.
//!
//! A provider's tests make a fresh provider that serves `pool`, implement [`PublishedReader`] by asking as users of the name would,
//! and call [`check_provider`] or [`check_remote_provider`]. A suite panics with a sentence if the contract is broken.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{
    Answer, Basis, Decision, Member, Moment, NodeName, NotReadyReason, Order, PoolName, Reason, Target, TargetReason,
};
use tokio::time::Instant;

use crate::{ApplyError, DecisionError, Provider, RemoteProvider};

/// Reads what is published, independently of the provider.
pub trait PublishedReader: Sync {
    /// The addresses that a user of the name gets now, of both families. Empty if the name has none.
    fn addresses(&self, pool: &PoolName) -> impl Future<Output = BTreeSet<IpAddr>> + Send;
}

/// Checks a fresh provider that serves `pool` against the contract of [`Provider`].
///
/// # Panics
/// If the provider breaks the contract.
pub async fn check_provider(provider: &impl Provider, observer: &impl PublishedReader, pool: &PoolName) {
    let [one, two, three] = ADDRESSES;
    assert!(!provider.name().is_empty(), "a provider has a name");
    let publish = |generation, addresses: &[&str]| provider.publish(&decision(pool, generation, addresses));

    assert_eq!(publish(10, &[one, two]), Ok(()), "the first decision is published");
    expect(observer, pool, &[one, two], "a published decision is visible").await;

    assert_eq!(publish(10, &[one, two]), Ok(()), "the same generation is published again");
    expect(observer, pool, &[one, two], "the same generation again changes nothing").await;

    assert_eq!(publish(12, &[two, three]), Ok(()), "a newer decision is published");
    expect(observer, pool, &[two, three], "a newer answer replaces the older one whole").await;

    let stale = publish(11, &[one]);
    assert_eq!(stale, Err(DecisionError::Stale { generation: 11, published: 12 }), "an older one is stale");
    expect(observer, pool, &[two, three], "an older generation never overwrites a newer one").await;

    let empty = publish(13, &[]);
    assert_eq!(empty, Err(DecisionError::Empty(pool.clone())), "an empty answer is refused");
    expect(observer, pool, &[two, three], "unknown is not empty").await;

    assert_eq!(publish(13, &[one]), Ok(()), "the generation of the refused decision is published");
    expect(observer, pool, &[one], "a refused decision does not use up its generation").await;
}

/// Checks a fresh provider that serves `pool` against the contract of [`RemoteProvider`].
///
/// # Panics
/// If the provider breaks the contract.
pub async fn check_remote_provider(provider: &impl RemoteProvider, observer: &impl PublishedReader, pool: &PoolName) {
    let [one, two, three] = ADDRESSES;
    assert!(!provider.name().is_empty() && !provider.system().is_empty(), "a provider and its system have a name");
    assert!(provider.drift_interval() > Duration::ZERO, "drift is looked for after a while");

    apply(provider, &decision(pool, 10, &[one, two])).await;
    expect(observer, pool, &[one, two], "an applied decision is visible").await;

    let again = provider.apply(&decision(pool, 10, &[one, two])).await;
    assert!(again.outcome.is_ok() && again.edits.is_empty(), "the same again makes no edit: {again:?}");
    expect(observer, pool, &[one, two], "the same generation again changes nothing").await;

    apply(provider, &decision(pool, 12, &[two, three])).await;
    expect(observer, pool, &[two, three], "a newer answer replaces the older one whole").await;

    let stale = provider.apply(&decision(pool, 11, &[one])).await.outcome;
    let expected = DecisionError::Stale { generation: 11, published: 12 };
    assert!(
        matches!(&stale, Err(ApplyError::Decision(error)) if *error == expected),
        "an older one is stale: {stale:?}"
    );
    expect(observer, pool, &[two, three], "an older generation never overwrites a newer one").await;

    let empty = provider.apply(&decision(pool, 13, &[])).await.outcome;
    let expected = DecisionError::Empty(pool.clone());
    assert!(matches!(&empty, Err(ApplyError::Decision(error)) if *error == expected), "empty is refused: {empty:?}");
    expect(observer, pool, &[two, three], "unknown is not empty").await;

    apply(provider, &decision(pool, 13, &[one])).await;
    expect(observer, pool, &[one], "a refused decision does not use up its generation").await;

    plans_without_writing(provider, observer, pool).await;
    ends_when_superseded(provider, observer, pool).await;
    writes_only_with_a_lease(provider, observer, pool).await;
}

async fn plans_without_writing(provider: &impl RemoteProvider, observer: &impl PublishedReader, pool: &PoolName) {
    let [one, two, _] = ADDRESSES;
    let next = decision(pool, 14, &[one, two]);
    let planned = provider.plan(&next).await;
    assert!(planned.outcome.is_ok() && !planned.edits.is_empty(), "a change has a plan: {planned:?}");
    assert!(
        planned.edits.iter().all(|edit| edit.pool == *pool && !edit.changes.is_empty()),
        "each edit says what it does"
    );
    expect(observer, pool, &[one], "a plan writes nothing").await;

    apply(provider, &next).await;
    expect(observer, pool, &[one, two], "a planned decision can be applied").await;
    let planned = provider.plan(&next).await;
    assert!(planned.outcome.is_ok() && planned.edits.is_empty(), "nothing is left to plan: {planned:?}");
}

async fn ends_when_superseded(provider: &impl RemoteProvider, observer: &impl PublishedReader, pool: &PoolName) {
    let [one, two, three] = ADDRESSES;
    let newest = decision(pool, 16, &[three]);
    provider.supersede(&newest);
    let older = provider.apply(&decision(pool, 15, &[one])).await.outcome;
    assert!(matches!(older, Err(ApplyError::Superseded)), "a newer decision is known: {older:?}");
    expect(observer, pool, &[one, two], "a superseded decision is not written").await;
    apply(provider, &newest).await;
    expect(observer, pool, &[three], "the newest decision is written").await;
}

async fn writes_only_with_a_lease(provider: &impl RemoteProvider, observer: &impl PublishedReader, pool: &PoolName) {
    let [_, two, three] = ADDRESSES;
    provider.set_lease(Instant::now());
    let next = decision(pool, 17, &[two]);
    let outcome = provider.apply(&next).await.outcome;
    assert!(matches!(outcome, Err(ApplyError::Superseded)), "the lease is over: {outcome:?}");
    expect(observer, pool, &[three], "without a lease nothing is written").await;
    provider.take_over().await;
    provider.set_lease(Instant::now() + Duration::from_hours(1));
    apply(provider, &next).await;
    expect(observer, pool, &[two], "with a new lease the same decision is written").await;
}

/// The addresses of the contract, each of a node of its own.
const ADDRESSES: [&str; 3] = ["192.0.2.1", "192.0.2.2", "2001:db8::3"];

/// A decision with one answer of these addresses. The other addresses of the contract are out.
pub fn decision(pool: &PoolName, generation: u64, addresses: &[&str]) -> Decision {
    let unknown = addresses.iter().filter(|address| !ADDRESSES.contains(address));
    let nodes = ADDRESSES.iter().chain(unknown).zip(1..);
    let nodes = nodes.map(|(address, n)| AnswerNode {
        name: format!("node-{n}"),
        address: valid(address.parse()),
        is_in: addresses.contains(address),
    });
    Decision { answers: vec![answer(pool, generation, nodes)], generation }
}

/// A node with one address, which an answer has or lacks.
#[derive(Clone, Debug)]
pub struct AnswerNode {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// True if it is in the answer.
    pub is_in: bool,
}

/// A node in the answer.
///
/// # Panics
/// If the address is none.
pub fn node_in(name: &str, address: &str) -> AnswerNode {
    AnswerNode { name: name.to_owned(), address: valid(address.parse()), is_in: true }
}

/// A node out of the answer.
///
/// # Panics
/// If the address is none.
pub fn node_out(name: &str, address: &str) -> AnswerNode {
    AnswerNode { is_in: false, ..node_in(name, address) }
}

/// An answer over these nodes.
///
/// # Panics
/// If a node must not have its name.
pub fn answer(pool: &PoolName, generation: u64, nodes: impl IntoIterator<Item = AnswerNode>) -> Answer {
    let since = Moment::from_millis(0);
    let mut members = Vec::new();
    let mut reasons = Vec::new();
    for AnswerNode { name, address, is_in } in nodes {
        let target = Target { pool: pool.clone(), node: valid(NodeName::new(&name)), address };
        if is_in {
            members.push(Member { node: target.node.clone(), address: target.address, weight: 1 });
        }
        let down = NotReadyReason::Down { since, observed: None };
        let reason = if is_in { Reason::Ready { since } } else { Reason::NotReady { cause: down } };
        reasons.push(TargetReason { target, reason });
    }
    let bases = reasons.iter().map(|known| (known.target.family(), Basis::Ready)).collect();
    Answer {
        pool: pool.clone(),
        members,
        order: Order::Rotated,
        max_answers: 8,
        ttl: 5,
        negative_ttl: 1,
        generation,
        bases,
        reasons,
    }
}

async fn apply(provider: &impl RemoteProvider, decision: &Decision) {
    let pass = provider.apply(decision).await;
    assert!(pass.outcome.is_ok(), "generation {} is applied: {pass:?}", decision.generation);
}

async fn expect(observer: &impl PublishedReader, pool: &PoolName, expected: &[&str], reason: &str) {
    let expected: BTreeSet<IpAddr> = expected.iter().map(|address| valid(address.parse())).collect();
    assert_eq!(observer.addresses(pool).await, expected, "{reason}");
}

fn valid<T, E: Display>(parsed: Result<T, E>) -> T {
    match parsed {
        Ok(valid) => valid,
        Err(error) => panic!("{error}"),
    }
}
