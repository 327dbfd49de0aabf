//! The contract that every provider keeps, as one suite over a provider and what the world then shows.
//!
//! A provider's tests make a fresh provider that serves `pool`, implement [`Observed`] by asking as its users would, and
//! call [`keeps`]. It panics with a sentence where the contract is broken.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;

use daymark_decision::{
    Answer, Basis, Decision, Member, Moment, NodeName, NotReadyReason, Order, PoolName, Reason, Target,
};

use crate::{Provider, PublishError};

/// What the world shows.
pub trait Observed: Sync {
    /// The addresses that a user of the name gets now, of both families; empty where the name has none.
    fn addresses(&self, pool: &PoolName) -> impl Future<Output = BTreeSet<IpAddr>> + Send;
}

/// Plays the whole contract against a fresh provider that serves `pool`.
///
/// # Panics
/// Where the provider breaks the contract.
pub async fn keeps(provider: &impl Provider, world: &impl Observed, pool: &PoolName) {
    let [one, two, three] = ADDRESSES;
    assert!(!provider.name().is_empty(), "a provider has a name");

    publish(provider, &decision(pool, 10, &[one, two])).await;
    shows(world, pool, &[one, two], "what is published is shown").await;

    publish(provider, &decision(pool, 10, &[one, two])).await;
    shows(world, pool, &[one, two], "the same generation again changes nothing").await;

    publish(provider, &decision(pool, 12, &[two, three])).await;
    shows(world, pool, &[two, three], "a newer answer replaces the older one whole").await;

    let stale = provider.publish(&decision(pool, 11, &[one])).await;
    assert!(matches!(stale, Err(PublishError::Stale { given: 11, published: 12 })), "an older one is stale: {stale:?}");
    shows(world, pool, &[two, three], "an older generation never overwrites a newer one").await;

    let empty = provider.publish(&decision(pool, 13, &[])).await;
    assert!(matches!(&empty, Err(PublishError::Empty(of)) if of == pool), "an empty answer is refused: {empty:?}");
    shows(world, pool, &[two, three], "unknown is not empty").await;

    publish(provider, &decision(pool, 13, &[one])).await;
    shows(world, pool, &[one], "a refused decision does not use up its generation").await;
}

/// Every address of the contract; each is of a node of its own.
const ADDRESSES: [&str; 3] = ["192.0.2.1", "192.0.2.2", "2001:db8::3"];

/// A decision with one answer of these addresses, at rest. The other addresses of the contract are out.
pub fn decision(pool: &PoolName, generation: u64, addresses: &[&str]) -> Decision {
    let unknown = addresses.iter().filter(|address| !ADDRESSES.contains(address));
    let nodes = ADDRESSES.iter().chain(unknown).zip(1..);
    let nodes = nodes.map(|(&address, n)| (format!("node-{n}"), address, addresses.contains(&address)));
    Decision { answers: vec![answer(pool, generation, nodes)], generation }
}

/// An answer over these nodes, at rest: the name of each, its address, and whether it is in.
pub fn answer<'a>(
    pool: &PoolName,
    generation: u64,
    nodes: impl IntoIterator<Item = (impl AsRef<str>, &'a str, bool)>,
) -> Answer {
    let since = Moment::from_millis(0);
    let out = Reason::NotReady { cause: NotReadyReason::Down { since, observed: None } };
    let reason = |is_in| if is_in { Reason::Ready { since } } else { out.clone() };
    let targets = nodes.into_iter().map(|(node, address, is_in)| {
        (Target { pool: pool.clone(), node: NodeName::new(node.as_ref()), address: parse(address) }, is_in)
    });
    let (members, reasons): (Vec<_>, Vec<_>) = targets
        .map(|(target, is_in)| {
            let member = Member { node: target.node.clone(), address: target.address, weight: 1 };
            (is_in.then_some(member), (target, reason(is_in)))
        })
        .unzip();
    Answer {
        pool: pool.clone(),
        members: members.into_iter().flatten().collect(),
        order: Order::Rotated,
        max_answers: 8,
        ttl: 5,
        negative_ttl: 1,
        generation,
        basis: Basis::Ready,
        reasons,
    }
}

async fn publish(provider: &impl Provider, decision: &Decision) {
    let result = provider.publish(decision).await;
    assert!(result.is_ok(), "generation {} is published: {result:?}", decision.generation);
}

async fn shows(world: &impl Observed, pool: &PoolName, expected: &[&str], why: &str) {
    let expected: BTreeSet<IpAddr> = expected.iter().map(|address| parse(address)).collect();
    assert_eq!(world.addresses(pool).await, expected, "{why}");
}

fn parse(address: &str) -> IpAddr {
    match address.parse() {
        Ok(address) => address,
        Err(error) => panic!("{address}: {error}"),
    }
}
