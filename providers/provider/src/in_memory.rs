//! Providers that publish into memory, for tests of the code above a provider.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use daymark_decision::{Answer, Decision};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use crate::{ApplyError, CheckReport, DecisionError, Edit, Pass, Provider, RemoteProvider, RemoteReadings, validate};

/// A [`Provider`] that keeps the last decision.
#[derive(Debug, Default)]
pub struct InMemory {
    published: Mutex<Decision>,
}

impl InMemory {
    /// The published decision.
    pub fn published(&self) -> Decision {
        self.published.lock().clone()
    }
}

impl Provider for InMemory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn publish(&self, decision: &Decision) -> Result<(), DecisionError> {
        let mut published = self.published.lock();
        validate(decision, published.generation)?;
        published.clone_from(decision);
        Ok(())
    }
}

/// A [`RemoteProvider`] whose remote state is in memory. One edit replaces the addresses of one pool.
#[derive(Debug, Default)]
pub struct InMemoryRemote {
    published: Mutex<Decision>,
    newest: Mutex<Decision>,
    lease: Mutex<Option<Instant>>,
}

impl InMemoryRemote {
    /// The published decision.
    pub fn published(&self) -> Decision {
        self.published.lock().clone()
    }

    /// The end of the lease that was set last.
    pub fn lease(&self) -> Option<Instant> {
        *self.lease.lock()
    }

    fn edits(&self, decision: &Decision) -> Vec<Edit> {
        let published = self.published();
        let differing = decision.answers.iter().filter(|answer| {
            published.answer(&answer.pool).is_none_or(|former| addresses(former) != addresses(answer))
        });
        differing.map(edit).collect()
    }

    fn is_superseded(&self, decision: &Decision) -> bool {
        let newest = self.newest.lock();
        let contradicts =
            |answer: &Answer| newest.answer(&answer.pool).is_some_and(|newer| addresses(newer) != addresses(answer));
        let is_over = self.lease().is_some_and(|until| until <= Instant::now());
        is_over || (newest.generation > decision.generation && decision.answers.iter().any(contradicts))
    }

    fn write(&self, decision: &Decision) -> Result<Vec<Edit>, ApplyError> {
        validate(decision, self.published().generation)?;
        if self.is_superseded(decision) {
            return Err(ApplyError::Superseded);
        }
        let edits = self.edits(decision);
        self.published.lock().clone_from(decision);
        Ok(edits)
    }
}

#[async_trait]
impl RemoteProvider for InMemoryRemote {
    fn name(&self) -> &'static str {
        "remote-memory"
    }

    fn system(&self) -> &'static str {
        "memory"
    }

    async fn plan(&self, decision: &Decision) -> Pass {
        Pass { edits: self.edits(decision), outcome: Ok(()) }
    }

    async fn apply(&self, decision: &Decision) -> Pass {
        match self.write(decision) {
            Ok(edits) => Pass { edits, outcome: Ok(()) },
            Err(error) => Pass { edits: Vec::new(), outcome: Err(error) },
        }
    }

    fn supersede(&self, decision: &Decision) {
        let mut newest = self.newest.lock();
        if newest.generation <= decision.generation {
            newest.clone_from(decision);
        }
    }

    fn set_lease(&self, until: Instant) {
        *self.lease.lock() = Some(until);
    }

    async fn take_over(&self) {}

    fn drift_interval(&self) -> Duration {
        Duration::from_mins(5)
    }

    async fn check(&self) -> CheckReport {
        CheckReport::default()
    }

    fn memory(&self) -> Option<Value> {
        Some(self.published().generation.into())
    }

    fn readings(&self) -> RemoteReadings {
        RemoteReadings::default()
    }
}

fn addresses(answer: &Answer) -> Vec<IpAddr> {
    answer.members.iter().map(|member| member.address).collect()
}

fn edit(answer: &Answer) -> Edit {
    let addresses: Vec<String> = addresses(answer).iter().map(ToString::to_string).collect();
    Edit {
        pool: answer.pool.clone(),
        method: "SET".to_owned(),
        path: answer.pool.to_string(),
        changes: vec![format!("set the addresses {}", addresses.join(", "))],
        body: Some(addresses.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use daymark_decision::PoolName;
    use daymark_decision::fixtures::pool_name;

    use super::*;
    use crate::contract::{self, PublishedReader};

    impl PublishedReader for InMemory {
        async fn addresses(&self, pool: &PoolName) -> BTreeSet<IpAddr> {
            self.published().answer(pool).map(|answer| addresses(answer).into_iter().collect()).unwrap_or_default()
        }
    }

    impl PublishedReader for InMemoryRemote {
        async fn addresses(&self, pool: &PoolName) -> BTreeSet<IpAddr> {
            self.published().answer(pool).map(|answer| addresses(answer).into_iter().collect()).unwrap_or_default()
        }
    }

    #[tokio::test]
    async fn the_in_memory_provider_keeps_the_contract() {
        let provider = InMemory::default();
        contract::check_provider(&provider, &provider, &pool_name("lb.example.org")).await;
    }

    #[tokio::test]
    async fn the_in_memory_remote_provider_keeps_the_contract() {
        let provider = InMemoryRemote::default();
        contract::check_remote_provider(&provider, &provider, &pool_name("lb.example.org")).await;
    }
}
