//! The states of the rate limits: a table of fixed size, without a lock.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU8, Ordering};

use governor::nanos::Nanos;
use governor::state::{InMemoryState, StateStore};

/// The number of cells, a power of two. They take 288 KiB.
pub(super) const CELLS: usize = 1 << 15;

/// The cells, each with the state of one limit and the number of its withheld responses.
///
/// Keys that share a cell share its limit. The hash is seeded at random, so nobody can choose to share the cell of another.
pub(super) struct Cells {
    limits: Box<[InMemoryState]>,
    /// Each wraps around.
    withheld: Box<[AtomicU8]>,
    hasher: RandomState,
}

/// The index of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CellIndex(usize);

impl Cells {
    pub(super) fn new() -> Self {
        Self {
            limits: (0..CELLS).map(|_| InMemoryState::default()).collect(),
            withheld: (0..CELLS).map(|_| AtomicU8::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The cell of a key.
    #[expect(clippy::cast_possible_truncation, reason = "the low bits of the hash choose the cell")]
    pub(super) fn index(&self, key: impl Hash) -> CellIndex {
        CellIndex(self.hasher.hash_one(key) as usize % CELLS)
    }

    /// Counts a withheld response of a cell. Returns `true` for every `slip`th one, and never if `slip` is 0.
    pub(super) fn slips(&self, CellIndex(index): CellIndex, slip: u8) -> bool {
        let count = self.withheld[index].fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        count.checked_rem(slip) == Some(0)
    }
}

impl StateStore for &Cells {
    type Key = CellIndex;

    fn measure_and_replace<T, F, E>(&self, &CellIndex(index): &CellIndex, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        use governor::state::NotKeyed;
        self.limits[index].measure_and_replace(&NotKeyed::NonKey, measure)
    }
}
