//! A provider that only remembers.

use std::sync::{Mutex, PoisonError};

use daymark_decision::Decision;

use crate::{Provider, PublishError, admit};

/// Keeps the last decision, for tests of what stands above a provider.
#[derive(Debug, Default)]
pub struct InMemory {
    published: Mutex<Decision>,
}

impl InMemory {
    /// The decision that stands.
    pub fn published(&self) -> Decision {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Provider for InMemory {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn publish(&self, decision: &Decision) -> Result<(), PublishError> {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        admit(decision, published.generation)?;
        published.clone_from(decision);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use daymark_decision::PoolName;

    use super::*;
    use crate::contract::{self, Observed};

    impl Observed for InMemory {
        async fn addresses(&self, pool: &PoolName) -> BTreeSet<IpAddr> {
            let published = self.published();
            published.answer(pool).map(|answer| answer.members.iter().map(|m| m.address).collect()).unwrap_or_default()
        }
    }

    #[tokio::test]
    async fn the_in_memory_provider_keeps_the_contract() {
        let provider = InMemory::default();
        contract::keeps(&provider, &provider, &PoolName::new("lb.example.org")).await;
    }
}
