//! The hosts by their admin APIs: reachable or not, clocks, versions, configurations, and alarms.

use std::collections::BTreeSet;
use std::time::Duration;

use daymark_api::{HostsStatus, PeerMismatch, Status};
use daymark_config::{Config, PoolConfig};
use daymark_decision::{HostName, Moment};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::diagnosis::{Diagnosis, DoctorSection, Symptom};
use super::serials::length;
use crate::admin_client::{http_client, innermost, parsed};

/// The time for the status of one host.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of a status.
const MAX_STATUS_BYTES: usize = 16 << 20;
/// Clocks may differ by so much, in seconds.
const MAX_CLOCK_DIFFERENCE: i64 = 5;
/// From here on a difference is a failure, in seconds: tokens and new certificates are refused then.
const WRONG_CLOCK: i64 = 300;

/// The status of one host, as its API gave it.
#[derive(Clone, Debug)]
pub(super) struct HostSeen {
    /// The address of the API, as HOST:PORT.
    pub(super) api: String,
    /// True if the address was not given, but is that of the configuration.
    pub(super) is_assumed: bool,
    /// The status, or the reason for none as a clause.
    pub(super) status: Result<Box<Status>, String>,
    /// The time of this machine when the status was made.
    pub(super) asked_at: Moment,
}

/// Asks the APIs that are given, or that of the configuration on this machine.
pub(super) async fn look(config: &Config, apis: &[String]) -> Vec<HostSeen> {
    let is_assumed = apis.is_empty();
    let apis = if is_assumed { vec![own_api(config)] } else { apis.to_vec() };
    join_all(apis.into_iter().map(|api| async move {
        let before = now();
        let status = status(&api).await;
        let half = now().since(before) / 2;
        HostSeen { api, is_assumed, status, asked_at: before.after(half) }
    }))
    .await
}

/// The address of the API of the configuration, as a client on this machine reaches it.
fn own_api(config: &Config) -> String {
    let mut listen = config.admin.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    listen.to_string()
}

/// The time of this machine.
pub(super) fn now() -> Moment {
    Moment::from_millis(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default())
}

async fn status(api: &str) -> Result<Box<Status>, String> {
    let cause = |error: &reqwest::Error| {
        if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) }
    };
    let client = http_client(STATUS_TIMEOUT).map_err(|error| error.to_string())?;
    let mut response = client.get(format!("http://{api}/api/v1/status")).send().await.map_err(|error| cause(&error))?;
    if !response.status().is_success() {
        return Err(format!("it answers {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_STATUS_BYTES {
            return Err("its answer is too long".to_owned());
        }
    }
    parsed(&body).map_err(|error| format!("it does not answer like Daymark: {error}"))
}

/// Judges what the hosts say of themselves and of each other.
pub(super) fn judge(config: &Config, seen: &[HostSeen]) -> Vec<Diagnosis> {
    let statuses = seen.iter().filter_map(|host| host.status.as_ref().ok()?.hosts.as_ref());
    let asked: BTreeSet<&HostName> = statuses.map(|hosts| &hosts.own).collect();
    let mut diagnoses: Vec<Diagnosis> = seen.iter().flat_map(|host| judge_host(config, host, &asked)).collect();
    diagnoses.extend(versions(seen));
    // Two hosts may say the same of a third.
    let mut known = BTreeSet::new();
    diagnoses.retain(|diagnosis| known.insert((diagnosis.subject.clone(), diagnosis.message.clone())));
    diagnoses
}

