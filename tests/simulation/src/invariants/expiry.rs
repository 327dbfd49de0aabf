//! The rules of overrides with an end: none ends too early, and none lasts too long.
//!
//! A host that restarts cannot tell the right time from its own clock. So the rules cover two kinds of hosts: the one that made
//! an override, for as long as it runs, and one that was in contact since its start with a host that knows the right end.
//!
//! The end of an override counts on all hosts, so it may come too early on none. The exception is an override that a host
//! brought back from its state file while no host in contact knew it.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{HybridTimestamp, OverrideEntry, OverrideState};

use crate::cluster::Cluster;
use crate::network::PeerPath;

/// Milliseconds after its start in which a host learns all that the others know.
const LEARNING_TIME: u64 = 6_000;
/// Milliseconds by which an override may seem to last longer: a message takes up to two seconds, and may take two paths.
const MAX_LATE: u64 = 5_000;
/// Milliseconds by which an override may seem to end earlier, since each clock rounds to whole milliseconds.
const MAX_EARLY: u64 = 10;

/// The rule, with the true end of each override and the state of each run.
pub(crate) struct ExpiryInvariant {
    ends: BTreeMap<HybridTimestamp, TrueEnd>,
    /// The overrides that a host had when it started, and that no host in contact knew.
    unconfirmed: BTreeSet<HybridTimestamp>,
    runs: Vec<RunState>,
}

#[derive(Clone, Copy)]
struct TrueEnd {
    at: u64,
    /// The run of the host that made the override.
    run: u64,
}

impl TrueEnd {
    /// Tells if an override that ends at `end` ends in time.
    fn matches(self, end: u64) -> bool {
        (self.at.saturating_sub(MAX_EARLY)..=self.at + MAX_LATE).contains(&end)
    }
}

#[derive(Default)]
struct RunState {
    /// The number of the run; 0 while the host is stopped.
    number: u64,
    started_at: u64,
    /// The hosts that had run for longer, and have been in contact since the start.
    in_contact: BTreeSet<usize>,
}

impl ExpiryInvariant {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self {
            ends: BTreeMap::new(),
            unconfirmed: BTreeSet::new(),
            runs: cluster.hosts.iter().map(|_| RunState::default()).collect(),
        }
    }

    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        for host in 0..cluster.hosts.len() {
            self.update(cluster, host);
        }
        for host in 0..cluster.hosts.len() {
            self.check_own(cluster, host)?;
            self.check_ended(cluster, host)?;
            self.check_restarted(cluster, host)?;
        }
        Ok(())
    }

    fn update(&mut self, cluster: &Cluster, host: usize) {
        let Some(running) = &cluster.hosts[host].running else {
            self.runs[host] = RunState::default();
            return;
        };
        for entry in cluster.hosts[host].override_entries() {
            let is_own = entry.timestamp.host.as_ref() == Some(cluster.hosts[host].name());
            if let Some(at) = end(cluster, host, entry).filter(|_| is_own) {
                let true_end = TrueEnd { at, run: running.number };
                self.ends.entry(entry.timestamp.clone()).or_insert(true_end);
            }
        }
        if self.runs[host].number != running.number {
            let is_learned = |run: &RunState| run.number > 0 && cluster.now - run.started_at > LEARNING_TIME;
            let others = (0..cluster.hosts.len()).filter(|other| *other != host);
            let in_contact = others.filter(|other| is_learned(&self.runs[*other])).collect();
            self.runs[host] = RunState { number: running.number, started_at: cluster.now, in_contact };
        }
        if cluster.now - self.runs[host].started_at <= LEARNING_TIME {
            self.runs[host].in_contact.retain(|other| is_in_contact(cluster, host, *other));
            let in_contact = self.runs[host].in_contact.iter();
            let confirmed: BTreeSet<&HybridTimestamp> = in_contact
                .flat_map(|other| cluster.hosts[*other].override_entries())
                .map(|entry| &entry.timestamp)
                .collect();
            let own = cluster.hosts[host].override_entries().map(|entry| &entry.timestamp);
            self.unconfirmed.extend(own.filter(|timestamp| !confirmed.contains(timestamp)).cloned());
        }
    }

    /// Checks that no override has ended before its time.
    fn check_ended(&self, cluster: &Cluster, host: usize) -> Result<(), String> {
        for entry in cluster.hosts[host].override_entries() {
            if entry.state != OverrideState::Cleared || self.unconfirmed.contains(&entry.timestamp) {
                continue;
            }
            let Some(end) = self.ends.get(&entry.timestamp) else { continue };
            let early = end.at.saturating_sub(cluster.now);
            if early > MAX_EARLY {
                let name = cluster.hosts[host].name();
                return Err(format!("{entry:?} has ended on {name}, {early} ms before its time"));
            }
        }
        Ok(())
    }

    /// Checks that an override ends in time on the host that made it.
    fn check_own(&self, cluster: &Cluster, host: usize) -> Result<(), String> {
        let name = cluster.hosts[host].name();
        for entry in cluster.hosts[host].override_entries() {
            if entry.timestamp.host.as_ref() != Some(name) || entry.active().is_none() {
                continue;
            }
            let Some(end) = self.ends.get(&entry.timestamp) else { continue };
            if end.run == self.runs[host].number && cluster.now > end.at + MAX_LATE {
                return Err(format!("{entry:?} is active on {name}, {} ms after its end", cluster.now - end.at));
            }
        }
        Ok(())
    }

    /// Checks that a host that was in contact with one that knows the right end of an override has learned it.
    fn check_restarted(&self, cluster: &Cluster, host: usize) -> Result<(), String> {
        let run = &self.runs[host];
        if run.number == 0 || !(LEARNING_TIME..LEARNING_TIME + 500).contains(&(cluster.now - run.started_at)) {
            return Ok(());
        }
        for other in &run.in_contact {
            for theirs in cluster.hosts[*other].override_entries() {
                let Some(true_end) = self.ends.get(&theirs.timestamp).copied() else { continue };
                if !end(cluster, *other, theirs).is_some_and(|end| true_end.matches(end)) {
                    continue;
                }
                let mut own_entries = cluster.hosts[host].override_entries();
                let Some(own) = own_entries.find(|own| own.timestamp == theirs.timestamp) else { continue };
                let is_right = match &own.state {
                    OverrideState::Active(_) => end(cluster, host, own).is_some_and(|end| true_end.matches(end)),
                    OverrideState::Cleared => cluster.now + MAX_EARLY >= true_end.at,
                    OverrideState::Reverted(_) => true,
                };
                if !is_right {
                    let name = cluster.hosts[host].name();
                    return Err(format!("{name} has been in contact since its start, and has {own:?} for {theirs:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Tells if two hosts run and reach each other quickly.
fn is_in_contact(cluster: &Cluster, host: usize, other: usize) -> bool {
    let network = &cluster.network;
    let is_cut = network.cut_peer_paths.contains(&PeerPath { from: host, to: other })
        || network.cut_peer_paths.contains(&PeerPath { from: other, to: host });
    let is_disturbed = network.disturbance.loss_percent > 0 || network.disturbance.max_delay_ms > 500;
    !is_disturbed && !is_cut && cluster.hosts[other].running.is_some()
}

/// The end of an active override on a host, by the clock of the simulation.
fn end(cluster: &Cluster, host: usize, entry: &OverrideEntry) -> Option<u64> {
    let until = entry.active()?.until?;
    Some(until.as_millis().saturating_add_signed(-cluster.hosts[host].clock_offset_ms))
}
