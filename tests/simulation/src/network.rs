//! The ways between hosts and from hosts to nodes.

use std::collections::BTreeSet;

use fastrand::Rng;

/// The ways, and what happens on them.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Host to host, one way each.
    pub cut: BTreeSet<(usize, usize)>,
    /// Host to node.
    pub cut_off: BTreeSet<(usize, usize)>,
    /// How many of a hundred messages are lost.
    pub loss: u8,
    /// Milliseconds that a message takes, between these.
    pub delay: (u64, u64),
    /// How many of a hundred messages come twice.
    pub twice: u8,
}

impl Network {
    /// Everything reaches everything within a millisecond.
    pub fn sound() -> Self {
        Self { delay: (1, 1), ..Self::default() }
    }

    /// After how many milliseconds each copy of a message arrives; none where it is lost.
    pub fn carry(&self, from: usize, to: usize, rng: &mut Rng) -> Vec<u64> {
        if self.cut.contains(&(from, to)) || rng.u8(0..100) < self.loss {
            return Vec::new();
        }
        let copies = 1 + usize::from(rng.u8(0..100) < self.twice);
        (0..copies).map(|_| rng.u64(self.delay.0..=self.delay.1)).collect()
    }
}
