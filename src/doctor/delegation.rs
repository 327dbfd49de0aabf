//! The parent's delegation and glue, compared with the configuration. It does not judge the configured servers themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use daymark_resolver::{DnsCode, Protocol, QuestionType, ServerRecord, ServerResponse};
use futures_util::future::join_all;

use super::diagnosis::{Diagnosis, DoctorSection, Symptom};
use super::name_servers::{Response, ask, cause, has_route, is_authority, list, resolved};
use super::parent::{NoParent, ParentZone, ask_both};
use super::setup::{DelegatedZone, SetupServer};

/// Everything that was seen of the delegation of one zone.
#[derive(Clone, Debug)]
pub(super) enum DelegationSeen {
    /// The servers of the parent zone are not known.
    NoParent(NoParent),
    /// The parent zone, and the responses of its servers.
    Parent {
        /// The name of the parent zone.
        zone: String,
        /// One for each server that was asked.
        replies: Vec<ParentReply>,
        /// The servers that the parent names and the configuration does not.
        extra: Vec<ExtraServer>,
    },
}

/// The response of one server of the parent zone.
#[derive(Clone, Debug)]
pub(super) struct ParentReply {
    /// The server.
    pub(super) server: SocketAddr,
    /// Its response to a question for the name servers of the zone.
    pub(super) delegation: Response,
    /// The addresses that it has for name servers in the parent zone, if the response above lacks them.
    pub(super) looked_up: BTreeMap<String, BTreeSet<IpAddr>>,
}

/// A server that the parent delegates to, though the configuration does not have it.
#[derive(Clone, Debug)]
pub(super) struct ExtraServer {
    /// Its name.
    pub(super) name: String,
    /// True if an address of it has authority for the zone; `None` if no address is known.
    pub(super) has_authority: Option<bool>,
}

impl ParentReply {
    /// The name servers that the parent names for the zone; `None` without a usable response.
    fn servers(&self, apex: &str) -> Option<BTreeSet<String>> {
        self.delegation.as_ref().ok().map(|response| delegated(response, apex))
    }

    /// The addresses that the parent has for a name server.
    fn glue(&self, name: &str) -> BTreeSet<IpAddr> {
        let given = self.delegation.iter().flat_map(|response| &response.additional);
        let given = given.filter(|record| record.owner == name).filter_map(ServerRecord::address);
        given.chain(self.looked_up.get(name).into_iter().flatten().copied()).collect()
    }
}

/// The name servers that a response names for a zone, as an answer or as a referral.
pub(super) fn delegated(response: &ServerResponse, apex: &str) -> BTreeSet<String> {
    let records = response.answers.iter().chain(&response.authority).filter(|record| record.owner == apex);
    records.filter_map(ServerRecord::name_server).map(str::to_owned).collect()
}

/// Asks every server of the parent zone, and the servers that only the parent names.
pub(super) async fn look(
    zone: &DelegatedZone,
    parents: &[SocketAddr],
    roots: &[SocketAddr],
    port: u16,
) -> DelegationSeen {
    let parent = if parents.is_empty() {
        ParentZone::find(&zone.apex, roots, port).await
    } else {
        Ok(ParentZone::of_servers(&zone.apex, parents).await)
    };
    let ParentZone { zone: name, servers } = match parent {
        Ok(parent) => parent,
        Err(error) => return DelegationSeen::NoParent(error),
    };
    // One that cannot be reached for lack of a route says nothing.
    let servers = servers.into_iter().filter(|server| has_route(*server));
    let replies = join_all(servers.map(|server| ask_parent(zone, &name, server))).await;
    let named: BTreeSet<String> = replies.iter().filter_map(|reply| reply.servers(&zone.apex)).flatten().collect();
    let configured: BTreeSet<&str> = zone.servers.iter().map(|server| server.name.as_str()).collect();
    let extra = named.into_iter().filter(|name| !configured.contains(name.as_str()));
    let extra = join_all(extra.map(|name| ask_extra(zone, name, &replies, port))).await;
    DelegationSeen::Parent { zone: name, replies, extra }
}

