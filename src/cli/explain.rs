//! `daymark explain`: the full state of one node.

use std::fmt::Write;

use clap::Args;
use daymark_api::{HostVote, KnownAddress, Origin, PoolStatus, Status, TargetStatus};
use daymark_decision::{Grade, HostName, PoolName, Timings};

use super::client::Api;
use super::{Failure, Outcome, Output, block_on, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The node
    node: String,
    /// Its pool; needed if several pools have a node of this name
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    #[command(flatten)]
    api: Api,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn explain(arguments: &Arguments) -> Outcome {
    let status: Status = block_on(arguments.api.client()?.get("/api/v1/status"))?;
    let pool = find(&status, &arguments.node, arguments.pool.as_deref())?;
    let of_node = |target: &&TargetStatus| target.node.as_str() == arguments.node;
    let targets: Vec<&TargetStatus> = pool.targets.iter().filter(of_node).collect();
    match arguments.output {
        Output::Json => json(&targets),
        Output::Text => {
            let pending = pool.pending_overrides.iter().filter(|pending| pending.node.as_str() == arguments.node);
            let pending = pending.map(|pending| format!("{}\n", pending.message(pool, &status.pools)));
            Ok(targets.into_iter().map(|target| text(pool, target)).chain(pending).collect())
        }
    }
}

/// The only pool that has the node or a pending override of it, or the named one.
pub(super) fn find<'a>(status: &'a Status, node: &str, pool: Option<&str>) -> Result<&'a PoolStatus, Failure> {
    let is_named = |of: &&PoolStatus| pool.is_none_or(|name| PoolName::new(name).as_ref() == Ok(&of.name));
    let named: Vec<&PoolStatus> = status.pools.iter().filter(is_named).collect();
    if let (Some(pool), []) = (pool, &named[..]) {
        let known: Vec<&PoolStatus> = status.pools.iter().collect();
        return Err(Failure::Run(format!("there is no pool {pool}; the pools are {}", names(&known))));
    }
    let found: Vec<&PoolStatus> = named.iter().copied().filter(|pool| pool.has_node(node)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Failure::Run(no_node(&named, node))),
        _ => Err(Failure::Run(format!("several pools have a node {node}; choose one with --pool: {}", names(&found)))),
    }
}

