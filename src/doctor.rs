//! `daymark doctor`: looks at a whole setup from outside and from inside, and says of each part if it is right or what to do.
//!
//! ```text
//! configuration ─> look (sockets, files) ─> seen ─> judge (pure) ─> diagnoses ─> report
//! ```
//!
//! Each section has a file with these two halves. A judgement knows the configuration and what was seen, and touches nothing. The
//! sections look at the same time, and each ends within its limit. This module changes nothing anywhere, and does not know how a
//! report is printed.

mod cloudflare;
mod delegation;
mod diagnosis;
mod failover;
#[cfg(test)]
mod fixtures;
mod hosts;
mod local;
mod name_servers;
mod nodes;
mod parent;
mod resolvers;
mod serials;
mod setup;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use daymark_config::{Finding, ProviderConfig};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use self::diagnosis::Symptom;
pub use self::diagnosis::{Diagnosis, DoctorReport, DoctorSection, Level};
use self::name_servers::ZoneSeen;
pub use self::setup::{DoctorTargets, ExaminedSetup};

/// The time that one section may take to look.
const SECTION_TIMEOUT: Duration = Duration::from_secs(45);
/// The number of the form of the report.
const FORMAT: u32 = 1;

/// Looks at everything, and judges it. `looked_at` is called with each section that has ended its look.
pub async fn examine(setup: &ExaminedSetup, looked_at: impl Fn(DoctorSection)) -> DoctorReport {
    let at = hosts::now();
    let begun = Instant::now();
    let diagnoses = look_and_judge(setup, &looked_at).await;
    let level = diagnoses.iter().map(|diagnosis| diagnosis.level).max().unwrap_or(Level::Ok);
    DoctorReport {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        level,
        diagnoses,
    }
}

async fn look_and_judge(setup: &ExaminedSetup, looked_at: &impl Fn(DoctorSection)) -> Vec<Diagnosis> {
    let ExaminedSetup { config, pools, zones, targets } = setup;
    let is_remote = config.providers.iter().any(ProviderConfig::is_remote);
    let of_config = config.clone();
    let delegations = zones.iter().map(|zone| delegation::look(zone, &targets.parents, &targets.roots, targets.port));
    let servers = zones.iter().map(|zone| name_servers::look(zone, targets.port));
    let (delegations, servers, resolvers, nodes, hosts, local, providers) = tokio::join!(
        section(DoctorSection::Delegation, looked_at, join_all(delegations)),
        section(DoctorSection::NameServers, looked_at, join_all(servers)),
        section(DoctorSection::Resolvers, looked_at, resolvers::look(pools, &targets.resolv_conf, &targets.resolvers)),
        section(DoctorSection::Nodes, looked_at, nodes::look(pools)),
        section(DoctorSection::Hosts, looked_at, hosts::look(config, &targets.host_apis)),
        section(DoctorSection::Local, looked_at, tokio::task::spawn_blocking(move || local::look(&of_config))),
        section(DoctorSection::Cloudflare, looked_at, async {
            if is_remote { Some(cloudflare::look(config).await) } else { None }
        }),
    );
    let now = hosts::now();
    let mut diagnoses = Vec::new();
    diagnoses.extend(or_unfinished(delegations, |seen| {
        zones.iter().zip(&seen).flat_map(|(zone, seen)| delegation::judge(zone, seen)).collect()
    }));
    let answers = servers.as_ref().map(|seen| seen.iter().flat_map(name_servers::answers).collect());
    let answers: BTreeMap<_, _> = answers.unwrap_or_default();
    diagnoses.extend(or_unfinished(servers, |seen: Vec<ZoneSeen>| {
        zones.iter().zip(&seen).flat_map(|(zone, seen)| name_servers::judge(zone, pools, seen, now)).collect()
    }));
    let has_zones = !zones.is_empty();
    diagnoses.extend(or_unfinished(resolvers, |seen| resolvers::judge(pools, &seen, &answers, has_zones)));
    diagnoses.extend(or_unfinished(nodes, |seen| nodes::judge(&seen, now)));
    diagnoses.extend(or_unfinished(hosts, |seen| hosts::judge(config, &seen)));
    diagnoses.extend(or_unfinished(local, |seen| local::judge(config, &seen.unwrap_or_default())));
    diagnoses.extend(or_unfinished(providers, |seen| seen.iter().flat_map(cloudflare::judge).collect()));
    diagnoses.extend(failover::judge(config));
    let warnings = remaining_warnings(setup, &diagnoses);
    diagnoses.extend(warnings);
    diagnoses
}

/// A section that did not end in time.
struct Unfinished(DoctorSection);

/// Bounds the look of a section.
async fn section<T>(
    section: DoctorSection,
    looked_at: &impl Fn(DoctorSection),
    look: impl Future<Output = T>,
) -> Result<T, Unfinished> {
    let seen = timeout(SECTION_TIMEOUT, look).await;
    looked_at(section);
    seen.map_err(|_| Unfinished(section))
}

fn or_unfinished<T>(seen: Result<T, Unfinished>, judge: impl FnOnce(T) -> Vec<Diagnosis>) -> Vec<Diagnosis> {
    match seen {
        Ok(seen) => judge(seen),
        Err(Unfinished(section)) => {
            let limit = SECTION_TIMEOUT.as_secs();
            let message = format!("the look at this section did not end within {limit} s; run `daymark doctor` again");
            vec![Diagnosis::fail(section, "doctor", Symptom::Incomplete, message)]
        }
    }
}

/// The warnings of the configuration that no section has given.
fn remaining_warnings(setup: &ExaminedSetup, given: &[Diagnosis]) -> Vec<Diagnosis> {
    let faults: Vec<&Diagnosis> = given.iter().filter(|diagnosis| diagnosis.level != Level::Ok).collect();
    // A section adds what to do to a warning, and the configuration adds the place.
    let is_given = |warning: &Finding| {
        faults.iter().any(|fault| fault.message.contains(&warning.message) || warning.message.contains(&fault.message))
    };
    let warnings = setup.config.warnings.iter().filter(|warning| !is_given(warning));
    let diagnosis = |warning: &Finding| {
        let message = format!("{warning}; change this key, or leave it if that is wanted");
        Diagnosis::warn(DoctorSection::Configuration, warning.key.clone(), Symptom::ConfigurationWarning, message)
    };
    warnings.map(diagnosis).collect()
}
