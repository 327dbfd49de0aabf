//! Checks of overrides that expire.
//!
//! The clock of a host that restarts proves nothing. So this checks a host that has been in touch since its start with one
//! that knows better, and the host on which the override was set while it runs. An expiry counts on every host, so no host
//! may report one too early, unless it has started out of touch with all others.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{HybridTimestamp, OverrideEntry, OverrideState};

use crate::simulation::Simulation;

/// Milliseconds after its start until a host has received everything that the others know.
const IN_TOUCH_AFTER: u64 = 6_000;
/// Milliseconds for which an override may last too long: a message takes up to two seconds on each of two paths.
const MAX_LATE: u64 = 5_000;
/// Milliseconds by which an override may end too early, since several clocks round its times to milliseconds.
const MAX_EARLY: u64 = 10;

/// The true ends of the overrides, and the hosts from which each run of a host can know them.
pub(crate) struct Expiry {
    /// The true end of each override.
    ends: BTreeMap<HybridTimestamp, TrueEnd>,
    /// The overrides that a host remembered when it started, and that no host in touch with it knew.
    unshared: BTreeSet<HybridTimestamp>,
    runs: Vec<Run>,
}

/// The end of an override by the clock of the host on which it was set.
struct TrueEnd {
    at: u64,
    /// The run of that host.
    run: u64,
}

#[derive(Default)]
struct Run {
    number: u64,
    began: u64,
    /// The hosts that ran for longer, and have been in touch ever since.
    in_touch: BTreeSet<usize>,
}

impl Expiry {
    pub(crate) fn new(simulation: &Simulation) -> Self {
        Self {
            ends: BTreeMap::new(),
            unshared: BTreeSet::new(),
            runs: simulation.hosts.iter().map(|_| Run::default()).collect(),
        }
    }

    pub(crate) fn check(&mut self, simulation: &Simulation) -> Result<(), String> {
        for host in 0..simulation.hosts.len() {
            self.update(simulation, host);
        }
        for host in 0..simulation.hosts.len() {
            self.check_own(simulation, host)?;
            self.check_over(simulation, host)?;
            self.check_restarted(simulation, host)?;
        }
        Ok(())
    }

    fn update(&mut self, simulation: &Simulation, host: usize) {
        let Some(running) = &simulation.hosts[host].running else {
            self.runs[host] = Run::default();
            return;
        };
        for (timestamp, end) in
            entries(simulation, host).filter_map(|entry| Some((&entry.timestamp, ends(simulation, host, entry)?)))
        {
            if timestamp.host.as_ref() == Some(simulation.hosts[host].name()) && !self.ends.contains_key(timestamp) {
                self.ends.insert(timestamp.clone(), TrueEnd { at: end, run: running.number });
            }
        }
        if self.runs[host].number != running.number {
            let longer = |other: &usize| *other != host && simulation.now - self.runs[*other].began > IN_TOUCH_AFTER;
            let in_touch =
                (0..simulation.hosts.len()).filter(|other| self.runs[*other].number > 0).filter(longer).collect();
            self.runs[host] = Run { number: running.number, began: simulation.now, in_touch };
        }
        if simulation.now - self.runs[host].began <= IN_TOUCH_AFTER {
            let network = &simulation.network;
            let is_cut = |other: usize| network.cut.contains(&(host, other)) || network.cut.contains(&(other, host));
            let is_bad = network.loss > 0 || network.delay.1 > 500;
            self.runs[host]
                .in_touch
                .retain(|other| !is_bad && !is_cut(*other) && simulation.hosts[*other].running.is_some());
            let shared: BTreeSet<&HybridTimestamp> = self.runs[host]
                .in_touch
                .iter()
                .flat_map(|other| entries(simulation, *other))
                .map(|entry| &entry.timestamp)
                .collect();
            let own = entries(simulation, host).map(|entry| &entry.timestamp).filter(|_| self.runs[host].number > 0);
            self.unshared.extend(own.filter(|timestamp| !shared.contains(timestamp)).cloned());
        }
    }

    /// Fails if an override has ended too early.
    fn check_over(&self, simulation: &Simulation, host: usize) -> Result<(), String> {
        let (name, now) = (simulation.hosts[host].name(), simulation.now);
        let over = entries(simulation, host)
            .filter(|entry| entry.state == OverrideState::Cleared && !self.unshared.contains(&entry.timestamp));
        let ends = over.filter_map(|entry| Some((entry, self.ends.get(&entry.timestamp)?.at.saturating_sub(now))));
        match ends.into_iter().find(|(_, early)| *early > MAX_EARLY) {
            Some((entry, early)) => Err(format!("{entry:?} has ended on {name}, {early} ms before its end")),
            None => Ok(()),
        }
    }

    /// Fails if an override lasts too long on the host on which it was set.
    fn check_own(&self, simulation: &Simulation, host: usize) -> Result<(), String> {
        let (name, number) = (simulation.hosts[host].name(), self.runs[host].number);
        for entry in entries(simulation, host)
            .filter(|entry| entry.timestamp.host.as_ref() == Some(name) && entry.active().is_some())
        {
            let late =
                self.ends.get(&entry.timestamp).filter(|end| end.run == number && simulation.now > end.at + MAX_LATE);
            if let Some(end) = late {
                return Err(format!("{entry:?} is active on {name}, {} ms after its end", simulation.now - end.at));
            }
        }
        Ok(())
    }

    /// Fails if a restarted host has a wrong end, though it was in touch with a host that knew the right one.
    fn check_restarted(&self, simulation: &Simulation, host: usize) -> Result<(), String> {
        let run = &self.runs[host];
        if run.number == 0 || !(IN_TOUCH_AFTER..IN_TOUCH_AFTER + 500).contains(&(simulation.now - run.began)) {
            return Ok(());
        }
        let is_right =
            |end: u64, true_end: u64| (true_end.saturating_sub(MAX_EARLY)..=true_end + MAX_LATE).contains(&end);
        for (other, entry) in
            run.in_touch.iter().flat_map(|other| entries(simulation, *other).map(|entry| (*other, entry)))
        {
            let Some(true_end) = self.ends.get(&entry.timestamp) else { continue };
            if !ends(simulation, other, entry).is_some_and(|end| is_right(end, true_end.at)) {
                continue;
            }
            let Some(own) = entries(simulation, host).find(|own| own.timestamp == entry.timestamp) else { continue };
            let is_entry_right = match &own.state {
                OverrideState::Active(_) => ends(simulation, host, own).is_some_and(|end| is_right(end, true_end.at)),
                OverrideState::Cleared => simulation.now + MAX_EARLY >= true_end.at,
                OverrideState::Reverted(_) => true,
            };
            if !is_entry_right {
                let name = simulation.hosts[host].name();
                return Err(format!("{name} has been in touch since its start, and has {own:?} for {entry:?}"));
            }
        }
        Ok(())
    }
}

fn entries(simulation: &Simulation, host: usize) -> impl Iterator<Item = &OverrideEntry> {
    simulation.hosts[host].running.iter().flat_map(|running| running.engine.override_entries().map(|(.., entry)| entry))
}

/// The end of an override on a host, by the true clock.
fn ends(simulation: &Simulation, host: usize, entry: &OverrideEntry) -> Option<u64> {
    let until = entry.active()?.until?;
    Some(until.as_millis().saturating_add_signed(-simulation.hosts[host].ahead))
}
