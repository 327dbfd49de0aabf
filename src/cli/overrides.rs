//! `daymark drain`, `force` and `undrain`: the overrides of a node.

use clap::Args;
use daymark_api::{HostsStatus, OverrideReply, OverrideRequest, PeerStatus, PoolStatus, Status};
use daymark_config as config;
use daymark_decision::{OverrideKind, PoolName};
use reqwest::Method;

use super::client::{Api, TokenFile, segment};
use super::explain::find;
use super::{Failure, Outcome, block_on};

#[derive(Debug, Args)]
pub(super) struct Drain {
    #[command(flatten)]
    request: SetOverride,
    /// Drain the node even if no usable node is left
    #[arg(long)]
    insist: bool,
}

#[derive(Debug, Args)]
pub(super) struct SetOverride {
    #[command(flatten)]
    target: ClearOverride,
    /// Length of the override, such as 10m or 2h; without it, until `daymark undrain`
    #[arg(long = "for", value_name = "TIME")]
    length: Option<String>,
    /// Reason, for the record
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// Author, for the record; the name of the user by default
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ClearOverride {
    /// The node
    node: String,
    /// Its pool; needed if several pools have a node of this name
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    #[command(flatten)]
    api: Api,
    #[command(flatten)]
    token_file: TokenFile,
}

pub(super) fn drain(arguments: &Drain) -> Outcome {
    set(&arguments.request, OverrideKind::Drain, arguments.insist)
}

pub(super) fn force(arguments: &SetOverride) -> Outcome {
    set(arguments, OverrideKind::Force, false)
}

pub(super) fn undrain(arguments: &ClearOverride) -> Outcome {
    block_on(arguments.send(Method::DELETE, Vec::new()))
}

fn set(arguments: &SetOverride, kind: OverrideKind, insist: bool) -> Outcome {
    let SetOverride { target, length, reason, author } = arguments;
    // The host checks it too, but names the key of the request.
    if let Some(Err(wrong)) = length.as_deref().map(config::duration) {
        return Err(Failure::Usage(format!("--for: {wrong}")));
    }
    let author = author.clone().unwrap_or_else(user);
    let request = OverrideRequest { kind, length: length.clone(), reason: reason.clone(), author, insist };
    let body = serde_json::to_vec(&request).map_err(|error| Failure::Run(error.to_string()))?;
    block_on(target.send(Method::PUT, body))
}

impl ClearOverride {
    async fn send(&self, method: Method, body: Vec<u8>) -> Outcome {
        let is_set = method == Method::PUT;
        let client = self.api.client()?;
        let status: Status = client.get("/api/v1/status").await?;
        let pool = &find(&status, &self.node, self.pool.as_deref())?.name;
        let path = format!("/api/v1/pools/{}/nodes/{}/override", segment(pool.as_str()), segment(&self.node));
        let reply: OverrideReply = client.write(method, &path, body, &self.token_file).await?;
        let changed = reply.pools.iter().find(|of| of.name == *pool);
        let outcome = changed.map_or(Ok(String::new()), |changed| outcome(changed, &self.node))?;
        let hosts = status.hosts.as_ref();
        let unknown = if is_set { unknown(hosts, pool, &self.node) } else { String::new() };
        saved(outcome + &out_of_reach(hosts) + &unknown, &reply)
    }
}

/// The text of a change. Fails if the change is active, but on no disk.
fn saved(text: String, reply: &OverrideReply) -> Outcome {
    match &reply.message {
        _ if reply.saved => Ok(text),
        Some(message) => Err(Failure::Run(text + message)),
        None => Err(Failure::Run(text + "the change is active, but not saved")),
    }
}

/// The new state of the node. Fails if the hosts reverted its drain.
fn outcome(pool: &PoolStatus, node: &str) -> Outcome {
    let addresses: Vec<String> = pool.addresses.iter().map(ToString::to_string).collect();
    let targets = || pool.targets.iter().filter(|target| target.node.as_str() == node);
    if let Some(reverted) = targets().find_map(|target| target.reverted.as_ref()) {
        return Err(Failure::Run(format!("{}: {node} was {reverted}", pool.name)));
    }
    let lines: String = targets().map(|target| format!("{node} {} {}\n", target.address, target.message)).collect();
    Ok(format!("{lines}{} -> {}\n", pool.name, addresses.join(" ")))
}

/// The hosts that do not know of the override yet.
fn out_of_reach(hosts: Option<&HostsStatus>) -> String {
    let Some(hosts) = hosts else { return String::new() };
    // A host that this one reaches may not reach this one.
    let peers = hosts.peers.iter().filter(|peer| !peer.reachable || !peer.reachable_hosts.contains(&hosts.own));
    let names: Vec<&str> = peers.map(|peer| peer.host.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("host {one}: unreachable; it receives the override when it is back\n"),
        several => format!("hosts {}: unreachable; they receive the override when they are back\n", several.join(", ")),
    }
}

/// The hosts that do not have the node, such as those whose discovery has not found it yet.
fn unknown(hosts: Option<&HostsStatus>, pool: &PoolName, node: &str) -> String {
    let peers = hosts.into_iter().flat_map(|hosts| &hosts.peers).filter(|peer| peer.reachable);
    let has_no_such_node = |peer: &&PeerStatus| {
        let mut of_pool = peer.targets.iter().filter(|target| target.pool == *pool).peekable();
        of_pool.peek().is_some() && !of_pool.any(|target| target.node.as_str() == node)
    };
    peers
        .filter(has_no_such_node)
        .map(|peer| format!("host {}: no node {node} there, so the override is pending\n", peer.host))
        .collect()
}

fn user() -> String {
    ["SUDO_USER", "USER"].into_iter().find_map(|key| std::env::var(key).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::tests::{hosts_status, pool_status};

    #[test]
    fn a_change_that_is_not_saved_is_shown_and_fails() {
        let reply = |saved: bool| OverrideReply {
            saved,
            message: (!saved).then(|| "the change is active, but not saved: the disk is full".to_owned()),
            pools: Vec::new(),
        };
        let text = || "cp-1 192.0.2.1 out: drained\n".to_owned();
        assert_eq!(saved(text(), &reply(true)).ok(), Some(text()));
        let failure = saved(text(), &reply(false)).unwrap_err();
        assert!(matches!(failure, Failure::Run(_)), "exit code 1");
        assert_eq!(failure.to_string(), text() + "the change is active, but not saved: the disk is full");
    }

    #[test]
    fn unreachable_hosts_are_named() {
        let mut hosts = hosts_status();
        let own = hosts.own.clone();
        hosts.peers.iter_mut().for_each(|peer| peer.reachable_hosts = vec![own.clone()]);
        assert_eq!(out_of_reach(Some(&hosts)), "host dns-3: unreachable; it receives the override when it is back\n");
        hosts.peers[0].reachable_hosts.clear();
        assert_eq!(
            out_of_reach(Some(&hosts)),
            "hosts dns-2, dns-3: unreachable; they receive the override when they are back\n"
        );
        assert_eq!(out_of_reach(None), "");
    }

    #[test]
    fn hosts_without_the_node_are_named() {
        let hosts = hosts_status();
        let pool = pool_status().name;
        let known = hosts.peers[0].targets[0].node.to_string();
        assert_eq!(unknown(Some(&hosts), &pool, &known), "");
        let expected = "host dns-2: no node cp-9 there, so the override is pending\n";
        assert_eq!(unknown(Some(&hosts), &pool, "cp-9"), expected, "dns-3 is unreachable");
    }

    #[test]
    fn a_drain_that_is_reverted_at_once_fails_with_its_reason() {
        let reverted = outcome(&pool_status(), "cp-1").unwrap_err();
        assert_eq!(reverted.to_string(), "lb.example.org: cp-1 was drained by ada; reverted");
        assert!(matches!(reverted, Failure::Run(_)), "like a refusal");
        let mut holds = pool_status();
        holds.targets.iter_mut().for_each(|target| target.reverted = None);
        assert!(outcome(&holds, "cp-1").unwrap().starts_with("cp-1 192.0.2.1 out: "));
    }
}
