//! The network paths between hosts and from hosts to nodes.

use std::collections::BTreeSet;

use fastrand::Rng;

/// The network paths and their faults.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The paths from host to host that are cut, each in one direction.
    pub cut: BTreeSet<(usize, usize)>,
    /// The paths from host to node that are cut.
    pub cut_off: BTreeSet<(usize, usize)>,
    /// The percentage of messages that are lost.
    pub loss: u8,
    /// The least and the most milliseconds that a message takes.
    pub delay: (u64, u64),
    /// The percentage of messages that arrive twice.
    pub duplicates: u8,
}

impl Network {
    /// A network without faults, on which each message takes a millisecond.
    pub fn sound() -> Self {
        Self { delay: (1, 1), ..Self::default() }
    }

    /// The delays in milliseconds of the copies of a message; none if it is lost.
    pub fn carry(&self, from: usize, to: usize, rng: &mut Rng) -> Vec<u64> {
        if self.cut.contains(&(from, to)) || rng.u8(0..100) < self.loss {
            return Vec::new();
        }
        let copies = 1 + usize::from(rng.u8(0..100) < self.duplicates);
        (0..copies).map(|_| rng.u64(self.delay.0..=self.delay.1)).collect()
    }
}
