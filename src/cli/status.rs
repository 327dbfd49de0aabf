//! `daymark status` and `daymark events`: what a running host holds, and what has changed.

use clap::Args;
use daymark_decision::{Grade, Place};
use jiff::Timestamp;

use super::client::Api;
use super::table::table;
use super::{Outcome, Output, json};
use crate::discovery::board::{DiscoveryStatus, KnownStatus, MissingStatus};
use crate::events::Event;
use crate::status::{HostsStatus, PeerStatus, PeerTarget, PoolStatus, ProviderStatus, Status, TargetStatus};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    api: Api,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn status(arguments: &Arguments) -> Outcome {
    let status: Status = arguments.api.get("/api/v1/status")?;
    match arguments.output {
        Output::Json => json(&status),
        Output::Text => Ok(text(&status)),
    }
}

pub(super) fn events(arguments: &Arguments) -> Outcome {
    let events: Vec<Event> = arguments.api.get("/api/v1/events")?;
    match arguments.output {
        Output::Json => json(&events),
        Output::Text => Ok(events.iter().map(|event| format!("{} {}\n", event.time, event.sentence)).collect()),
    }
}

fn text(status: &Status) -> String {
    let mut text: String = status.pools.iter().map(pool).collect();
    text.extend(status.hosts.iter().map(|it| hosts(it, &status.pools)));
    let now = status.now.parse().unwrap_or_default();
    text.extend(status.providers.iter().map(|it| provider(it, now)));
    text.extend(status.alarms.iter().map(|alarm| format!("ALARM: {alarm}\n")));
    text
}

fn provider(provider: &ProviderStatus, now: Timestamp) -> String {
    if provider.stands_by {
        return format!("provider {}: stands by\n", provider.name);
    }
    let published = provider.published.map_or("nothing".to_owned(), |generation| format!("generation {generation}"));
    let mut text = format!("provider {}: {published}", provider.name);
    if provider.behind_since.is_some() {
        text.push_str(&format!(" of {}, behind for {} s", provider.desired, provider.behind(now)));
    }
    if let Some(at) = provider.last_success {
        text.push_str(&format!(", last success {at}"));
    }
    if let Some(why) = provider.why() {
        text.push_str(&format!(": {why}"));
    }
    text.push('\n');
    text.extend(provider.findings.iter().map(|finding| format!("  found: {finding}\n")));
    text
}

fn hosts(hosts: &HostsStatus, pools: &[PoolStatus]) -> String {
    let writer = match &hosts.writer {
        _ if !hosts.is_writing => String::new(),
        Some(writer) => format!("; {writer} writes"),
        None => "; no host writes".to_owned(),
    };
    let blind = if hosts.blind { ", blind" } else { "" };
    let heard = 1 + hosts.peers.iter().filter(|peer| peer.heard).count();
    let rows: Vec<Vec<String>> = hosts.peers.iter().map(peer).collect();
    let table = table(&["HOST", "HEARD", "DIRECT", "ROUND TRIP", "CLOCK", "TARGETS", "CONFIGURATION"], &rows);
    let differing: String = hosts.peers.iter().filter(|it| it.heard).map(|peer| differing(peer, pools)).collect();
    let (own, standing, members) = (&hosts.own, hosts.standing, hosts.members);
    format!("host {own}: {standing}{blind}, hears {heard} of {members}{writer}\n{table}{differing}\n")
}

/// A line for each target that another host grades otherwise than this one.
fn differing(peer: &PeerStatus, pools: &[PoolStatus]) -> String {
    let line = |target: &PeerTarget| {
        let pool = pools.iter().find(|pool| pool.name == target.pool)?;
        let here = pool.targets.iter().find(|here| here.node == target.node && here.address == target.address)?;
        let PeerTarget { pool, node, address, grade, .. } = target;
        let line = || format!("  {} finds {node} {address} of {pool} {grade}, here it is {}\n", peer.host, here.grade);
        (here.grade != *grade).then(line)
    };
    peer.targets.iter().filter_map(line).collect()
}

