//! `daymark status` and `daymark events`: what a running host holds, and what has changed.

use clap::Args;
use daymark_decision::{Grade, Place};
use jiff::Timestamp;

use super::client::Api;
use super::table::table;
use super::{Outcome, Output, json};
use crate::events::Event;
use crate::status::{HostsStatus, PeerStatus, PoolStatus, ProviderStatus, Status};

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
    text.extend(status.hosts.iter().map(hosts));
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

fn hosts(hosts: &HostsStatus) -> String {
    let writer = hosts.writer.as_ref().map_or("no host writes".to_owned(), |writer| format!("{writer} writes"));
    let blind = if hosts.blind { ", blind" } else { "" };
    let rows: Vec<Vec<String>> = hosts.peers.iter().map(peer).collect();
    let table = table(&["HOST", "HEARD", "DIRECT", "ROUND TRIP", "CLOCK", "TARGETS", "CONFIGURATION"], &rows);
    format!("host {}: {}{blind}, one of {}; {writer}\n{table}\n", hosts.own, hosts.standing, hosts.members)
}

fn peer(peer: &PeerStatus) -> Vec<String> {
    let ago = |age: Option<f64>| age.map_or("never".to_owned(), |age| format!("{age:.1} s ago"));
    let heard = if peer.heard { ago(peer.age) } else { format!("no, {}", ago(peer.age)) };
    let round_trip = peer.round_trip.map_or("-".to_owned(), |secs| format!("{:.1} ms", secs * 1000.0));
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
    let targets = if counts.is_empty() { "-".to_owned() } else { format!("{abstains}{}", counts.join(", ")) };
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
    format!("{} -> {} ({}, TTL {} s)\n{table}\n", pool.name, addresses.join(" "), pool.basis, pool.ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_795_341_600 + secs).unwrap()
    }

    #[test]
    fn a_provider_that_keeps_up_is_one_short_line() {
        let status = ProviderStatus {
            name: "authoritative".to_owned(),
            desired: 7,
            published: Some(7),
            last_success: Some(at(0)),
            ..ProviderStatus::default()
        };
        let expected = "provider authoritative: generation 7, last success 2026-11-22T10:00:00Z\n";
        assert_eq!(provider(&status, at(60)), expected);
    }

    #[test]
    fn a_provider_that_lags_says_for_how_long_and_why() {
        let status = ProviderStatus {
            name: "cloudflare".to_owned(),
            desired: 7,
            published: Some(5),
            last_success: Some(at(0)),
            behind_since: Some(at(18)),
            fault: Some("the token is not accepted".to_owned()),
            findings: vec!["the fallback pool is disabled".to_owned()],
            ..ProviderStatus::default()
        };
        assert_eq!(
            provider(&status, at(60)),
            "provider cloudflare: generation 5 of 7, behind for 42 s, last success 2026-11-22T10:00:00Z: the token is not \
             accepted\n  found: the fallback pool is disabled\n"
        );
    }
    #[test]
    fn a_provider_that_hangs_says_since_when() {
        let status = ProviderStatus {
            name: "cloudflare".to_owned(),
            desired: 7,
            behind_since: Some(at(0)),
            attempt_since: Some(at(1)),
            ..ProviderStatus::default()
        };
        assert_eq!(
            provider(&status, at(9)),
            "provider cloudflare: nothing of 7, behind for 9 s: an attempt is under way since 2026-11-22T10:00:01Z\n"
        );
        let in_time = ProviderStatus { behind_since: None, published: Some(7), ..status };
        assert_eq!(provider(&in_time, at(9)), "provider cloudflare: generation 7\n", "it only looks");
    }
}
