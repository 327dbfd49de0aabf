//! The name through resolvers, as clients ask: the answer, the TTL seen, private addresses left out, and A beside AAAA.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use daymark_config::PoolConfig;
use daymark_files::error_chain;
use daymark_resolver::{DnsCode, Question, QuestionType, ServerResponse, name_servers, query_whole};
use futures_util::future::join_all;

use super::diagnosis::{Diagnosis, DoctorSection, Symptom};
use super::name_servers::{Response, cause, foreign, is_partial, list};

/// The lookups at all resolvers.
#[derive(Clone, Debug, Default)]
pub(super) struct ResolversSeen {
    /// The error of the file that names the resolvers of this machine.
    pub(super) unreadable: Option<String>,
    /// One for each resolver and pool.
    pub(super) lookups: Vec<LookupSeen>,
}

/// The name of one pool, asked of one resolver.
#[derive(Clone, Debug)]
pub(super) struct LookupSeen {
    /// The resolver.
    pub(super) resolver: SocketAddr,
    /// The name of the pool.
    pub(super) pool: String,
    /// Its IPv4 addresses.
    pub(super) a: Response,
    /// Its IPv6 addresses.
    pub(super) aaaa: Response,
}

/// Asks the resolvers of this machine and those that are given for each pool, with recursion.
pub(super) async fn look(pools: &[PoolConfig], resolv_conf: &Path, given: &[SocketAddr]) -> ResolversSeen {
    let (mut resolvers, unreadable) = match name_servers(resolv_conf) {
        Ok(resolvers) => (resolvers, None),
        Err(error) => (Vec::new(), Some(error_chain(&error))),
    };
    for resolver in given {
        if !resolvers.contains(resolver) {
            resolvers.push(*resolver);
        }
    }
    let pairs =
        resolvers.iter().flat_map(|resolver| pools.iter().map(move |pool| (*resolver, pool.pool.name.to_string())));
    let lookups = join_all(pairs.map(|(resolver, pool)| look_up(resolver, pool))).await;
    ResolversSeen { unreadable, lookups }
}

async fn look_up(resolver: SocketAddr, pool: String) -> LookupSeen {
    let ask = |qtype| {
        let question = Question { name: pool.clone(), qtype, recursion: true };
        async move { query_whole(&question, resolver).await }
    };
    let (a, aaaa) = tokio::join!(ask(QuestionType::A), ask(QuestionType::Aaaa));
    LookupSeen { resolver, pool, a, aaaa }
}

/// Judges the lookups. `answers` has the addresses that the name servers give for each pool, if any of them answered.
pub(super) fn judge(
    pools: &[PoolConfig],
    seen: &ResolversSeen,
    answers: &BTreeMap<String, BTreeSet<IpAddr>>,
    serves: bool,
) -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    if let Some(error) = &seen.unreadable {
        let message = format!("{error}; name the resolvers of this machine there, or another file by `--resolv-conf`");
        diagnoses.push(Diagnosis::warn(DoctorSection::Resolvers, "this machine", Symptom::Incomplete, message));
    }
    for lookup in &seen.lookups {
        let Some(config) = pools.iter().find(|config| config.pool.name.as_str() == lookup.pool) else { continue };
        let targets = || config.pool.targets().map(|target| target.address).collect();
        let expected = answers.get(&lookup.pool).cloned().filter(|answer| !answer.is_empty()).unwrap_or_else(targets);
        diagnoses.extend(judge_lookup(config, lookup, &expected, serves));
    }
    diagnoses
}

fn judge_lookup(config: &PoolConfig, lookup: &LookupSeen, expected: &BTreeSet<IpAddr>, serves: bool) -> Vec<Diagnosis> {
    let label = format!("{} {}", lookup.resolver, lookup.pool);
    let seen: BTreeSet<IpAddr> =
        [&lookup.a, &lookup.aaaa].into_iter().flatten().flat_map(ServerResponse::addresses).collect();
    if let Some(filtered) = filtered(&label, lookup, expected, &seen) {
        return vec![filtered];
    }
    if seen.is_empty() {
        return vec![no_address(&label, lookup)];
    }
    let mut found = Vec::new();
    found.extend(disagreement(&label, lookup, expected));
    let foreign = foreign(config, &seen);
    if !foreign.is_empty() {
        let message = format!(
            "answers with {}, which no node of this configuration has; look for a record of the name in the resolver or in a zone \
             that it prefers",
            list(&foreign)
        );
        found.push(fail(&label, Symptom::ForeignAddress, message));
    } else if seen.is_disjoint(expected) && !is_partial(config) {
        let message = format!(
            "answers with {}, and the name servers with {}; ask again after {} s, and then look for a cache that keeps more",
            list(&seen),
            list(expected),
            config.pool.ttl.max
        );
        found.push(Diagnosis::warn(DoctorSection::Resolvers, &label, Symptom::AnswersDiffer, message));
    }
    let ttl = ttl(lookup);
    if serves && ttl > config.pool.ttl.max {
        let message = format!(
            "keeps the answer for up to {ttl} s, and `ttl.max` is {} s, so a dead node is answered for longer; remove its minimum \
             of the TTL (`cache-min-ttl`, `min-cache-ttl`)",
            config.pool.ttl.max
        );
        found.push(Diagnosis::warn(DoctorSection::Resolvers, &label, Symptom::TtlRaised, message));
    }
    if found.is_empty() {
        let message = format!("answers {}, TTL {ttl} s; A and AAAA agree", list(&seen));
        found.push(Diagnosis::ok(DoctorSection::Resolvers, label, message));
    }
    found
}

