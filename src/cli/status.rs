//! `daymark status` and `daymark events`: the state of a running host, and its history.

use clap::Args;
use daymark_api::{
    DiscoveryStatus, Event, HostsStatus, MissingAddress, PeerStatus, PeerTarget, PoolStatus, ProviderStatus, Status,
    TargetStatus,
};
use std::time::Duration;

use daymark_decision::{Grade, Moment};

use super::client::Api;
use super::table::table;
use super::{Outcome, Output, block_on, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    api: Api,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn status(arguments: &Arguments) -> Outcome {
    let status: Status = block_on(arguments.api.client()?.get("/api/v1/status"))?;
    match arguments.output {
        Output::Json => json(&status),
        Output::Text => Ok(text(&status)),
    }
}

pub(super) fn events(arguments: &Arguments) -> Outcome {
    let events: Vec<Event> = block_on(arguments.api.client()?.get("/api/v1/events"))?;
    match arguments.output {
        Output::Json => json(&events),
        Output::Text => Ok(events.iter().map(|event| format!("{} {}\n", event.at, event.message)).collect()),
    }
}

fn text(status: &Status) -> String {
    let mut text: String = status.pools.iter().map(|of| pool(of, &status.pools)).collect();
    text.extend(status.hosts.iter().map(|of| hosts(of, &status.pools)));
    text.extend(status.providers.iter().map(|of| provider(of, status.now)));
    text.extend(status.alarms.iter().map(|alarm| format!("ALARM: {alarm}\n")));
    text
}

fn provider(provider: &ProviderStatus, now: Moment) -> String {
    if provider.standby {
        return format!("provider {}: standby\n", provider.name);
    }
    let mut text = format!("provider {}: {}", provider.name, provider.progress(now));
    let ttl = provider.ttl_text();
    if !ttl.is_empty() {
        text.push_str(&format!(", {ttl}"));
    }
    if let Some(at) = provider.last_success {
        text.push_str(&format!(", last success {at}"));
    }
    if let Some(reason) = provider.lag_reason() {
        text.push_str(&format!(": {reason}"));
    }
    text.push('\n');
    text.extend(provider.findings.iter().map(|finding| format!("  finding: {finding}\n")));
    text.extend(provider.notes.iter().map(|note| format!("  note: {note}\n")));
    text
}

fn hosts(hosts: &HostsStatus, pools: &[PoolStatus]) -> String {
    let writer = match &hosts.writer {
        _ if !hosts.can_write => String::new(),
        Some(writer) => format!("; writer {writer}"),
        None => "; no writer".to_owned(),
    };
    let isolated = if hosts.isolated { ", reaches no node" } else { "" };
    let rows: Vec<Vec<String>> = hosts.peers.iter().map(peer).collect();
    let table = table(&["HOST", "LAST CONTACT", "DIRECT", "ROUND TRIP", "CLOCK", "TARGETS", "CONFIGURATION"], &rows);
    let reachable = hosts.peers.iter().filter(|peer| peer.reachable);
    let differing: String = reachable.map(|peer| differing(peer, pools)).collect();
    format!(
        "host {}: {} ({} of {} hosts reachable){isolated}{writer}\n{table}{differing}\n",
        hosts.own,
        hosts.quorum_state,
        hosts.reachable(),
        hosts.members
    )
}

/// A line for each target that another host gives another grade.
fn differing(peer: &PeerStatus, pools: &[PoolStatus]) -> String {
    let line = |target: &PeerTarget| {
        let pool = pools.iter().find(|pool| pool.name == target.pool)?;
        let here = pool.targets.iter().find(|here| here.node == target.node && here.address == target.address)?;
        let PeerTarget { pool, node, address, grade, .. } = target;
        let line = || format!("  {pool}: {node} {address} is {grade} on {}, {} here\n", peer.host, here.grade);
        (here.grade != *grade).then(line)
    };
    peer.targets.iter().filter_map(line).collect()
}

fn peer(peer: &PeerStatus) -> Vec<String> {
    let ago = |age: Option<Duration>| age.map_or("never".to_owned(), |age| format!("{:.1} s ago", age.as_secs_f64()));
    let last_contact = ago(peer.last_contact);
    let contact = match (peer.reachable, peer.last_contact) {
        (true, _) => last_contact,
        (false, Some(_)) => format!("unreachable, {last_contact}"),
        (false, None) => "unreachable since the start".to_owned(),
    };
    let round_trip = peer.round_trip.map_or("-".to_owned(), |time| match time.as_millis() {
        0 => "under 1 ms".to_owned(),
        millis => format!("{millis} ms"),
    });
    // A difference below the round-trip time may be none.
    let clock = peer.clock_ahead.map_or("-".to_owned(), |lead| match lead.as_secs_f64().round() {
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
    let when = if peer.reachable { abstains } else { "last known: " };
    let targets = if counts.is_empty() { "-".to_owned() } else { format!("{when}{}", counts.join(", ")) };
    let pools: Vec<String> = peer.differs.iter().map(ToString::to_string).collect();
    let configuration = match (peer.configuration.is_empty(), pools.is_empty()) {
        (true, _) => "-".to_owned(),
        (false, true) => "the same".to_owned(),
        (false, false) => format!("differs for {}", pools.join(", ")),
    };
    vec![peer.host.to_string(), contact, ago(peer.last_direct_contact), round_trip, clock, targets, configuration]
}

/// A pool with its targets. `pools` are all pools of the host, this one included.
fn pool(pool: &PoolStatus, pools: &[PoolStatus]) -> String {
    let addresses: Vec<String> = pool.addresses.iter().map(ToString::to_string).collect();
    let rows: Vec<Vec<String>> = pool
        .targets
        .iter()
        .map(|target| {
            vec![
                target.node.to_string(),
                target.address.to_string(),
                target.grade.to_string(),
                target.reason.state().to_owned(),
                target.reason.cause().to_string(),
            ]
        })
        .collect();
    let table = table(&["NODE", "ADDRESS", "GRADE", "ANSWER", "REASON"], &rows);
    let mut reverted: Vec<String> = pool.targets.iter().filter_map(reverted).collect();
    reverted.dedup();
    let reverted = reverted.concat();
    let pending: String =
        pool.pending_overrides.iter().map(|pending| format!("  {}\n", pending.message(pool, pools))).collect();
    let discovery: String = pool.discovery.iter().map(discovery).collect();
    format!("{} -> {} ({})\n{table}{reverted}{pending}{discovery}\n", pool.name, addresses.join(" "), basis(pool))
}

/// `ready`, or `IPv4 ready, IPv6 last known good` if the families differ.
fn basis(pool: &PoolStatus) -> String {
    if pool.bases.values().all(|basis| *basis == pool.basis) {
        return pool.basis.to_string();
    }
    pool.bases.iter().map(|(family, basis)| format!("{family} {basis}")).collect::<Vec<_>>().join(", ")
}

/// The state of discovery, with the missing nodes that stay for now.
fn discovery(discovery: &DiscoveryStatus) -> String {
    let DiscoveryStatus { source, apiserver, last_complete, failure, .. } = discovery;
    let nodes = discovery.nodes();
    let noun = if nodes == 1 { "node" } else { "nodes" };
    let mut text = format!("  {nodes} {noun} known by {source}; the last complete list: ");
    text.push_str(&last_complete.map_or("none yet".to_owned(), |at| at.to_string()));
    text.extend(apiserver.map(|address| format!(", asked last: {address}")));
    text.push('\n');
    text.extend(failure.iter().map(|message| format!("  failing: {message}\n")));
    let line = |MissingAddress { known, missing }: MissingAddress<'_>| {
        format!("  {} {} is {}\n", known.node, known.address, missing.message)
    };
    text.extend(discovery.missing().map(line));
    text
}

/// The line of a node whose last drain the hosts have reverted.
fn reverted(target: &TargetStatus) -> Option<String> {
    target.reverted.as_ref().map(|reverted| format!("  {} was {reverted}\n", target.node))
}

#[cfg(test)]
pub(crate) mod tests;
