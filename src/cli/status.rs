//! `daymark status` and `daymark events`: what a running host holds, and what has changed.

use clap::Args;
use daymark_decision::Place;
use jiff::Timestamp;

use super::client::Api;
use super::table::table;
use super::{Outcome, Output, json};
use crate::events::Event;
use crate::status::{PoolStatus, ProviderStatus, Status};

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
    let now = status.now.parse().unwrap_or_default();
    text.extend(status.providers.iter().map(|it| provider(it, now)));
    text.extend(status.alarms.iter().map(|alarm| format!("ALARM: {alarm}\n")));
    text
}

fn provider(provider: &ProviderStatus, now: Timestamp) -> String {
    let published = provider.published.map_or("nothing".to_owned(), |generation| format!("generation {generation}"));
    let mut text = format!("provider {}: {published}", provider.name);
    if provider.behind_since.is_some() {
        text.push_str(&format!(" of {}, behind for {} s", provider.desired, provider.behind(now)));
    }
    if let Some(at) = provider.last_success {
        text.push_str(&format!(", last success {at}"));
    }
    if let Some(fault) = &provider.fault {
        text.push_str(&format!(": {fault}"));
    }
    text.push('\n');
    text.extend(provider.findings.iter().map(|finding| format!("  found: {finding}\n")));
    text
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
