//! The DNS records of a name.

use std::net::IpAddr;

use daymark_decision::{Answer, Family, PoolName, Target};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Action, DesiredTarget, EXISTS, Plan, PlannedEdit, Request, desired_targets, kept_families};
use crate::api::Record;
use crate::client::Call;
use crate::drift::{NamedEntry, PublishedEntries, States};
use crate::finding::{CloudflareFinding, RecordLabel};
use crate::mark::Mark;

/// The records of one name, as they are written.
pub(crate) struct RecordSet<'a> {
    /// The path of the zone's records.
    pub(crate) path: String,
    /// The TTL in seconds.
    pub(crate) ttl: u32,
    pub(crate) mark: &'a Mark,
    /// True if the name is that of the zone itself.
    pub(crate) is_apex: bool,
    /// The finding about a nearer zone, which answers for the name instead.
    pub(crate) nearer: Option<CloudflareFinding>,
}

/// Plans the records of an answer.
///
/// `observed` holds the records of the name, of any type, and those that delegate a parent of it. Missing records are added first.
/// Surplus records are deleted once everything else is done or tried, and only while a record of the answer exists. A guess
/// replaces only guesses.
pub(crate) fn plan(set: &RecordSet, answer: &Answer, observed: &[Record], published: &PublishedEntries) -> Plan {
    let pool = &answer.pool;
    let ours: Vec<&Record> = observed.iter().filter(|record| set.is_ours(record, pool)).collect();
    let foreign: Vec<&Record> = observed.iter().filter(|record| set.is_in_the_way(record, pool)).collect();
    let refusals = foreign.iter().map(|record| set.refusal(record, pool));
    let problems: Vec<CloudflareFinding> = set.nearer.iter().cloned().chain(refusals).collect();
    if !problems.is_empty() && ours.is_empty() {
        return Plan { problems, ..Plan::default() };
    }
    let mut plan = Plan { problems, ..Plan::default() };
    let good = |family| {
        let good = ours.iter().filter(|record| !record.is_guess()).filter_map(|record| record.address());
        good.filter(|address| Family::of(*address) == family).collect()
    };
    let kept = kept_families(answer, good, &mut plan);
    let is_kept = |address: IpAddr| kept.contains(&Family::of(address));
    let has_record = |address: IpAddr| ours.iter().any(|record| record.address() == Some(address));
    let mut targets = desired_targets(answer);
    for desired in targets.iter_mut().filter(|desired| is_kept(desired.target.address)) {
        desired.is_in = has_record(desired.target.address);
    }
    let resolves = |address| observed.iter().any(|record| is_of(record, pool) && record.resolves_to(address));
    let is_answered = targets.iter().any(|desired| desired.is_in && resolves(desired.target.address));
    let mut planner = Planner { set, answer, is_answered, published, plan };
    planner.plan.then_is_safe = is_answered;
    for desired in targets.iter().filter(|desired| desired.is_in) {
        let has_address = |record: &&&Record| record.address() == Some(desired.target.address);
        if let Some(record) = ours.iter().find(has_address) {
            planner.correct(record, &desired.target);
        } else if !foreign.iter().any(|record| has_address(&record)) {
            // Cloudflare refuses a second record of the same address.
            planner.add(desired);
        }
    }
    let existing: Vec<String> = ours.iter().filter_map(|record| record.address()).map(existence_key).collect();
    let is_target = |key: &str| targets.iter().any(|desired| existence_key(desired.target.address) == key);
    planner.plan.confirm_absent(published, |key| existing.iter().any(|existing| existing == key), is_target);
    for record in ours {
        let desired = targets.iter().find(|desired| record.address() == Some(desired.target.address));
        let is_surplus = desired.is_none_or(|desired| !desired.is_in) && !record.address().is_some_and(is_kept);
        if is_surplus {
            planner.delete(record, desired);
        }
    }
    planner.plan.is_complete = true;
    planner.plan
}

impl RecordSet<'_> {
    /// Returns true for an address record of the name that this Daymark has made.
    fn is_ours(&self, record: &Record, pool: &PoolName) -> bool {
        is_of(record, pool) && record.mark().is_some_and(|mark| self.mark.is(&mark))
    }

    /// Returns true for a record of someone else that decides the address of the name. Cloudflare ignores NS records of the zone
    /// itself, or serves them beside its own.
    fn is_in_the_way(&self, record: &Record, pool: &PoolName) -> bool {
        match record.kind.as_str() {
            "A" | "AAAA" | "CNAME" => is_of(record, pool) && !self.is_ours(record, pool),
            // A nearer zone needs its delegation.
            "NS" if self.nearer.is_some() => false,
            "NS" if is_of(record, pool) => !self.is_apex,
            "NS" => pool.as_str().ends_with(&format!(".{}", record.name.to_ascii_lowercase())),
            _ => false,
        }
    }

    /// The finding about a record that is in the way.
    fn refusal(&self, record: &Record, pool: &PoolName) -> CloudflareFinding {
        let label = RecordLabel::from(record);
        let mark = self.mark.to_string();
        match (record.kind.as_str(), record.mark()) {
            ("A" | "AAAA", Some(other)) => {
                CloudflareFinding::RecordOfOther { record: label, owner: other.to_string(), mark }
            }
            ("A" | "AAAA", None) => CloudflareFinding::RecordForeign { record: label, mark },
            ("NS", _) => CloudflareFinding::RecordDelegates { record: label, pool: pool.clone() },
            _ => CloudflareFinding::RecordAlias { record: label },
        }
    }
}

