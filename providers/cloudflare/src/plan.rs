//! From what is observed and what is desired to edits. Pure: it makes no call and knows no clock.

pub(crate) mod balancer;
pub(crate) mod origins;
pub(crate) mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{Answer, PoolName, Reason, Target};
use http::Method;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::client::Call;
use crate::ledger::{Entry, Shown, Stand};

/// One call that changes something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edit {
    /// The pool that it is made for.
    pub pool: PoolName,
    /// The HTTP method.
    #[serde(serialize_with = "as_str")]
    pub method: Method,
    /// The path, below the base address of the API.
    pub path: String,
    /// The JSON body, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// What it changes, one sentence a change.
    pub changes: Vec<String>,
    #[serde(skip)]
    pub(crate) call: Call,
    /// What to remember once it is made.
    #[serde(skip)]
    pub(crate) entries: Vec<(String, Entry)>,
}

impl Edit {
    /// Whether it is to change the same, whatever else its body holds.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.method, &self.path, &self.changes) == (&other.method, &other.path, &other.changes)
    }
}

impl fmt::Display for Edit {
    /// What it changes, as sentences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.changes.join("; "))
    }
}

/// What it takes to show one answer.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What is to be made first.
    pub(crate) first: Vec<Edit>,
    /// What is to be made once the first stands.
    pub(crate) then: Vec<Edit>,
    /// Why the answer cannot be shown whole, as sentences for the operator.
    pub(crate) problems: Vec<String>,
    /// What someone else has changed and is repaired, as sentences.
    pub(crate) drift: Vec<String>,
    /// What is to be remembered without a write.
    pub(crate) agreed: Vec<(String, Entry)>,
    /// What is to be remembered though it belongs to nothing.
    pub(crate) idle: Vec<(String, Entry)>,
    /// What is to be remembered where the pass ends with this plan.
    pub(crate) waiting: Vec<(String, Entry)>,
    /// Whether every entry that belongs to anything was judged.
    pub(crate) is_whole: bool,
    /// Whether the later edits may be made though one of the first has failed.
    pub(crate) then_is_safe: bool,
}

/// What ends the key of an entry that tells whether something is there.
pub(crate) const THERE: &str = " is there";

/// What is to be done about one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Todo {
    /// Nothing: it stands as it should.
    Nothing,
    /// It is to be changed, and then this is to be remembered.
    Change(Entry),
    /// Someone else changes it again and again, so it is left alone unless a node would not be answered else.
    Leave(Entry),
}

impl Plan {
    /// Judges one entry. `drift` says what someone else has done where the difference is not ours.
    pub(crate) fn judge(
        &mut self,
        shown: &Shown,
        key: &str,
        (observed, desired): (bool, bool),
        drift: impl FnOnce() -> String,
    ) -> Todo {
        match shown.stand(key, observed, desired) {
            Stand::Agrees(entry) => {
                self.agreed.push((key.to_owned(), entry));
                Todo::Nothing
            }
            Stand::Changes(entry) => Todo::Change(entry),
            Stand::Drifted(entry) => {
                self.drift.push(drift());
                Todo::Change(entry)
            }
            Stand::Contested(entry) => {
                self.agreed.push((key.to_owned(), entry));
                Todo::Leave(entry)
            }
        }
    }

    /// Remembers of everything that was taken out that it is still gone, unless `is_there` knows better of its key. Only what
    /// `is_wanted` belongs to something.
    pub(crate) fn judge_gone(
        &mut self,
        shown: &Shown,
        is_there: impl Fn(&str) -> bool,
        is_wanted: impl Fn(&str) -> bool,
    ) {
        for key in shown.gone().filter(|key| key.ends_with(THERE) && !is_there(key)) {
            if let Stand::Agrees(entry) = shown.stand(key, false, false) {
                let list = if is_wanted(key) { &mut self.agreed } else { &mut self.idle };
                list.push((key.to_owned(), entry));
            }
        }
    }

    /// The keys of every entry that was judged.
    pub(crate) fn judged(&self) -> BTreeSet<&str> {
        let written = self.first.iter().chain(&self.then).flat_map(|edit| &edit.entries);
        written.chain(&self.agreed).map(|(key, _)| key.as_str()).collect()
    }

    /// What to remember of an entry that is set right however often someone else undoes it, which `drift` says.
    pub(crate) fn insist(&mut self, todo: Todo, drift: &str) -> Option<Entry> {
        match todo {
            Todo::Nothing => None,
            Todo::Change(entry) => Some(entry),
            Todo::Leave(entry) => {
                self.drift.push(drift.to_owned());
                Some(entry)
            }
        }
    }

    /// Says that an entry is left alone; `drift` says what someone else does.
    pub(crate) fn leave(&mut self, drift: &str) {
        self.problems.push(format!(
            "{drift} again and again, and it is left so until the answer about it changes; undo it there, or agree on who \
             writes"
        ));
    }
}

/// One target, and whether it is to be answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) target: Target,
    pub(crate) is_in: bool,
    /// Why, as a sentence.
    pub(crate) why: String,
    /// The name of the origin that Daymark makes for it.
    pub(crate) origin: String,
}

/// Every target of an answer, of which at the most as many are in as one response holds of a family.
pub(crate) fn wanted(answer: &Answer) -> Vec<Wanted> {
    let mut room: BTreeMap<bool, u16> = BTreeMap::new();
    let members: Vec<IpAddr> = answer.members.iter().map(|member| member.address).collect();
    let held: Vec<IpAddr> = members
        .iter()
        .copied()
        .filter(|address| {
            let taken = room.entry(address.is_ipv6()).or_default();
            *taken = taken.saturating_add(1);
            *taken <= answer.max_answers
        })
        .collect();
    let of_target = |(index, (target, reason)): (usize, &(Target, Reason))| Wanted {
        is_in: held.contains(&target.address),
        why: if members.contains(&target.address) && !held.contains(&target.address) {
            "out: beyond `maxAnswers`".to_owned()
        } else {
            reason.to_string()
        },
        origin: origins::name(target, answer.reasons[..index].iter().map(|(earlier, _)| earlier)),
        target: target.clone(),
    };
    answer.reasons.iter().enumerate().map(of_target).collect()
}

fn as_str<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

#[cfg(test)]
mod tests;
