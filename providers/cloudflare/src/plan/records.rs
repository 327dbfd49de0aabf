//! The DNS records of a name.

use std::net::IpAddr;

use daymark_decision::{Answer, PoolName};
use serde_json::{Map, Value, json};

use super::{Edit, Plan, Todo, Wanted, wanted};
use crate::MARK;
use crate::api::Record;
use crate::client::Call;
use crate::ledger::Shown;

/// How many characters of a comment every zone takes.
const COMMENT: usize = 100;

/// Plans the records of an answer. `seen` is every record of the name, of any type; `path` that of the zone's records.
///
/// What is missing is added first; what is too many is deleted once everything else stands, or has been tried, and only
/// while an address of the answer is there.
pub(crate) fn plan(path: &str, ttl: u32, answer: &Answer, seen: &[Record], shown: &Shown) -> Plan {
    let foreign: Vec<&Record> = seen.iter().filter(|it| holds_the_name(it) && !it.is_ours()).collect();
    let ours: Vec<(&Record, IpAddr)> =
        seen.iter().filter(|it| it.is_ours()).filter_map(|it| Some((it, it.address()?))).collect();
    let mut records = Records { path, ttl, pool: &answer.pool, shown, plan: Plan::default() };
    records.plan.problems = foreign.iter().map(|record| refusal(record)).collect();
    if !foreign.is_empty() && ours.is_empty() {
        return records.plan;
    }
    let targets = wanted(answer);
    let is_answered =
        targets.iter().any(|it| it.is_in && ours.iter().any(|(_, address)| *address == it.target.address));
    records.plan.then_is_safe = is_answered;
    for it in &targets {
        let record = ours.iter().find(|(_, address)| *address == it.target.address);
        match (record, it.is_in) {
            (Some((record, _)), true) => records.keep(record, it),
            (None, true) => records.add(it, is_answered),
            (None, false) => records.stay_out(it),
            (Some(_), false) => {}
        }
    }
    for (record, address) in &ours {
        let target = targets.iter().find(|it| it.target.address == *address);
        if target.is_none_or(|it| !it.is_in) {
            records.delete(record, *address, target, is_answered);
        }
    }
    records.plan
}

/// Whether a record decides what address the name has.
fn holds_the_name(record: &Record) -> bool {
    matches!(record.kind.as_str(), "A" | "AAAA" | "CNAME")
}

fn refusal(record: &Record) -> String {
    let Record { kind, name, content, .. } = record;
    format!(
        "the record {name} {kind} {content} is not Daymark's, and while it is there the name has an answer that Daymark does \
         not decide; delete it, or begin its comment with \"{MARK}\" to hand it over"
    )
}

/// The key of an address in the ledger.
fn presence(address: IpAddr) -> String {
    format!("{address} is there")
}

/// The planning under way.
struct Records<'a> {
    path: &'a str,
    ttl: u32,
    pool: &'a PoolName,
    shown: &'a Shown,
    plan: Plan,
}

impl Records<'_> {
    fn add(&mut self, wanted: &Wanted, is_answered: bool) {
        let (address, pool) = (wanted.target.address, self.pool);
        let kind = if address.is_ipv6() { "AAAA" } else { "A" };
        let drift = format!("someone else has deleted the record {pool} {kind} {address}");
        let entry = match self.plan.judge(self.shown, &presence(address), (false, true), || drift.clone()) {
            Todo::Nothing => return,
            Todo::Leave(_) if is_answered => return self.plan.leave(&drift),
            Todo::Change(entry) | Todo::Leave(entry) => entry,
        };
        let comment: String = format!("{MARK}: {}", wanted.target.node).chars().take(COMMENT).collect();
        let body = json!({
            "type": kind,
            "name": pool.as_str(),
            "content": address.to_string(),
            "ttl": self.ttl,
            "proxied": false,
            "comment": comment,
        });
        let change = format!("add the record {pool} {kind} {address} ({})", wanted.why);
        self.plan.first.push(self.edit(
            "POST",
            self.path.to_owned(),
            Some(body),
            change,
            vec![(presence(address), entry)],
        ));
    }

    /// Sets right what differs in a record that stays.
    fn keep(&mut self, record: &Record, wanted: &Wanted) {
        self.plan.judge(self.shown, &presence(wanted.target.address), (true, true), String::new);
        let mut body = Map::new();
        let (mut changes, mut entries) = (Vec::new(), Vec::new());
        let called = format!("the record {} {} {}", self.pool, record.kind, record.content);
        let fields = [("ttl", json!(record.ttl), json!(self.ttl)), ("proxied", json!(record.proxied), json!(false))];
        for (field, seen, right) in fields {
            let key = format!("{} has its {field}", wanted.target.address);
            let drift = format!("someone else has set `{field}` of {called} to {seen}");
            match self.plan.judge(self.shown, &key, (seen == right, true), || drift.clone()) {
                Todo::Nothing => {}
                Todo::Change(entry) => {
                    changes.push(format!("set `{field}` of {called} to {right}"));
                    entries.push((key, entry));
                    body.insert(field.to_owned(), right);
                }
                Todo::Leave(_) => self.plan.leave(&drift),
            }
        }
        if !body.is_empty() {
            // The schema wants these with every change.
            body.insert("type".to_owned(), record.kind.as_str().into());
            body.insert("name".to_owned(), record.name.as_str().into());
            body.insert("content".to_owned(), record.content.as_str().into());
            let path = format!("{}/{}", self.path, record.id);
            let edit = self.edit("PATCH", path, Some(Value::Object(body)), changes.join("; "), entries);
            self.plan.first.push(edit);
        }
    }

    /// Remembers that a record is rightly not there.
    fn stay_out(&mut self, wanted: &Wanted) {
        self.plan.judge(self.shown, &presence(wanted.target.address), (false, false), String::new);
    }

    fn delete(&mut self, record: &Record, address: IpAddr, target: Option<&Wanted>, is_answered: bool) {
        let called = format!("the record {} {} {address}", self.pool, record.kind);
        let drift = format!("someone else has added {called}");
        match self.plan.judge(self.shown, &presence(address), (true, false), || drift.clone()) {
            Todo::Leave(_) => self.plan.leave(&drift),
            Todo::Change(entry) if is_answered || !self.plan.first.is_empty() => {
                let why = target.map_or("no node has it", |it| it.why.as_str());
                let path = format!("{}/{}", self.path, record.id);
                let edit = self.edit(
                    "DELETE",
                    path,
                    None,
                    format!("delete {called} ({why})"),
                    vec![(presence(address), entry)],
                );
                self.plan.then.push(edit);
            }
            // Where nothing of the answer is there or can be added, what is there stays.
            Todo::Nothing | Todo::Change(_) => {}
        }
    }

    fn edit(
        &self,
        method: &'static str,
        path: String,
        body: Option<Value>,
        change: String,
        entries: Vec<(String, crate::ledger::Entry)>,
    ) -> Edit {
        Edit { pool: self.pool.clone(), method, path, body, changes: vec![change], call: Call::WriteRecord, entries }
    }
}
