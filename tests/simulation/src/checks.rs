//! The checks after every event and after the last fault.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{Grade, OverrideKind, QuorumState, Target};
use fastrand::Rng;

use crate::drains::{self, Drains};
use crate::ending::Ending;
use crate::expiry::Expiry;
use crate::faults::{Fault, NodeState};
use crate::simulation::{Setup, Simulation};
use crate::writers;

/// The milliseconds for which an answer may have only dead targets while a host with a quorum knows a better one. In this time
/// the others notice that a host is unreachable, and the news of it spreads.
pub const MAX_STALE: u64 = 8_000;
/// The milliseconds without faults after which all hosts must agree.
pub const SETTLE: u64 = 10_000;
/// The milliseconds for which faults go on.
pub const FAULT_PERIOD: u64 = 40_000;

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The milliseconds since the beginning.
    pub at: u64,
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} ms: {}", self.at, self.message)
    }
}

/// Runs one seed to its end, or to the first violation, and reports each fault.
pub fn run_seed(setup: Setup, seed: u64, mut report: impl FnMut(u64, &str)) -> Result<(), Violation> {
    let mut simulation = Simulation::new(setup, seed);
    let mut faults = Rng::with_seed(seed ^ 0x5eed);
    let began = simulation.now;
    let mut checker = Checker::new(&simulation);
    let mut next = simulation.now + 8_000;
    while next < began + FAULT_PERIOD {
        checker.run(&mut simulation, began, next)?;
        let fault = Fault::draw(&mut faults, setup.hosts, simulation.nodes.len());
        report(simulation.now - began, &fault.to_string());
        let forbidden = checker.drains.forbidden(&simulation, &fault);
        simulation.apply(&fault);
        drains::check_refused(&simulation, &forbidden)
            .map_err(|message| Violation { at: simulation.now - began, message })?;
        next += faults.u64(1..3_000);
    }
    // Some faults remain for a while after the last one, and are healed then.
    for ending in [Ending::draw(&mut faults, setup.hosts), Ending::Healed] {
        report(simulation.now - began, &ending.to_string());
        simulation.heal();
        ending.set(&mut simulation);
        let end = simulation.now + SETTLE;
        checker.run(&mut simulation, began, end)?;
        ending.check(&mut simulation).map_err(|message| Violation { at: simulation.now - began, message })?;
    }
    Ok(())
}

/// Checks all hosts after each event.
struct Checker {
    /// For each host, the time since when its answer has only dead targets though a host knows a better one.
    wrong_since: Vec<Option<u64>>,
    drains: Drains,
    expiry: Expiry,
}

impl Checker {
    fn new(simulation: &Simulation) -> Self {
        let (drains, expiry) = (Drains::new(simulation), Expiry::new(simulation));
        Self { wrong_since: vec![None; simulation.hosts.len()], drains, expiry }
    }

    fn run(&mut self, simulation: &mut Simulation, began: u64, until: u64) -> Result<(), Violation> {
        while simulation.step(until) {
            self.check(simulation).map_err(|message| Violation { at: simulation.now - began, message })?;
        }
        Ok(())
    }

    fn check(&mut self, simulation: &mut Simulation) -> Result<(), String> {
        writers::check(simulation)?;
        self.drains.check(simulation)?;
        self.expiry.check(simulation)?;
        let known = known_to_a_quorum(simulation);
        for host in 0..simulation.hosts.len() {
            let now = simulation.now;
            let name = simulation.hosts[host].name().clone();
            let Some(answer) = simulation.hosts[host].answer(now) else {
                self.wrong_since[host] = None;
                continue;
            };
            if answer.members.is_empty() {
                return Err(format!("{name} has an empty answer"));
            }
            let is_dead = |address: IpAddr| state(simulation, address) == Some(NodeState::Dead);
            let all_dead = answer.members.iter().all(|member| is_dead(member.address));
            let forced = overridden(simulation, host, OverrideKind::Force);
            let is_forced = answer.members.iter().any(|member| forced.contains(&member.address));
            let has_quorum = simulation.hosts[host]
                .running
                .as_ref()
                .is_some_and(|running| running.engine.quorum_state() == QuorumState::Quorum);
            let drained = overridden(simulation, host, OverrideKind::Drain);
            let has = |address: &IpAddr| has(simulation, host, *address);
            let knows_better = known.iter().any(|address| !drained.contains(address) && has(address));
            if !(all_dead && has_quorum && knows_better) || is_forced {
                self.wrong_since[host] = None;
                continue;
            }
            let since = *self.wrong_since[host].get_or_insert(now);
            if now - since > MAX_STALE {
                return Err(format!("{name} has answered with only dead nodes for {} ms", now - since));
            }
        }
        Ok(())
    }
}

/// The addresses of ready nodes that some host with a quorum observes as ready itself.
fn known_to_a_quorum(simulation: &Simulation) -> BTreeSet<IpAddr> {
    let mut known = BTreeSet::new();
    for running in simulation.hosts.iter().filter_map(|host| host.running.as_ref()) {
        if running.engine.quorum_state() == QuorumState::Quorum && !running.engine.is_isolated() {
            let found = running.engine.healths().filter(|(_, health)| health.grade() == Grade::Ready);
            known.extend(found.map(|(target, _)| target.address));
        }
    }
    known.retain(|address| state(simulation, *address) == Some(NodeState::Ready));
    known
}

pub(crate) fn overridden(simulation: &Simulation, host: usize, kind: OverrideKind) -> BTreeSet<IpAddr> {
    let Some(running) = &simulation.hosts[host].running else { return BTreeSet::new() };
    let is_on = |target: &Target| {
        running.engine.overrides().any(|(_, node, active)| *node == target.node && active.kind == kind)
    };
    simulation
        .nodes
        .iter()
        .map(|(target, _)| target)
        .filter(|target| is_on(target))
        .map(|target| target.address)
        .collect()
}

/// True if a node is configured on a running host.
pub(crate) fn has(simulation: &Simulation, host: usize, address: IpAddr) -> bool {
    let Some(running) = &simulation.hosts[host].running else { return false };
    running.engine.healths().any(|(target, _)| target.address == address)
}

pub(crate) fn state(simulation: &Simulation, address: IpAddr) -> Option<NodeState> {
    simulation.nodes.iter().find(|(target, _)| target.address == address).map(|(_, state)| *state)
}
