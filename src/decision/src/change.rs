//! What differs between two answers of a pool.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Basis, Decision};
use crate::reason::Reason;
use crate::target::{PoolName, Target};

/// A change of the addresses of a pool, or of the ground on which they were chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The pool.
    pub pool: PoolName,
    /// The generation of the new answer.
    pub generation: u64,
    /// The addresses before; empty for the first answer.
    pub old: Vec<IpAddr>,
    /// The addresses from now on.
    pub new: Vec<IpAddr>,
    /// On what ground the new addresses were chosen.
    pub basis: Basis,
    /// The targets that came, went, or are now in on another ground, each with its reason.
    pub causes: Vec<Cause>,
}

/// One target's part in a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The target.
    pub target: Target,
    /// Why it is now in, or out.
    pub why: Reason,
}

impl Change {
    /// What changed in each pool from one decision to the next. A change of the TTL alone is none, nor is a pool's end.
    pub fn between(old: &Decision, new: &Decision) -> Vec<Self> {
        new.answers.iter().filter_map(|answer| Self::of(old.answer(&answer.pool), answer)).collect()
    }

    fn of(old: Option<&Answer>, new: &Answer) -> Option<Self> {
        let addresses = |answer: &Answer| answer.members.iter().map(|member| member.address).collect::<Vec<_>>();
        let old_addresses = old.map(addresses).unwrap_or_default();
        let new_addresses = addresses(new);
        if old.is_some_and(|old| old.basis == new.basis) && old_addresses == new_addresses {
            return None;
        }
        let former = |target: &Target| {
            let (_, reason) = old?.reasons.iter().find(|(known, _)| known == target)?;
            Some(reason)
        };
        let differs = |(target, reason): &&(Target, Reason)| {
            former(target).is_none_or(|former| std::mem::discriminant(former) != std::mem::discriminant(reason))
        };
        let causes = new.reasons.iter().filter(differs).cloned().map(|(target, why)| Cause { target, why }).collect();
        Some(Self {
            pool: new.pool.clone(),
            generation: new.generation,
            old: old_addresses,
            new: new_addresses,
            basis: new.basis,
            causes,
        })
    }
}

impl fmt::Display for Change {
    /// `lb.kube-cp.com: 10.10.1.1 10.10.1.2 -> 10.10.1.1 (kube-cp-2 10.10.1.2 out: …)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.pool)?;
        for address in &self.old {
            write!(f, " {address}")?;
        }
        f.write_str(if self.old.is_empty() { "" } else { " ->" })?;
        for address in &self.new {
            write!(f, " {address}")?;
        }
        let mut before = " (";
        for Cause { target, why } in &self.causes {
            write!(f, "{before}{target} {why}")?;
            before = "; ";
        }
        f.write_str(if self.causes.is_empty() { "" } else { ")" })
    }
}
