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
        // Targets with the same reason share its sentence.
        for alike in self.causes.chunk_by(|one, next| one.why == next.why) {
            let targets: Vec<String> = alike.iter().map(|cause| cause.target.to_string()).collect();
            write!(f, "{before}{} {}", targets.join(", "), alike[0].why)?;
            before = "; ";
        }
        f.write_str(if self.causes.is_empty() { "" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::observation::Kind;
    use crate::reason::Lack;
    use crate::target::NodeName;

    fn cause(n: u8, why: Reason) -> Cause {
        let node = NodeName::new(&format!("cp-{n}"));
        Cause { target: Target { pool: PoolName::new("lb.example.org"), node, address: [192, 0, 2, n].into() }, why }
    }

    fn change(old: &[u8], new: &[u8], causes: Vec<Cause>) -> String {
        let addresses = |of: &[u8]| of.iter().map(|&n| [192, 0, 2, n].into()).collect();
        let pool = PoolName::new("lb.example.org");
        let (old, new) = (addresses(old), addresses(new));
        Change { pool, generation: 1, old, new, basis: Basis::Ready, causes }.to_string()
    }

    #[test]
    fn a_change_is_one_line_with_old_new_and_reason() {
        let since = Moment::from_millis(1_795_341_600_000);
        let lacks = Lack::Down { since, seen: Some(Kind::Refused) };
        assert_eq!(
            change(&[1, 2], &[1], vec![cause(2, Reason::Unfit { lacks })]),
            "lb.example.org: 192.0.2.1 192.0.2.2 -> 192.0.2.1 (cp-2 192.0.2.2 out: down since 2026-11-22T10:00:00Z: \
             connection refused: nothing listens on the port)"
        );
    }

    #[test]
    fn targets_with_the_same_reason_share_its_sentence() {
        let bootstrap = || Reason::Bootstrap { lacks: Lack::Unjudged { seen: None } };
        assert_eq!(
            change(&[], &[1, 2], vec![cause(1, bootstrap()), cause(2, bootstrap())]),
            "lb.example.org: 192.0.2.1 192.0.2.2 (cp-1 192.0.2.1, cp-2 192.0.2.2 in, for no target was ever ready or live and \
             every node is answered until one is: no verdict yet)"
        );
    }
}