fn is_of(record: &Record, pool: &PoolName) -> bool {
    record.name.eq_ignore_ascii_case(pool.as_str())
}

/// The key of the entry that says if the record of an address exists.
fn existence_key(address: IpAddr) -> String {
    format!("{address}{EXISTS}")
}

/// A plan in progress.
struct Planner<'a> {
    set: &'a RecordSet<'a>,
    answer: &'a Answer,
    /// True if the name resolves to an address of the answer now.
    is_answered: bool,
    published: &'a PublishedEntries,
    plan: Plan,
}

/// A field of a record that Daymark keeps at one value.
struct RecordField {
    name: &'static str,
    observed: Value,
    desired: Value,
    /// True if the name has an address of the answer also with another value.
    can_wait: bool,
}

impl Planner<'_> {
    fn add(&mut self, desired: &DesiredTarget) {
        let address = desired.target.address;
        let pool = &self.answer.pool;
        let kind = if address.is_ipv6() { "AAAA" } else { "A" };
        let drift = format!("someone else has deleted the record {pool} {kind} {address}");
        let key = existence_key(address);
        let states = States { observed: false, desired: true };
        let action = self.plan.compare(self.published, &key, states, || drift.clone());
        if self.is_answered && matches!(action, Action::Leave(_)) {
            return self.plan.leave(&drift);
        }
        let Some(entry) = self.plan.insist(action, &drift) else { return };
        let comment = self.set.mark.comment(self.answer.is_guess(desired.target.family()), &desired.target.node);
        let body = json!({
            "type": kind,
            "name": pool.as_str(),
            "content": address.to_string(),
            "ttl": self.set.ttl,
            "proxied": false,
            "comment": comment,
        });
        let request = request(Method::POST, self.set.path.clone(), Some(body));
        let change = format!("add the record {pool} {kind} {address} ({})", desired.reason);
        self.plan.first.push(PlannedEdit::new(pool, request, vec![change], vec![NamedEntry { key, entry }]));
    }

    /// Corrects the fields that differ in a record that stays.
    fn correct(&mut self, record: &Record, target: &Target) {
        let address = target.address;
        self.plan.confirm_exists(self.published, &existence_key(address));
        let label = format!("the record {} {} {}", self.answer.pool, record.kind, record.content);
        let mut body = Map::new();
        let mut changes = Vec::new();
        let mut entries = Vec::new();
        for RecordField { name, observed, desired, can_wait } in self.fixed_fields(record, target) {
            let key = format!("{address} has the {name} {desired}");
            let drift = format!("someone else has set `{name}` of {label} to {observed}");
            let states = States { observed: observed == desired, desired: true };
            match self.plan.compare(self.published, &key, states, || drift.clone()) {
                Action::Leave(_) if can_wait => self.plan.leave(&drift),
                action => {
                    if let Some(entry) = self.plan.insist(action, &drift) {
                        changes.push(format!("set `{name}` of {label} to {desired}"));
                        entries.push(NamedEntry { key, entry });
                        body.insert(name.to_owned(), desired);
                    }
                }
            }
        }
        if !body.is_empty() {
            // The API's schema requires these with every change.
            body.insert("type".to_owned(), record.kind.as_str().into());
            body.insert("name".to_owned(), record.name.as_str().into());
            body.insert("content".to_owned(), record.content.as_str().into());
            let request = request(Method::PATCH, self.path_of(record), Some(Value::Object(body)));
            self.plan.first.push(PlannedEdit::new(&self.answer.pool, request, vec![changes.join("; ")], entries));
        }
    }

    fn fixed_fields(&self, record: &Record, target: &Target) -> Vec<RecordField> {
        let is_proved = record.is_guess() && !self.answer.is_guess(target.family());
        let proved = is_proved.then(|| RecordField {
            name: "comment",
            observed: json!(record.comment),
            desired: json!(self.set.mark.comment(false, &target.node)),
            can_wait: true,
        });
        let fields = [
            RecordField { name: "ttl", observed: json!(record.ttl), desired: json!(self.set.ttl), can_wait: true },
            // A proxied record gives an address of Cloudflare's, which is not in the answer.
            RecordField {
                name: "proxied",
                observed: json!(record.proxied),
                desired: json!(false),
                can_wait: self.is_answered,
            },
        ];
        fields.into_iter().chain(proved).collect()
    }

    fn delete(&mut self, record: &Record, desired: Option<&DesiredTarget>) {
        let Some(address) = record.address() else { return };
        let label = format!("the record {} {} {address}", self.answer.pool, record.kind);
        let drift = format!("someone else has added {label}");
        let key = existence_key(address);
        let states = States { observed: true, desired: false };
        match self.plan.compare(self.published, &key, states, || drift.clone()) {
            Action::Nothing => {}
            Action::Leave(_) => self.plan.leave(&drift),
            Action::Write(entry) => {
                let reason = desired.map_or("no node has it", |desired| desired.reason.as_str());
                let request = request(Method::DELETE, self.path_of(record), None);
                let change = format!("delete {label} ({reason})");
                let entries = vec![NamedEntry { key, entry }];
                self.plan.then.push(PlannedEdit::new(&self.answer.pool, request, vec![change], entries));
            }
        }
    }

    fn path_of(&self, record: &Record) -> String {
        format!("{}/{}", self.set.path, record.id)
    }
}

fn request(method: Method, path: String, body: Option<Value>) -> Request {
    Request { method, path, body, call: Call::WriteRecord }
}