fn judge_host(config: &Config, seen: &HostSeen, asked: &BTreeSet<&HostName>) -> Vec<Diagnosis> {
    let HostSeen { api, status, .. } = seen;
    let status = match status {
        Ok(status) => status,
        Err(cause) => return vec![no_daymark(config, seen, cause)],
    };
    let label = label(api, status);
    let mut found = Vec::new();
    found.extend(clock(&label, difference(status.now, seen.asked_at), "this machine's"));
    found.extend(running_configuration(config, status, &label));
    found.extend(status.hosts.iter().flat_map(|hosts| judge_peers(hosts, asked)));
    let alarms = status.alarms.iter().filter(|alarm| !status.hosts.as_ref().is_some_and(|hosts| is_said(hosts, alarm)));
    found.extend(alarms.map(|alarm| {
        let message = format!("alarm: {alarm}; look at `daymark status` of this host");
        Diagnosis::warn(DoctorSection::Hosts, &label, Symptom::Alarm, message)
    }));
    if found.is_empty() {
        let hosts = status.hosts.as_ref().map(|hosts| {
            format!(", {} ({} of {} hosts reachable)", hosts.quorum_state, hosts.reachable(), hosts.members)
        });
        let message = format!(
            "Daymark {} since {}{}; clock, configuration and alarms are in order",
            status.version,
            status.started,
            hosts.unwrap_or_default()
        );
        found.push(Diagnosis::ok(DoctorSection::Hosts, label, message));
    }
    found
}

fn label(api: &str, status: &Status) -> String {
    status.hosts.as_ref().map_or_else(|| api.to_owned(), |hosts| hosts.own.to_string())
}

/// The diagnosis of an API that gives no status. An address that nobody has named may be that of a machine without Daymark.
fn no_daymark(config: &Config, seen: &HostSeen, cause: &str) -> Diagnosis {
    let HostSeen { api, is_assumed, .. } = seen;
    if *is_assumed {
        let hosts = if config.peers.is_some() { "the hosts are" } else { "the host is" };
        let message = format!(
            "no Daymark answers here ({cause}), so {hosts} not looked at from inside; start it, or name the APIs of hosts by \
             `--host-api HOST:PORT`"
        );
        return Diagnosis::warn(DoctorSection::Hosts, api, Symptom::NoDaymark, message);
    }
    let message = format!(
        "no Daymark answers here ({cause}); start it there, and see that `admin.listen` and `admin.allowedHosts` admit this machine"
    );
    Diagnosis::fail(DoctorSection::Hosts, api, Symptom::NoDaymark, message)
}

/// The whole seconds by which a time is ahead of another; below zero, it is behind.
fn difference(one: Moment, other: Moment) -> i64 {
    let millis = |moment: Moment| i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    (millis(one) - millis(other)) / 1000
}

/// The diagnosis of a clock that is ahead of another by these seconds. `whose` is the other, such as `this machine's`.
fn clock(host: &str, ahead: i64, whose: &str) -> Option<Diagnosis> {
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    let message = format!(
        "its clock is {} {direction} {whose}; set both clocks by NTP (`timedatectl set-ntp true`), and restart Daymark where the clock \
         was wrong",
        length(ahead)
    );
    match ahead.abs() {
        WRONG_CLOCK.. => Some(Diagnosis::fail(DoctorSection::Hosts, host, Symptom::ClockApart, message)),
        ahead if ahead > MAX_CLOCK_DIFFERENCE => {
            Some(Diagnosis::warn(DoctorSection::Hosts, host, Symptom::ClockApart, message))
        }
        _ => None,
    }
}

/// The differences between the file and the configuration that a host runs.
fn running_configuration(config: &Config, status: &Status, label: &str) -> Vec<Diagnosis> {
    let differs = |subject: &str, difference: String| {
        let message = format!(
            "{subject} differs from the configuration file: {difference}; give the host this file and reload it (`systemctl reload \
             daymark`), or run `daymark doctor` with its file"
        );
        Diagnosis::fail(DoctorSection::Hosts, label, Symptom::ConfigurationDiffers, message)
    };
    let mut found = Vec::new();
    for PoolConfig { pool, discovery, .. } in &config.pools {
        let Some(running) = status.pools.iter().find(|running| running.name == pool.name) else {
            found.push(differs(pool.name.as_str(), "the host does not have this pool".to_owned()));
            continue;
        };
        let text = |node: &dyn std::fmt::Display, address| format!("{node} {address}");
        let here: BTreeSet<String> = pool.targets().map(|target| text(&target.node, target.address)).collect();
        let there: BTreeSet<String> = running.targets.iter().map(|target| text(&target.node, target.address)).collect();
        if discovery.is_none() && here != there {
            let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect::<Vec<_>>().join(", ");
            let parts = [("the host has", only(&there, &here)), ("the file has", only(&here, &there))];
            let parts =
                parts.iter().filter(|(_, nodes)| !nodes.is_empty()).map(|(who, nodes)| format!("{who} {nodes}"));
            found.push(differs(pool.name.as_str(), parts.collect::<Vec<_>>().join(", ")));
        }
    }
    for running in &status.pools {
        if !config.pools.iter().any(|pool| pool.pool.name == running.name) {
            found.push(differs(running.name.as_str(), "the file does not have this pool".to_owned()));
        }
    }
    found
}

