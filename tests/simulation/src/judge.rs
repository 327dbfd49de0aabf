//! What must hold at every moment, and after the last fault.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{Grade, OverrideKind, QuorumState, Target};
use fastrand::Rng;

use crate::drains::{self, Drains};
use crate::ending::Ending;
use crate::faults::{Fault, State};
use crate::timed::Timed;
use crate::world::{Setup, World};
use crate::writers;

/// How long an answer may hold nothing but dead targets while a host with a quorum knows a better one. It is the time to see
/// that a host is no longer heard, and to hear of it.
pub const BOUND: u64 = 8_000;
/// After so long without faults all hosts agree.
pub const REST: u64 = 10_000;
/// How long faults go on.
pub const TROUBLE: u64 = 40_000;

/// What did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Milliseconds since the beginning.
    pub at: u64,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} ms: {}", self.at, self.what)
    }
}

/// Plays one seed to its end, and tells each fault as it happens. What does not hold ends it.
pub fn play(setup: Setup, seed: u64, mut tell: impl FnMut(u64, &str)) -> Result<(), Violation> {
    let mut world = World::new(setup, seed);
    let mut faults = Rng::with_seed(seed ^ 0x5eed);
    let began = world.now;
    let mut watch = Watch::new(&world);
    let mut next = world.now + 8_000;
    while next < began + TROUBLE {
        watch.run(&mut world, began, next)?;
        let fault = Fault::draw(&mut faults, setup.hosts, world.nodes.len());
        tell(world.now - began, &fault.to_string());
        let hopeless = watch.drains.hopeless(&world, &fault);
        world.happen(&fault);
        drains::refused(&world, &hopeless).map_err(|what| Violation { at: world.now - began, what })?;
        next += faults.u64(1..3_000);
    }
    // What stays for a while after the last fault, and then goes too.
    for ending in [Ending::draw(&mut faults, setup.hosts), Ending::Whole] {
        tell(world.now - began, &ending.to_string());
        world.heal();
        ending.set(&mut world);
        let end = world.now + REST;
        watch.run(&mut world, began, end)?;
        ending.check(&mut world).map_err(|what| Violation { at: world.now - began, what })?;
    }
    Ok(())
}

/// Looks at every answer after every event.
struct Watch {
    /// Since when each host has had nothing but dead targets in its answer though it could know better.
    wrong_since: Vec<Option<u64>>,
    drains: Drains,
    timed: Timed,
}

impl Watch {
    fn new(world: &World) -> Self {
        let (drains, timed) = (Drains::new(world), Timed::new(world));
        Self { wrong_since: vec![None; world.hosts.len()], drains, timed }
    }

    fn run(&mut self, world: &mut World, began: u64, until: u64) -> Result<(), Violation> {
        while world.step(until) {
            self.look(world).map_err(|what| Violation { at: world.now - began, what })?;
        }
        Ok(())
    }

    fn look(&mut self, world: &mut World) -> Result<(), String> {
        writers::judge(world)?;
        self.drains.look(world)?;
        self.timed.look(world)?;
        let known = known_to_a_quorum(world);
        for host in 0..world.hosts.len() {
            let now = world.now;
            let name = world.hosts[host].name().clone();
            let Some(answer) = world.hosts[host].answer(now) else {
                self.wrong_since[host] = None;
                continue;
            };
            if answer.members.is_empty() {
                return Err(format!("{name} answers with nothing"));
            }
            let is_dead = |address: IpAddr| state(world, address) == Some(State::Dead);
            let all_dead = answer.members.iter().all(|member| is_dead(member.address));
            let forced = overridden(world, host, OverrideKind::Force);
            let is_forced = answer.members.iter().any(|member| forced.contains(&member.address));
            let has_quorum =
                world.hosts[host].running.as_ref().is_some_and(|it| it.engine.quorum_state() == QuorumState::Quorum);
            let drained = overridden(world, host, OverrideKind::Drain);
            let has = |address: &IpAddr| has(world, host, *address);
            let knows_better = known.iter().any(|address| !drained.contains(address) && has(address));
            if !(all_dead && has_quorum && knows_better) || is_forced {
                self.wrong_since[host] = None;
                continue;
            }
            let since = *self.wrong_since[host].get_or_insert(now);
            if now - since > BOUND {
                return Err(format!("{name} has answered with dead nodes alone for {} ms", now - since));
            }
        }
        Ok(())
    }
}

/// The addresses of nodes that are ready, and that some host with a quorum finds ready itself.
fn known_to_a_quorum(world: &World) -> BTreeSet<IpAddr> {
    let mut known = BTreeSet::new();
    for running in world.hosts.iter().filter_map(|host| host.running.as_ref()) {
        if running.engine.quorum_state() == QuorumState::Quorum && !running.engine.is_isolated() {
            let found = running.engine.healths().filter(|(_, health)| health.grade() == Grade::Ready);
            known.extend(found.map(|(target, _)| target.address));
        }
    }
    known.retain(|address| state(world, *address) == Some(State::Ready));
    known
}

pub(crate) fn overridden(world: &World, host: usize, kind: OverrideKind) -> BTreeSet<IpAddr> {
    let Some(running) = &world.hosts[host].running else { return BTreeSet::new() };
    let is_on =
        |target: &Target| running.engine.overrides().any(|(_, node, order)| *node == target.node && order.kind == kind);
    world.nodes.iter().map(|(target, _)| target).filter(|target| is_on(target)).map(|it| it.address).collect()
}

/// Whether a node is configured on a host that runs.
pub(crate) fn has(world: &World, host: usize, address: IpAddr) -> bool {
    let Some(running) = &world.hosts[host].running else { return false };
    running.engine.healths().any(|(target, _)| target.address == address)
}

pub(crate) fn state(world: &World, address: IpAddr) -> Option<State> {
    world.nodes.iter().find(|(target, _)| target.address == address).map(|(_, state)| *state)
}