async fn ask_parent(zone: &DelegatedZone, parent: &str, server: SocketAddr) -> ParentReply {
    let delegation = ask_both(&zone.apex, QuestionType::Ns, server).await;
    let mut reply = ParentReply { server, delegation, looked_up: BTreeMap::new() };
    for name in reply.servers(&zone.apex).unwrap_or_default() {
        // The address of a server beside the zone is a record of the parent itself, which it need not add to a referral.
        if is_below(&name, parent) && !is_below(&name, &zone.apex) && reply.glue(&name).is_empty() {
            let (a, aaaa) =
                tokio::join!(ask_both(&name, QuestionType::A, server), ask_both(&name, QuestionType::Aaaa, server));
            let found = a.iter().chain(&aaaa).flat_map(ServerResponse::addresses).collect();
            reply.looked_up.insert(name, found);
        }
    }
    reply
}

async fn ask_extra(zone: &DelegatedZone, name: String, replies: &[ParentReply], port: u16) -> ExtraServer {
    let mut addresses: Vec<IpAddr> = replies.iter().flat_map(|reply| reply.glue(&name)).collect();
    if addresses.is_empty() {
        let server = SetupServer { name: name.clone(), addresses: Vec::new() };
        addresses = resolved(&server).await.unwrap_or_default();
    }
    let asked = addresses.iter().map(|address| async move {
        let soa = ask(&zone.apex, QuestionType::Soa, SocketAddr::new(*address, port), Protocol::Udp).await;
        is_authority(&soa)
    });
    let asked = join_all(asked).await;
    ExtraServer { name, has_authority: (!asked.is_empty()).then(|| asked.contains(&true)) }
}

