//! The discovery status of every pool, shared with those that show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use daymark_api::DiscoveryStatus;
use daymark_decision::PoolName;
use parking_lot::Mutex;

/// The discovery status of every pool with discovery. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct DiscoveryStatuses(Arc<Mutex<BTreeMap<PoolName, DiscoveryStatus>>>);

impl DiscoveryStatuses {
    /// The status of a pool; `None` if it has no discovery.
    pub fn of(&self, pool: &PoolName) -> Option<DiscoveryStatus> {
        self.0.lock().get(pool).cloned()
    }

    pub(crate) fn set(&self, all: BTreeMap<PoolName, DiscoveryStatus>) {
        *self.0.lock() = all;
    }
}