/// The greatest TTL of an address, in seconds.
fn ttl(lookup: &LookupSeen) -> u32 {
    let records = [&lookup.a, &lookup.aaaa].into_iter().flatten().flat_map(|response| &response.answers);
    records.map(|record| record.ttl).max().unwrap_or_default()
}

/// The diagnosis of a resolver that answers, and leaves out the private addresses of the answer.
fn filtered(
    label: &str,
    lookup: &LookupSeen,
    expected: &BTreeSet<IpAddr>,
    seen: &BTreeSet<IpAddr>,
) -> Option<Diagnosis> {
    let private: BTreeSet<IpAddr> = expected.iter().copied().filter(|address| is_private(*address)).collect();
    let families = [&lookup.a, &lookup.aaaa].into_iter().flatten();
    // A failure has other causes. A refusal is dnsmasq's answer to a private address.
    let is_answered = families.clone().next().is_some()
        && families
            .clone()
            .all(|response| matches!(response.code, DnsCode::Success | DnsCode::NoSuchName | DnsCode::Refused));
    let is_whole = expected.difference(seen).all(|missing| is_private(*missing));
    if private.is_empty() || !private.is_disjoint(seen) || !is_answered || !is_whole {
        return None;
    }
    // Some resolvers know nothing of the name; they say so.
    let is_unknown = families.clone().all(|response| response.code == DnsCode::NoSuchName);
    let mend = "exempt the name there (dnsmasq `rebind-domain-ok`, unbound `private-domain`, systemd-resolved and routers by \
                their own setting), or use another resolver";
    let message = if is_unknown {
        format!(
            "says that the name does not exist, though its addresses {} are answered by the name servers; if the parent delegates \
             it, the resolver filters private addresses (rebind protection): {mend}",
            list(&private)
        )
    } else {
        format!(
            "leaves the private addresses {} out of the answer (rebind protection), so clients behind it do not reach the nodes; {mend}",
            list(&private)
        )
    };
    Some(fail(label, Symptom::Filtered, message))
}

fn no_address(label: &str, lookup: &LookupSeen) -> Diagnosis {
    let message = match (&lookup.a, &lookup.aaaa) {
        (Err(failure), Err(_)) => {
            format!("does not answer ({}); start the resolver, or name another one in resolv.conf", cause(failure))
        }
        (Ok(response), _) | (_, Ok(response)) if response.code != DnsCode::Success => format!(
            "answers {}; look at the delegation and the name servers above, and ask the resolver again",
            response.code
        ),
        _ => "answers with no address; look at the name servers above, and ask the resolver again".to_owned(),
    };
    fail(label, Symptom::NoAnswer, message)
}

/// The diagnosis of one family that fails, or that denies the name, while the other has addresses.
fn disagreement(label: &str, lookup: &LookupSeen, expected: &BTreeSet<IpAddr>) -> Option<Diagnosis> {
    let families = [("A", &lookup.a, "AAAA", &lookup.aaaa), ("AAAA", &lookup.aaaa, "A", &lookup.a)];
    families.into_iter().find_map(|(good, present, bad, absent)| {
        present.as_ref().ok().filter(|response| response.addresses().next().is_some())?;
        let fault = match absent {
            Err(failure) => cause(failure),
            Ok(response) if response.code == DnsCode::Success => {
                let is_expected = expected.iter().any(|address| address.is_ipv4() == (bad == "A"));
                let is_empty = response.addresses().next().is_none();
                return (is_expected && is_empty).then(|| missing_family(label, bad));
            }
            Ok(response) => response.code.to_string(),
        };
        let message = format!(
            "answers {good}, but {bad} gives {fault}, so some clients find no address or wait; update the resolver, or exempt the \
             name from its filter"
        );
        Some(fail(label, Symptom::FamiliesDisagree, message))
    })
}

fn missing_family(label: &str, family: &str) -> Diagnosis {
    let message = format!(
        "gives no {family} record, though the name servers do; switch off the filter of {family} records in the resolver, if it is \
         not wanted"
    );
    Diagnosis::warn(DoctorSection::Resolvers, label, Symptom::FamiliesDisagree, message)
}

/// True for an address that resolvers with rebind protection filter: RFC 1918, RFC 6598, RFC 4193, loopback and link-local.
pub(super) fn is_private(address: IpAddr) -> bool {
    let is_shared = |address: Ipv4Addr| address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared(v4),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

fn fail(subject: &str, symptom: Symptom, message: String) -> Diagnosis {
    Diagnosis::fail(DoctorSection::Resolvers, subject, symptom, message)
}
