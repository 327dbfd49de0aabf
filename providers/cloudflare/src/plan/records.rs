//! The DNS records of a name.

use std::net::IpAddr;

use daymark_decision::{Answer, PoolName};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Edit, Plan, THERE, Todo, Wanted, wanted};
use crate::MARK;
use crate::api::Record;
use crate::client::Call;
use crate::ledger::{Entry, Shown};

/// How many characters of a comment every zone takes.
const COMMENT: usize = 100;

/// Plans the records of an answer. `seen` is every record of the name, of any type, and those of other names do not count;
/// `path` is that of the zone's records.
///
/// What is missing is added first; what is too many is deleted once everything else stands, or has been tried, and only
/// while an address of the answer is there.
pub(crate) fn plan(path: &str, ttl: u32, answer: &Answer, seen: &[Record], shown: &Shown) -> Plan {
    let is_of_name = |it: &&Record| it.name.eq_ignore_ascii_case(answer.pool.as_str());
    let seen: Vec<&Record> = seen.iter().filter(is_of_name).collect();
    let foreign: Vec<&Record> = seen.iter().copied().filter(|it| holds_the_name(it) && !it.is_ours()).collect();
    let ours: Vec<&Record> = seen.iter().copied().filter(|it| it.is_ours()).collect();
    let problems = foreign.iter().map(|record| refusal(record)).collect();
    let mut records = Records { path, ttl, pool: &answer.pool, shown, plan: Plan { problems, ..Plan::default() } };
    if !foreign.is_empty() && ours.is_empty() {
        return records.plan;
    }
    let targets = wanted(answer);
    let resolves = |it: &&Wanted| it.is_in && seen.iter().any(|record| record.resolves_to(it.target.address));
    let is_answered = targets.iter().any(|it| resolves(&it));
    records.plan.then_is_safe = is_answered;
    for it in &targets {
        let address = it.target.address;
        let record = ours.iter().find(|record| record.address() == Some(address));
        // Cloudflare takes no second record of the same address.
        let is_foreign = foreign.iter().any(|record| record.address() == Some(address));
        match (record, it.is_in) {
            (Some(record), true) => records.keep(record, address, is_answered),
            (None, true) if !is_foreign => records.add(it, is_answered),
            (None, true) | (_, false) => {}
        }
    }
    let there: Vec<String> = ours.iter().filter_map(|record| record.address()).map(presence).collect();
    let is_target = |key: &str| targets.iter().any(|it| presence(it.target.address) == key);
    records.plan.judge_gone(shown, |key| there.contains(&key.to_owned()), is_target);
    for record in ours {
        let target = targets.iter().find(|it| record.address() == Some(it.target.address));
        if target.is_none_or(|it| !it.is_in) {
            records.delete(record, target);
        }
    }
    records.plan.is_whole = true;
    records.plan
}

/// Whether a record decides what address the name has.
fn holds_the_name(record: &Record) -> bool {
    matches!(record.kind.as_str(), "A" | "AAAA" | "CNAME" | "NS")
}

fn refusal(record: &Record) -> String {
    let Record { kind, name, content, .. } = record;
    let called = format!("the record {name} {kind} {content}");
    match kind.as_str() {
        "A" | "AAAA" => format!(
            "{called} is not Daymark's, and while it is there the name has an answer that Daymark does not decide; delete it, \
             or make its comment \"{MARK}\" to hand it over"
        ),
        "NS" => format!(
            "{called} delegates the name to other servers, and nobody asks Cloudflare for its address; delete it"
        ),
        _ => format!("{called} is in the way: the name can have no address beside it; delete it"),
    }
}

/// The key of an address in the ledger.
fn presence(address: IpAddr) -> String {
    format!("{address}{THERE}")
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
        let todo = self.plan.judge(self.shown, &presence(address), (false, true), || drift.clone());
        if is_answered && matches!(todo, Todo::Leave(_)) {
            return self.plan.leave(&drift);
        }
        let Some(entry) = self.plan.insist(todo, &drift) else { return };
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
        let entries = vec![(presence(address), entry)];
        self.plan.first.push(self.edit(Method::POST, self.path.to_owned(), Some(body), change, entries));
    }

    /// Sets right what differs in a record that stays.
    fn keep(&mut self, record: &Record, address: IpAddr, is_answered: bool) {
        self.plan.judge(self.shown, &presence(address), (true, true), String::new);
        let mut body = Map::new();
        let (mut changes, mut entries) = (Vec::new(), Vec::new());
        let called = format!("the record {} {} {}", self.pool, record.kind, record.content);
        // A proxied record gives an address of Cloudflare's, which is none of the answer.
        let fields = [
            ("ttl", json!(record.ttl), json!(self.ttl), true),
            ("proxied", json!(record.proxied), json!(false), is_answered),
        ];
        for (field, seen, right, can_wait) in fields {
            let key = format!("{address} has the {field} {right}");
            let drift = format!("someone else has set `{field}` of {called} to {seen}");
            match self.plan.judge(self.shown, &key, (seen == right, true), || drift.clone()) {
                Todo::Leave(_) if can_wait => self.plan.leave(&drift),
                todo => {
                    if let Some(entry) = self.plan.insist(todo, &drift) {
                        changes.push(format!("set `{field}` of {called} to {right}"));
                        entries.push((key, entry));
                        body.insert(field.to_owned(), right);
                    }
                }
            }
        }
        if !body.is_empty() {
            // The schema wants these with every change.
            body.insert("type".to_owned(), record.kind.as_str().into());
            body.insert("name".to_owned(), record.name.as_str().into());
            body.insert("content".to_owned(), record.content.as_str().into());
            let path = format!("{}/{}", self.path, record.id);
            let edit = self.edit(Method::PATCH, path, Some(Value::Object(body)), changes.join("; "), entries);
            self.plan.first.push(edit);
        }
    }

    fn delete(&mut self, record: &Record, target: Option<&Wanted>) {
        let Some(address) = record.address() else { return };
        let called = format!("the record {} {} {address}", self.pool, record.kind);
        let drift = format!("someone else has added {called}");
        match self.plan.judge(self.shown, &presence(address), (true, false), || drift.clone()) {
            Todo::Nothing => {}
            Todo::Leave(_) => self.plan.leave(&drift),
            Todo::Change(entry) => {
                let why = target.map_or("no node has it", |it| it.why.as_str());
                let path = format!("{}/{}", self.path, record.id);
                let change = format!("delete {called} ({why})");
                self.plan.then.push(self.edit(Method::DELETE, path, None, change, vec![(presence(address), entry)]));
            }
        }
    }

    fn edit(
        &self,
        method: Method,
        path: String,
        body: Option<Value>,
        change: String,
        entries: Vec<(String, Entry)>,
    ) -> Edit {
        Edit { pool: self.pool.clone(), method, path, body, changes: vec![change], call: Call::WriteRecord, entries }
    }
}