/// True if a name is a zone or lies in it.
fn is_below(name: &str, zone: &str) -> bool {
    zone == "." || name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// Judges the delegation of one zone.
pub(super) fn judge(zone: &DelegatedZone, seen: &DelegationSeen) -> Vec<Diagnosis> {
    let (parent, replies, extra) = match seen {
        DelegationSeen::NoParent(error) => return vec![no_parent(zone, error)],
        DelegationSeen::Parent { zone, replies, extra } => (zone, replies, extra),
    };
    let mut diagnoses = Vec::new();
    for reply in replies {
        let mut found = judge_reply(zone, parent, reply);
        if found.is_empty() {
            let names: Vec<String> = reply.servers(&zone.apex).unwrap_or_default().into_iter().collect();
            let message = format!("{} delegates to {}, with the addresses needed", reply.server, names.join(", "));
            found.push(Diagnosis::ok(DoctorSection::Delegation, &zone.apex, message));
        }
        diagnoses.append(&mut found);
    }
    diagnoses.extend(extra.iter().map(|extra| judge_extra(zone, parent, extra)));
    if replies.is_empty() {
        let message = format!(
            "no server of the parent zone {parent} can be reached from here; name one by `--parent ADDRESS[:PORT]`, or run \
             `daymark doctor` on a machine that reaches it"
        );
        diagnoses.push(Diagnosis::warn(DoctorSection::Delegation, &zone.apex, Symptom::ParentUnreachable, message));
    }
    diagnoses
}

fn no_parent(zone: &DelegatedZone, error: &NoParent) -> Diagnosis {
    let message = format!(
        "{error}, so the delegation is not looked at; name a server of the parent zone by `--parent ADDRESS[:PORT]`"
    );
    Diagnosis::warn(DoctorSection::Delegation, &zone.apex, Symptom::ParentUnreachable, message)
}

fn judge_reply(zone: &DelegatedZone, parent: &str, reply: &ParentReply) -> Vec<Diagnosis> {
    let ParentReply { server, delegation, .. } = reply;
    let apex = &zone.apex;
    let response = match delegation {
        Ok(response) => response,
        Err(failure) => {
            let message = format!(
                "{server}, a server of the parent zone {parent}, does not answer ({}); ask its operator, or name another by \
                 `--parent`",
                cause(failure)
            );
            return vec![fail(apex, Symptom::ParentUnreachable, message)];
        }
    };
    if !matches!(response.code, DnsCode::Success | DnsCode::NoSuchName) {
        let message = format!(
            "{server} answers {} for the parent zone {parent}; name a server of that zone by `--parent`",
            response.code
        );
        return vec![fail(apex, Symptom::ParentUnreachable, message)];
    }
    let named = delegated(response, apex);
    if named.is_empty() {
        let records: Vec<String> = zone.servers.iter().map(|server| format!("`{apex}. NS {}.`", server.name)).collect();
        let message = format!(
            "{server} has no delegation of it in {parent}, so no resolver asks its name servers; add {} to {parent}",
            records.join(", ")
        );
        return vec![fail(apex, Symptom::NoDelegation, message)];
    }
    let mut found = Vec::new();
    let missing: Vec<&str> =
        zone.servers.iter().map(|server| server.name.as_str()).filter(|name| !named.contains(*name)).collect();
    if !missing.is_empty() {
        let message = format!(
            "{server} does not delegate to {}, which the configuration has; add `{apex}. NS {}.` to {parent}, or remove it from \
             `nameservers`",
            missing.join(", "),
            missing[0]
        );
        found.push(Diagnosis::warn(DoctorSection::Delegation, apex, Symptom::DelegationDiffers, message));
    }
    found.extend(named.iter().filter_map(|name| judge_glue(zone, parent, reply, name)));
    found
}

/// Compares the addresses that the parent has for a name server with those of the configuration.
fn judge_glue(zone: &DelegatedZone, parent: &str, reply: &ParentReply, name: &str) -> Option<Diagnosis> {
    let ParentReply { server, .. } = reply;
    let glue = reply.glue(name);
    let configured: BTreeSet<IpAddr> =
        zone.servers.iter().filter(|known| known.name == name).flat_map(|known| known.addresses.clone()).collect();
    if glue.is_empty() {
        // A server elsewhere is found by its own zone.
        if !is_below(name, parent) {
            return None;
        }
        let kind = if is_below(name, &zone.apex) { "glue" } else { "address" };
        let message = format!(
            "{server} has no {kind} for {name}, so no resolver finds that server; add {} to {parent}",
            records(name, &configured)
        );
        return Some(fail(&zone.apex, Symptom::NoGlue, message));
    }
    (!configured.is_empty() && glue != configured).then(|| {
        let message = format!(
            "{server} has the address {} for {name}, and the configuration has {}; set both to the addresses at which the server \
             listens",
            list(&glue),
            list(&configured)
        );
        fail(&zone.apex, Symptom::GlueDiffers, message)
    })
}

/// The address records of a name, as in a zone file.
fn records(name: &str, addresses: &BTreeSet<IpAddr>) -> String {
    let records: Vec<String> = addresses
        .iter()
        .map(|address| format!("`{name}. {} {address}`", if address.is_ipv4() { "A" } else { "AAAA" }))
        .collect();
    if records.is_empty() { format!("an A or AAAA record of {name}") } else { records.join(", ") }
}

fn judge_extra(zone: &DelegatedZone, parent: &str, extra: &ExtraServer) -> Diagnosis {
    let ExtraServer { name, has_authority } = extra;
    let apex = &zone.apex;
    match has_authority {
        Some(true) => {
            let message = format!(
                "{parent} delegates also to {name}, which answers with authority and is not in the configuration; add it to \
                 `nameservers`, or remove it from {parent}"
            );
            Diagnosis::warn(DoctorSection::Delegation, apex, Symptom::DelegationDiffers, message)
        }
        Some(false) => {
            let message = format!(
                "{parent} delegates to {name}, which is lame: it does not answer for {apex} with authority; remove it from \
                 {parent}, or run Daymark there"
            );
            fail(apex, Symptom::Lame, message)
        }
        None => {
            let message = format!("{parent} delegates to {name}, which has no address; remove it from {parent}");
            fail(apex, Symptom::Lame, message)
        }
    }
}

fn fail(subject: &str, symptom: Symptom, message: String) -> Diagnosis {
    Diagnosis::fail(DoctorSection::Delegation, subject, symptom, message)
}