fn names(pools: &[&PoolStatus]) -> String {
    pools.iter().map(|pool| pool.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The error that no pool has the node, with the nodes that each pool has.
fn no_node(pools: &[&PoolStatus], node: &str) -> String {
    if let [pool] = pools {
        return format!("pool {} has no node {node}; its nodes are {}", pool.name, nodes(pool));
    }
    let of_pool = |pool: &&PoolStatus| format!("{} of {}", nodes(pool), pool.name);
    let known: Vec<String> = pools.iter().map(of_pool).collect();
    format!("no pool has a node {node}; the nodes are {}", known.join("; "))
}

/// The nodes of a pool: `cp-1, cp-2`.
fn nodes(pool: &PoolStatus) -> String {
    let mut nodes: Vec<&str> = pool.targets.iter().map(|target| target.node.as_str()).collect();
    nodes.dedup();
    nodes.join(", ")
}

fn text(pool: &PoolStatus, target: &TargetStatus) -> String {
    let mut lines = vec![
        format!("{} {} of {}", target.node, target.address, pool.name),
        format!("  answer       {}", target.message),
        match target.since {
            Some(since) => format!("  grade        {} since {since}", target.grade),
            None => format!("  grade        {}", target.grade),
        },
    ];
    lines.extend(target.origin.iter().map(|origin| format!("  origin       {}", origin_text(origin))));
    if let Some(active) = &target.active_override {
        lines.push(format!("  override     {} {active}", active.kind.participle()));
    }
    if let Some(reverted) = &target.reverted {
        lines.push(format!("  override     {reverted}"));
    }
    if !target.votes.is_empty() {
        lines.push(format!("  votes        {}", votes(&target.votes)));
    }
    match &target.observed {
        None => lines.push("  last probe   none in this run".to_owned()),
        Some(observed) => {
            lines.push(format!("  last probe   {} at {}", observed.message, observed.at));
            lines.push(format!("  durations    {}", times(observed.observation.timings)));
            if let Some(certificate) = &observed.observation.certificate {
                lines.push(format!("  certificate  until {}", certificate.not_after));
                lines.push(format!("  its names    {}", certificate.names.join(", ")));
            }
        }
    }
    lines.join("\n") + "\n\n"
}

fn origin_text(origin: &Origin) -> String {
    match origin {
        Origin::Seed => "the configuration, as a seed".to_owned(),
        Origin::Discovered(KnownAddress { since, missing: None, .. }) => format!("discovery, found {since}"),
        Origin::Discovered(KnownAddress { since, missing: Some(missing), .. }) => {
            format!("discovery, found {since}, {}", missing.message)
        }
    }
}

/// `dns-1 (this host) ready, dns-2 down, dns-3 abstains`.
fn votes(votes: &[HostVote]) -> String {
    let vote = |vote: &HostVote| match vote {
        HostVote { abstains: true, .. } => "abstains".to_owned(),
        HostVote { grade: Grade::Unknown, .. } => "has no vote yet".to_owned(),
        HostVote { grade, shutting_down: true, .. } => format!("{grade}, shutting down"),
        HostVote { grade, restored: true, .. } => format!("{grade} before its restart"),
        HostVote { grade, .. } => grade.to_string(),
    };
    // This host's vote comes first.
    let name =
        |index: usize, host: &HostName| if index == 0 { format!("{host} (this host)") } else { host.to_string() };
    let each = votes.iter().enumerate().map(|(index, of)| format!("{} {}", name(index, &of.host), vote(of)));
    each.collect::<Vec<_>>().join(", ")
}

/// `connect under 1 ms, tls 2 ms, http 1 ms`, without the phases that were not needed. The API has whole milliseconds.
pub(super) fn times(timings: Timings) -> String {
    let phases = [("connect", timings.connect), ("tls", timings.tls), ("http", timings.http)];
    let mut text = String::new();
    for (phase, took) in phases {
        let Some(took) = took else { continue };
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = match took.as_millis() {
            0 => write!(text, "{comma}{phase} under 1 ms"),
            millis => write!(text, "{comma}{phase} {millis} ms"),
        };
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use daymark_decision::Moment;
    use daymark_decision::fixtures::pool_name;

    use super::*;
    use crate::cli::status::tests::pool_status;

    fn status(pools: Vec<PoolStatus>) -> Status {
        Status {
            version: String::new(),
            started: Moment::default(),
            now: Moment::default(),
            pools,
            providers: Vec::new(),
            hosts: None,
            alarms: Vec::new(),
        }
    }

    #[test]
    fn an_unknown_pool_or_node_is_reported_with_the_known_ones() {
        let one = status(vec![pool_status()]);
        let two = status(vec![pool_status(), PoolStatus { name: pool_name("lb.example.net"), ..pool_status() }]);
        let error = |status: &Status, node: &str, pool: Option<&str>| find(status, node, pool).unwrap_err().to_string();
        assert_eq!(error(&one, "cp-1", Some("x")), "there is no pool x; the pools are lb.example.org");
        assert_eq!(error(&one, "cp-9", None), "pool lb.example.org has no node cp-9; its nodes are cp-1");
        assert_eq!(
            error(&two, "cp-9", None),
            "no pool has a node cp-9; the nodes are cp-1 of lb.example.org; cp-1 of lb.example.net"
        );
        assert_eq!(
            error(&two, "cp-9", Some("lb.example.net")),
            "pool lb.example.net has no node cp-9; its nodes are cp-1"
        );
        assert!(error(&two, "cp-1", None).starts_with("several pools have a node cp-1"));
    }
}
