//! Plans the edits that lead from the remote state to the answer. Pure: it makes no call and knows no clock.

pub(crate) mod balancer;
pub(crate) mod origin;
pub(crate) mod origins;
pub(crate) mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{Answer, Family, PoolName, Target, TargetReason};
use daymark_provider::Edit;
use http::Method;
use serde_json::Value;

use crate::client::Call;
use crate::drift::{Comparison, EntryHistory, NamedEntry, PublishedEntries, States};
use crate::fault::PoolFault;
use crate::finding::CloudflareFinding;

/// One edit, with the call that makes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedEdit {
    pub(crate) edit: Edit,
    pub(crate) method: Method,
    pub(crate) call: Call,
    /// The entries to remember once it is made.
    pub(crate) entries: Vec<NamedEntry>,
}

/// The HTTP request of an edit.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) call: Call,
}

impl PlannedEdit {
    pub(crate) fn new(pool: &PoolName, request: Request, changes: Vec<String>, entries: Vec<NamedEntry>) -> Self {
        let Request { method, path, body, call } = request;
        let edit = Edit { pool: pool.clone(), method: method.as_str().to_owned(), path, body, changes };
        Self { edit, method, call, entries }
    }

    /// Returns true if both make the same changes to the same object, whatever else their bodies contain.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let is_same_object = self.method == other.method && self.edit.path == other.edit.path;
        is_same_object && self.edit.changes == other.edit.changes
    }

    /// Returns true if this change is one of the edit's.
    pub(crate) fn makes(&self, change: &String) -> bool {
        self.edit.changes.contains(change)
    }
}

impl fmt::Display for PlannedEdit {
    /// Its changes, as sentences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.edit.changes.join("; "))
    }
}

/// The edits that publish one answer, and the entries to remember.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The edits to make first.
    pub(crate) first: Vec<PlannedEdit>,
    /// The edits to make once the first are made.
    pub(crate) then: Vec<PlannedEdit>,
    /// The reasons why the answer cannot be published whole.
    pub(crate) problems: Vec<CloudflareFinding>,
    /// The changes by someone else that the edits repair, as sentences.
    pub(crate) drift: Vec<String>,
    /// The entries to remember without a write.
    pub(crate) confirmed: Vec<NamedEntry>,
    /// The entries to remember that belong to no object now.
    pub(crate) unused: Vec<NamedEntry>,
    /// The entries to remember if the pass ends with this plan.
    pub(crate) postponed: Vec<NamedEntry>,
    /// True if every entry that belongs to an object was compared.
    pub(crate) is_complete: bool,
    /// True if the later edits may be made although one of the first has failed.
    pub(crate) then_is_safe: bool,
}

/// The suffix of the keys of entries that say if an object exists.
pub(crate) const EXISTS: &str = " exists";

/// The action for one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It matches.
    Nothing,
    /// It is written, and then this entry is remembered.
    Write(EntryHistory),
    /// Someone else changes it again and again. It is left alone, unless the name would lose a node of the answer.
    Leave(EntryHistory),
}

impl Plan {
    /// Compares one entry. `drift` describes the change if someone else has made it.
    pub(crate) fn compare(
        &mut self,
        published: &PublishedEntries,
        key: &str,
        states: States,
        drift: impl FnOnce() -> String,
    ) -> Action {
        match published.compare(key, states) {
            Comparison::Matches(entry) => {
                self.confirmed.push(NamedEntry { key: key.to_owned(), entry });
                Action::Nothing
            }
            Comparison::Changed(entry) => Action::Write(entry),
            Comparison::Drifted(entry) => {
                self.drift.push(drift());
                Action::Write(entry)
            }
            Comparison::Contested(entry) => {
                self.confirmed.push(NamedEntry { key: key.to_owned(), entry });
                Action::Leave(entry)
            }
        }
    }

    /// Remembers that an object exists as it should.
    pub(crate) fn confirm_exists(&mut self, published: &PublishedEntries, key: &str) {
        self.compare(published, key, States { observed: true, desired: true }, String::new);
    }