fn peer(peer: &PeerStatus) -> Vec<String> {
    let ago = |age: Option<f64>| age.map_or("never".to_owned(), |age| format!("{age:.1} s ago"));
    let heard = if peer.heard { ago(peer.age) } else { format!("no, {}", ago(peer.age)) };
    let round_trip = peer.round_trip.map_or("-".to_owned(), |secs| match (secs * 1000.0).round() {
        0.0 => "under 1 ms".to_owned(),
        millis => format!("{millis} ms"),
    });
    // What is less than the way takes is no difference.
    let clock = peer.clock_ahead.map_or("-".to_owned(), |secs| match secs.round() {
        0.0 => "the same".to_owned(),
        secs => format!("{secs:+} s"),
    });
    let of_grade = |grade| peer.targets.iter().filter(|target| target.grade == grade).count();
    let counts: Vec<String> = Grade::ALL
        .iter()
        .rev()
        .map(|grade| (of_grade(*grade), grade))
        .filter(|(count, _)| *count > 0)
        .map(|(count, grade)| format!("{count} {grade}"))
        .collect();
    let abstains = if peer.abstains { "abstains, " } else { "" };
    let when = if peer.heard { abstains } else { "then: " };
    let targets = if counts.is_empty() { "-".to_owned() } else { format!("{when}{}", counts.join(", ")) };
    let pools: Vec<String> = peer.differs.iter().map(ToString::to_string).collect();
    let configuration = match (peer.configuration.is_empty(), pools.is_empty()) {
        (true, _) => "-".to_owned(),
        (false, true) => "the same".to_owned(),
        (false, false) => format!("another of {}", pools.join(", ")),
    };
    vec![peer.host.to_string(), heard, ago(peer.direct_age), round_trip, clock, targets, configuration]
}

fn pool(pool: &PoolStatus) -> String {
    let addresses: Vec<String> = pool.addresses.iter().map(ToString::to_string).collect();
    let rows: Vec<Vec<String>> = pool
        .targets
        .iter()
        .map(|target| {
            let place = match target.place {
                Place::In => "in",
                Place::Out => "out",
            };
            let why = target.why.split_once([':', ',']).map_or(target.why.as_str(), |(_, why)| why.trim_start());
            [target.node.to_string(), target.address.to_string(), target.grade.to_string(), place.into(), why.into()]
                .to_vec()
        })
        .collect();
    let table = table(&["NODE", "ADDRESS", "GRADE", "ANSWER", "WHY"], &rows);
    let mut undone: Vec<String> = pool.targets.iter().filter_map(undone).collect();
    undone.dedup();
    let (name, basis, ttl, undone) = (&pool.name, pool.basis, pool.ttl, undone.concat());
    let waiting: String = pool.waiting.iter().map(|waiting| format!("  {waiting}\n")).collect();
    let found: String = pool.discovery.iter().map(discovery).collect();
    format!("{name} -> {} ({basis}, TTL {ttl} s)\n{table}{undone}{waiting}{found}\n", addresses.join(" "))
}

/// How the nodes are found, and what is missing and stays.
fn discovery(discovery: &DiscoveryStatus) -> String {
    let DiscoveryStatus { source, asked, complete, trouble, .. } = discovery;
    let nodes = discovery.nodes();
    let noun = if nodes == 1 { "node" } else { "nodes" };
    let mut text = format!("  {nodes} {noun} known by {source}; the last complete list: ");
    text.push_str(&complete.map_or("none yet".to_owned(), |at| at.to_string()));
    text.extend(asked.map(|address| format!(", asked last: {address}")));
    text.push('\n');
    text.extend(trouble.iter().map(|why| format!("  trouble: {why}\n")));
    let line = |(known, missing): (&KnownStatus, &MissingStatus)| {
        format!("  {} {} is {}\n", known.node, known.address, missing.sentence)
    };
    text.extend(discovery.missing().map(line));
    text
}

/// The line on a node whose last drain the hosts have undone.
fn undone(target: &TargetStatus) -> Option<String> {
    target.undone.as_ref().map(|undone| format!("  {} was {undone}\n", target.node))
}

#[cfg(test)]
pub(crate) mod tests;
