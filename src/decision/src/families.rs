//! The address families of a pool, for the sentences that name one of them.

use std::collections::BTreeMap;

use crate::answer::Basis;
use crate::target::Family;

/// The differences between the address families of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Families {
    /// True if the pool has targets of both.
    pub(crate) are_two: bool,
    /// True if they are answered on different bases.
    pub(crate) differ: bool,
}

impl Families {
    /// Takes the family of each target, and the basis of each family that is answered.
    pub(crate) fn of(mut targets: impl Iterator<Item = Family>, bases: &BTreeMap<Family, Basis>) -> Self {
        let are_two = targets.next().is_some_and(|first| targets.any(|family| family != first));
        let [ipv4, ipv6] = Family::ALL.map(|family| bases.get(&family));
        Self { are_two, differ: are_two && ipv4 != ipv6 }
    }
}