    /// Remembers that removed objects are still absent, except those that `exists` finds. An entry that `is_used` rejects
    /// belongs to no object.
    pub(crate) fn confirm_absent(
        &mut self,
        published: &PublishedEntries,
        exists: impl Fn(&str) -> bool,
        is_used: impl Fn(&str) -> bool,
    ) {
        let absent = States { observed: false, desired: false };
        for key in published.absent_keys().filter(|key| key.ends_with(EXISTS) && !exists(key)) {
            if let Comparison::Matches(entry) = published.compare(key, absent) {
                let list = if is_used(key) { &mut self.confirmed } else { &mut self.unused };
                list.push(NamedEntry { key: key.to_owned(), entry });
            }
        }
    }

    /// The keys of the entries that were compared.
    pub(crate) fn compared_keys(&self) -> BTreeSet<&str> {
        let written = self.first.iter().chain(&self.then).flat_map(|planned| &planned.entries);
        written.chain(&self.confirmed).map(|entry| entry.key.as_str()).collect()
    }

    /// The entry to remember for an essential property, which is written however often someone else changes it. `drift`
    /// describes that change.
    pub(crate) fn insist(&mut self, action: Action, drift: &str) -> Option<EntryHistory> {
        match action {
            Action::Nothing => None,
            Action::Write(entry) => Some(entry),
            Action::Leave(entry) => {
                self.drift.push(drift.to_owned());
                Some(entry)
            }
        }
    }

    /// Reports an entry that is left alone. `drift` describes the change by someone else.
    pub(crate) fn leave(&mut self, drift: &str) {
        self.problems.push(CloudflareFinding::Contested { drift: drift.to_owned() });
    }
}

/// One target, and its desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DesiredTarget {
    pub(crate) target: Target,
    /// True if the name is answered with it.
    pub(crate) is_in: bool,
    /// The reason, as a sentence.
    pub(crate) reason: String,
    /// The name of the origin that Daymark creates for it.
    pub(crate) origin: String,
}

/// The desired state of every target of an answer. Of each family, no more are in than one response holds.
pub(crate) fn desired_targets(answer: &Answer) -> Vec<DesiredTarget> {
    let members: Vec<IpAddr> = answer.members.iter().map(|member| member.address).collect();
    let mut count_by_family: BTreeMap<bool, u16> = BTreeMap::new();
    let mut fitting = Vec::new();
    for address in &members {
        let count = count_by_family.entry(address.is_ipv6()).or_default();
        *count = count.saturating_add(1);
        if *count <= answer.max_answers {
            fitting.push(*address);
        }
    }
    let mut desired = Vec::new();
    for (index, TargetReason { target, reason }) in answer.reasons.iter().enumerate() {
        let is_in = fitting.contains(&target.address);
        let is_beyond = !is_in && members.contains(&target.address);
        let earlier = answer.reasons[..index].iter().map(|earlier| &earlier.target);
        desired.push(DesiredTarget {
            is_in,
            reason: if is_beyond { "out: beyond `maxAnswers`".to_owned() } else { reason.to_string() },
            origin: origin::name(target, earlier),
            target: target.clone(),
        });
    }
    desired
}

/// The families of which an earlier answer stays, because the present one is a guess. `kept` gives the addresses of the earlier
/// answer.
///
/// Daymark may have lost its memory, or the nodes may be new and not ready yet. The earlier answer was good once.
pub(crate) fn kept_families(
    answer: &Answer,
    kept: impl Fn(Family) -> BTreeSet<IpAddr>,
    plan: &mut Plan,
) -> BTreeSet<Family> {
    let guessed = Family::ALL.into_iter().filter(|family| answer.is_guess(*family));
    let mut families = BTreeSet::new();
    for (family, kept) in guessed.map(|family| (family, kept(family))).filter(|(_, kept)| !kept.is_empty()) {
        families.insert(family);
        let guess = answer.members.iter().map(|member| member.address);
        if kept != guess.filter(|address| Family::of(*address) == family).collect() {
            plan.problems.push(CloudflareFinding::EarlierAnswer { family, addresses: kept.into_iter().collect() });
        }
    }
    families
}

/// The problems of a plan as one fault.
pub(crate) fn problem(problems: &[CloudflareFinding]) -> Option<PoolFault> {
    (!problems.is_empty()).then(|| PoolFault::Blocked(problems.to_vec()))
}

#[cfg(test)]
mod tests;
