//! The difference between two answers of a pool.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Basis, Decision};
use crate::name::PoolName;
use crate::reason::TargetReason;
use crate::target::{Family, Target};

/// A change of the addresses of a pool, or of their basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The pool.
    pub pool: PoolName,
    /// The generation of the new answer.
    pub generation: u64,
    /// The addresses before; empty for the first answer.
    pub old: Vec<IpAddr>,
    /// The new addresses.
    pub new: Vec<IpAddr>,
    /// The worst basis of the new addresses.
    pub basis: Basis,
    /// The basis of each family before; empty for the first answer.
    pub old_bases: BTreeMap<Family, Basis>,
    /// The new basis of each family.
    pub new_bases: BTreeMap<Family, Basis>,
    /// The targets that entered, left, or are in for another kind of reason.
    pub targets: Vec<TargetReason>,
}

impl Change {
    /// The change of each pool from one decision to the next. A change of the TTL alone is none, nor is the end of a pool.
    pub fn between(old: &Decision, new: &Decision) -> Vec<Self> {
        new.answers.iter().filter_map(|answer| Self::of(old.answer(&answer.pool), answer)).collect()
    }

    fn of(old: Option<&Answer>, new: &Answer) -> Option<Self> {
        let addresses = |answer: &Answer| answer.members.iter().map(|member| member.address).collect::<Vec<_>>();
        let old_addresses = old.map(addresses).unwrap_or_default();
        let new_addresses = addresses(new);
        if old.is_some_and(|old| old.bases == new.bases) && old_addresses == new_addresses {
            return None;
        }
        let former = |target: &Target| old?.reasons.iter().find(|known| known.target == *target);
        let differs = |TargetReason { target, reason }: &&TargetReason| {
            former(target).is_none_or(|former| std::mem::discriminant(&former.reason) != std::mem::discriminant(reason))
        };
        let targets = new.reasons.iter().filter(differs).cloned().collect();
        Some(Self {
            pool: new.pool.clone(),
            generation: new.generation,
            old: old_addresses,
            new: new_addresses,
            basis: new.basis(),
            old_bases: old.map(|old| old.bases.clone()).unwrap_or_default(),
            new_bases: new.bases.clone(),
            targets,
        })
    }

    /// The changes of the bases: `basis ready -> forced`, or `IPv6 basis ready -> live` if the families differ. Empty for the
    /// first answer, and if every family that stays keeps its basis.
    fn basis_changes(&self) -> Vec<String> {
        let (Some(old), Some(new)) = (common(&self.old_bases), common(&self.new_bases)) else {
            let families = self.new_bases.iter().filter_map(|(family, new)| {
                let old = self.old_bases.get(family).filter(|old| *old != new)?;
                Some(format!("{family} basis {old} -> {new}"))
            });
            return families.collect();
        };
        if old == new { Vec::new() } else { vec![format!("basis {old} -> {new}")] }
    }
}

/// The basis that all families have; `None` if they differ or there is none.
fn common(bases: &BTreeMap<Family, Basis>) -> Option<Basis> {
    let first = *bases.values().next()?;
    bases.values().all(|basis| *basis == first).then_some(first)
}

impl fmt::Display for Change {
    /// `lb.kube-cp.com: 10.10.1.1 10.10.1.2 -> 10.10.1.1 (kube-cp-2 10.10.1.2 out: …)`, or
    /// `lb.kube-cp.com: 10.10.1.1, basis ready -> forced (…)` if the addresses stay.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.pool)?;
        if self.old != self.new {
            for address in &self.old {
                write!(f, " {address}")?;
            }
            f.write_str(if self.old.is_empty() { "" } else { " ->" })?;
        }
        for address in &self.new {
            write!(f, " {address}")?;
        }
        for change in self.basis_changes() {
            write!(f, ", {change}")?;
        }
        let mut before = " (";
        // Targets with the same reason share its sentence.
        for alike in self.targets.chunk_by(|one, next| one.reason == next.reason) {
            let targets: Vec<String> = alike.iter().map(|change| change.target.to_string()).collect();
            write!(f, "{before}{} {}", targets.join(", "), alike[0].reason)?;
            before = "; ";
        }
        f.write_str(if self.targets.is_empty() { "" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{node_name, pool_name};
    use crate::moment::Moment;
    use crate::observation::Kind;
    use crate::reason::{NotReadyReason, Reason};

    fn target(n: u8, reason: Reason) -> TargetReason {
        let node = node_name(&format!("cp-{n}"));
        TargetReason {
            target: Target { pool: pool_name("lb.example.org"), node, address: [192, 0, 2, n].into() },
            reason,
        }
    }

    fn change(old: &[u8], new: &[u8], targets: Vec<TargetReason>) -> String {
        let addresses = |of: &[u8]| of.iter().map(|&n| [192, 0, 2, n].into()).collect();
        let bases = |addresses: &[u8]| addresses.iter().map(|_| (Family::Ipv4, Basis::Ready)).collect();
        Change {
            pool: pool_name("lb.example.org"),
            generation: 1,
            old: addresses(old),
            new: addresses(new),
            basis: Basis::Ready,
            old_bases: bases(old),
            new_bases: bases(new),
            targets,
        }
        .to_string()
    }

    /// A change of the bases alone.
    fn of_bases(old: &[(Family, Basis)], new: &[(Family, Basis)]) -> String {
        let bases = |of: &[(Family, Basis)]| of.iter().copied().collect();
        let addresses: Vec<IpAddr> = vec![[192, 0, 2, 1].into()];
        Change {
            pool: pool_name("lb.example.org"),
            generation: 1,
            old: addresses.clone(),
            new: addresses,
            basis: Basis::Forced,
            old_bases: bases(old),
            new_bases: bases(new),
            targets: Vec::new(),
        }
        .to_string()
    }

    #[test]
    fn a_change_of_the_basis_alone_shows_both_bases() {
        let v4 = |basis| (Family::Ipv4, basis);
        let v6 = |basis| (Family::Ipv6, basis);
        assert_eq!(
            of_bases(&[v4(Basis::Ready)], &[v4(Basis::Forced)]),
            "lb.example.org: 192.0.2.1, basis ready -> forced"
        );
        assert_eq!(
            of_bases(&[v4(Basis::Ready), v6(Basis::Ready)], &[v4(Basis::Ready), v6(Basis::LastKnownGood)]),
            "lb.example.org: 192.0.2.1, IPv6 basis ready -> last known good"
        );
    }

    #[test]
    fn a_change_is_one_line_with_old_new_and_reason() {
        let since = Moment::from_millis(1_795_341_600_000);
        let cause = NotReadyReason::Down { since, observed: Some(Kind::Refused) };
        assert_eq!(
            change(&[1, 2], &[1], vec![target(2, Reason::NotReady { cause })]),
            "lb.example.org: 192.0.2.1 192.0.2.2 -> 192.0.2.1 (cp-2 192.0.2.2 out: down since 2026-11-22T10:00:00Z: \
             connection refused: nothing listens on the port)"
        );
    }

    #[test]
    fn targets_with_the_same_reason_share_its_sentence() {
        let bootstrap = || Reason::Bootstrap { cause: NotReadyReason::NoVerdict { observed: None } };
        assert_eq!(
            change(&[], &[1, 2], vec![target(1, bootstrap()), target(2, bootstrap())]),
            "lb.example.org: 192.0.2.1 192.0.2.2 (cp-1 192.0.2.1, cp-2 192.0.2.2 in (bootstrap): no node has been \
             ready yet, so all are answered; no verdict yet)"
        );
    }
}
