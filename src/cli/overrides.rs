//! `daymark drain`, `force` and `undrain`: an operator's word on a node.

use bytes::Bytes;
use clap::Args;
use daymark_decision::{OverrideKind, PoolName};
use hyper::Method;

use super::client::{Api, Secret, segment};
use super::explain::find;
use super::{Failure, Outcome};
use crate::admin::Wish;
use crate::status::{HostsStatus, PeerStatus, PoolStatus, Status};

#[derive(Debug, Args)]
pub(super) struct Drain {
    #[command(flatten)]
    order: Order,
    /// Drain also where no usable node is left
    #[arg(long)]
    insist: bool,
}

#[derive(Debug, Args)]
pub(super) struct Order {
    #[command(flatten)]
    lift: Lift,
    /// For how long, such as 10m or 2h; without it, until `daymark undrain`
    #[arg(long = "for", value_name = "TIME")]
    length: Option<String>,
    /// Why, for those who look later
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// Who, for those who look later; the user's name unless given
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Lift {
    /// The node
    node: String,
    /// Its pool; needed where several pools have a node of this name
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    #[command(flatten)]
    api: Api,
    #[command(flatten)]
    secret: Secret,
}

pub(super) fn drain(arguments: &Drain) -> Outcome {
    set(&arguments.order, OverrideKind::Drain, arguments.insist)
}

pub(super) fn force(order: &Order) -> Outcome {
    set(order, OverrideKind::Force, false)
}

pub(super) fn undrain(lift: &Lift) -> Outcome {
    lift.send(Method::DELETE, Bytes::new())
}

fn set(order: &Order, kind: OverrideKind, insist: bool) -> Outcome {
    let Order { lift, length, reason, author } = order;
    let author = author.clone().unwrap_or_else(user);
    let wish = Wish { kind, length: length.clone(), reason: reason.clone(), author, insist };
    let body = serde_json::to_vec(&wish).map_err(|error| Failure::Run(error.to_string()))?;
    lift.send(Method::PUT, body.into())
}

impl Lift {
    fn send(&self, method: Method, body: Bytes) -> Outcome {
        let is_set = method == Method::PUT;
        let pool = find(&self.api.get("/api/v1/status")?, &self.node, self.pool.as_deref())?.name.clone();
        let path = format!("/api/v1/pools/{}/nodes/{}/override", segment(pool.as_str()), segment(&self.node));
        self.api.write(method, &path, body, Some(&self.secret))?;
        let status: Status = self.api.get("/api/v1/status")?;
        let now = status.pools.iter().find(|it| it.name == pool);
        let outcome = now.map_or(Ok(String::new()), |now| outcome(now, &self.node))?;
        let hosts = status.hosts.as_ref();
        let unknown = if is_set { unknown(hosts, &pool, &self.node) } else { String::new() };
        Ok(outcome + &unheard(hosts) + &unknown)
    }
}

/// What has become of the node; or else why what was said of it does not hold.
fn outcome(pool: &PoolStatus, node: &str) -> Outcome {
    let addresses: Vec<String> = pool.addresses.iter().map(ToString::to_string).collect();
    let targets = || pool.targets.iter().filter(|target| target.node.as_str() == node);
    if let Some(undone) = targets().find_map(|target| target.undone.as_ref()) {
        return Err(Failure::Run(format!("{}: {node} was {undone}", pool.name)));
    }
    let lines: String = targets().map(|target| format!("{node} {} {}\n", target.address, target.why)).collect();
    Ok(format!("{lines}{} -> {}\n", pool.name, addresses.join(" ")))
}

/// Who does not know of it yet, where there are other hosts.
fn unheard(hosts: Option<&HostsStatus>) -> String {
    let Some(hosts) = hosts else { return String::new() };
    // Who is heard may yet not hear this host.
    let peers = hosts.peers.iter().filter(|peer| !peer.heard || !peer.hears.contains(&hosts.own));
    let names: Vec<&str> = peers.map(|peer| peer.host.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("{one} is out of touch, and learns of it once it is back\n"),
        several => format!("{} are out of touch, and learn of it once they are back\n", several.join(", ")),
    }
}

/// Who does not have the node, such as where it was found and others have not found it yet.
fn unknown(hosts: Option<&HostsStatus>, pool: &PoolName, node: &str) -> String {
    let peers = hosts.into_iter().flat_map(|hosts| &hosts.peers).filter(|peer| peer.heard);
    let lacks = |peer: &&PeerStatus| {
        let mut of_pool = peer.targets.iter().filter(|target| target.pool == *pool).peekable();
        of_pool.peek().is_some() && !of_pool.any(|target| target.node.as_str() == node)
    };
    peers.filter(lacks).map(|peer| format!("{} has no node {node}, so it waits for one there\n", peer.host)).collect()
}

fn user() -> String {
    ["SUDO_USER", "USER"].into_iter().find_map(|key| std::env::var(key).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::tests::{hosts_status, pool_status};

    #[test]
    fn who_is_not_heard_does_not_know_of_it_yet() {
        let mut hosts = hosts_status();
        let own = hosts.own.clone();
        hosts.peers.iter_mut().for_each(|peer| peer.hears = vec![own.clone()]);
        assert_eq!(unheard(Some(&hosts)), "dns-3 is out of touch, and learns of it once it is back\n");
        hosts.peers[0].hears.clear();
        assert_eq!(unheard(Some(&hosts)), "dns-2, dns-3 are out of touch, and learn of it once they are back\n");
        assert_eq!(unheard(None), "");
    }

    #[test]
    fn who_has_not_the_node_is_told() {
        let (hosts, pool) = (hosts_status(), pool_status().name);
        let known = hosts.peers[0].targets[0].node.to_string();
        assert_eq!(unknown(Some(&hosts), &pool, &known), "");
        let told = "dns-2 has no node cp-9, so it waits for one there\n";
        assert_eq!(unknown(Some(&hosts), &pool, "cp-9"), told, "dns-3 is not heard");
    }

    #[test]
    fn a_drain_that_is_undone_at_once_has_failed_for_its_reason() {
        let undone = outcome(&pool_status(), "cp-1").unwrap_err();
        assert_eq!(undone.to_string(), "lb.example.org: cp-1 was drained by ada, and undone");
        assert!(matches!(undone, Failure::Run(_)), "as a refusal");
        let mut holds = pool_status();
        holds.targets.iter_mut().for_each(|target| target.undone = None);
        assert!(outcome(&holds, "cp-1").unwrap().starts_with("cp-1 192.0.2.1 out: "));
    }
}