/// True if a diagnosis of [`judge_peers`] says the same as an alarm.
fn is_said(hosts: &HostsStatus, alarm: &str) -> bool {
    let mut unreachable = hosts.peers.iter().filter(|peer| !peer.reachable);
    hosts.mismatches.iter().any(|mismatch| mismatch.message == alarm)
        || unreachable.any(|peer| alarm.starts_with(&format!("host {}: unreachable ", peer.host)))
}

/// Judges what a host says of the others. `asked` are the hosts that were asked themselves.
fn judge_peers(hosts: &HostsStatus, asked: &BTreeSet<&HostName>) -> Vec<Diagnosis> {
    let own = &hosts.own;
    let mut found = Vec::new();
    for peer in &hosts.peers {
        let host = peer.host.as_str();
        if !peer.reachable {
            let message = format!(
                "is unreachable for {own}; start Daymark there, and let UDP pass between the hosts on the port of `peers.listen`"
            );
            found.push(Diagnosis::fail(DoctorSection::Hosts, host, Symptom::HostUnreachable, message));
            continue;
        }
        if asked.contains(&peer.host) && peer.host < *own {
            // That host has said the same of this one.
            continue;
        }
        let ahead = peer.clock_ahead.unwrap_or(SignedDuration::ZERO).as_secs();
        found.extend(clock(host, ahead, &format!("that of {own}")));
        if !peer.differs.is_empty() {
            let pools: Vec<&str> = peer.differs.iter().map(daymark_decision::PoolName::as_str).collect();
            let message = format!(
                "its configuration of {} differs from that of {own}; give all hosts the same file, and reload them",
                pools.join(", ")
            );
            found.push(Diagnosis::fail(DoctorSection::Hosts, host, Symptom::ConfigurationDiffers, message));
        }
        if peer.abstains {
            let message =
                "reaches no node, so it abstains; look at its network, CA and credentials by `daymark status` there";
            found.push(Diagnosis::warn(DoctorSection::Hosts, host, Symptom::Alarm, message));
        }
    }
    let mismatches =
        hosts.mismatches.iter().filter(|known| !matches!(known.mismatch, PeerMismatch::Configuration { .. }));
    found.extend(mismatches.map(|mismatch| {
        let symptom = match mismatch.mismatch {
            PeerMismatch::Version => Symptom::VersionsDiffer,
            _ => Symptom::ConfigurationDiffers,
        };
        let message = format!("{}; docs/hosts.md says what to compare", mismatch.message);
        Diagnosis::fail(DoctorSection::Hosts, own.as_str(), symptom, message)
    }));
    found
}

fn versions(seen: &[HostSeen]) -> Option<Diagnosis> {
    let known: Vec<&Status> = seen.iter().filter_map(|host| host.status.as_deref().ok()).collect();
    let versions: BTreeSet<&str> = known.iter().map(|status| status.version.as_str()).collect();
    (versions.len() > 1).then(|| {
        let each = seen.iter().filter_map(|host| {
            let status = host.status.as_ref().ok()?;
            Some(format!("{} {}", label(&host.api, status), status.version))
        });
        let message = format!(
            "the hosts run different versions: {}; upgrade the older ones",
            each.collect::<Vec<_>>().join(", ")
        );
        Diagnosis::warn(DoctorSection::Hosts, "versions", Symptom::VersionsDiffer, message)
    })
}
