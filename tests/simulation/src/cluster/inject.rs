//! The injection of faults into a cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use daymark_decision::{Command, Override};

use super::{Cluster, Event};
use crate::fault::{Fault, NodeOnHost, NodeState, OperatorCommand, StateFile};
use crate::network::Network;

/// Milliseconds within which all hosts reload after a change of the configuration.
const RELOAD_SPREAD: u64 = 3_000;
/// Milliseconds without a host while someone deletes its state file, or puts an old one in its place.
const REPLACING_TIME: u64 = 300;

impl Cluster {
    /// Injects a fault now.
    pub fn inject(&mut self, fault: &Fault) {
        if !fault.is_of_nodes() {
            self.disturbed_at = self.now;
        }
        match *fault {
            Fault::Node { node, state } => self.set_state(node, state),
            Fault::RestartNode { node, shutdown_ms, dead_ms } => {
                self.set_state(node, NodeState::ShuttingDown);
                let dead_at = self.now + shutdown_ms;
                self.schedule(dead_at, Event::NodeState { node, state: NodeState::Dead });
                if let Some(dead_ms) = dead_ms {
                    self.schedule(dead_at + dead_ms, Event::NodeState { node, state: NodeState::Ready });
                }
            }
            Fault::NodePath { path, is_cut } => {
                set(&mut self.network.cut_node_paths, path, is_cut);
                let targets = self.targets.iter_mut().filter(|target| target.node == path.node);
                targets.for_each(|target| target.path_changed_at = self.now);
            }
            Fault::AddressPath { path, is_cut } => {
                set(&mut self.network.cut_address_paths, path, is_cut);
                let targets = self.targets.iter_mut().filter(|target| target.address == path.address);
                targets.for_each(|target| target.path_changed_at = self.now);
            }
            Fault::PeerPath { path, is_cut } => set(&mut self.network.cut_peer_paths, path, is_cut),
            Fault::Disturb(disturbance) => self.network.disturbance = disturbance,
            Fault::Kill(host) => {
                self.hosts.iter_mut().for_each(crate::host::Host::back_up);
                self.hosts[host].kill();
            }
            Fault::Start { host, state_file, clock_offset_ms } => {
                self.hosts[host].clock_offset_ms = clock_offset_ms.unwrap_or(self.hosts[host].clock_offset_ms);
                if state_file == StateFile::Current {
                    self.start_with(host, state_file);
                } else {
                    self.hosts[host].kill();
                    self.schedule(self.now + REPLACING_TIME, Event::Start { host, state_file });
                }
            }
            Fault::SetBack { host, millis } => {
                self.hosts[host].take_snapshot();
                self.schedule(self.now + millis, Event::SetBack { host });
            }
            Fault::ExhaustDescriptors { host, is_exhausted } => self.hosts[host].is_exhausted = is_exhausted,
            Fault::DrainBoth(one, other) => {
                self.command(one, OperatorCommand::DRAIN);
                self.command(other, OperatorCommand::DRAIN);
            }
            Fault::CommandStorm { millis } => {
                self.schedule(self.now, Event::StormCommand { until: self.now + millis });
            }
            Fault::Reload { node } => self.change_configuration(node),
            Fault::Replace { pool } => self.replace_nodes(pool),
            Fault::Rename { host, naming } => {
                self.hosts[host].naming = naming;
                self.schedule(self.now, Event::Reload { host });
            }
            Fault::Command { at, command } => self.command(at, command),
        }
        self.send_messages();
    }

    /// Ends all faults of the network and of the hosts. The nodes stay as they are.
    pub fn heal(&mut self) {
        self.disturbed_at = self.now;
        self.network = Network::healthy();
        self.targets.iter_mut().for_each(|target| target.path_changed_at = self.now);
        for host in 0..self.hosts.len() {
            self.hosts[host].is_exhausted = false;
            self.hosts[host].drop_snapshot();
            if self.hosts[host].running.is_none() {
                self.start(host, true);
            }
        }
        self.send_messages();
    }

    pub(super) fn start(&mut self, host: usize, keeps_state: bool) {
        self.start_with(host, if keeps_state { StateFile::Current } else { StateFile::Lost });
    }

    pub(super) fn start_with(&mut self, host: usize, state_file: StateFile) {
        self.hosts[host].start(self.now, state_file);
        self.begin_probing(host);
    }

    /// Changes the state of a node. If its process ends, each host with a kept connection notices at once.
    pub(super) fn set_state(&mut self, node: usize, state: NodeState) {
        let was_listening = !self.nodes[node].state.is_dead();
        self.nodes[node].set(state, self.now);
        if state != NodeState::Dead || !was_listening {
            return;
        }
        for target in 0..self.targets.len() {
            for host in 0..self.hosts.len() {
                let of_target = self.targets[target];
                if of_target.node == node && !of_target.is_deaf && self.is_reached(host, &of_target) {
                    let run = self.run_of(host);
                    self.schedule(self.now + 1, Event::ConnectionEnded { host, target, run });
                }
            }
        }
    }

    pub(super) fn command(&mut self, at: NodeOnHost, command: OperatorCommand) {
        if self.setup.has_aliases {
            return;
        }
        let target = &self.nodes[at.node].target;
        let pool = target.pool.clone();
        let node = target.node.clone();
        let since = self.hosts[at.host].clock(self.now);
        let command = match command {
            OperatorCommand::Clear => Command::ClearOverride { pool, node },
            OperatorCommand::Set { kind, duration_ms, insist } => {
                let requested = Override {
                    kind,
                    reason: "it is to be".to_owned(),
                    author: "ada".to_owned(),
                    since,
                    until: duration_ms.map(|millis| since.after(Duration::from_millis(millis))),
                    host: None,
                };
                Command::SetOverride { pool, node, requested, insist }
            }
        };
        self.hosts[at.host].command(command, self.now);
    }

    /// Removes a node from the configuration unless it is the last one of its pool, or adds it if it is not there.
    fn change_configuration(&mut self, node: usize) {
        let pool = self.setup.pool_of(node);
        let others = self.configured.iter().filter(|other| self.setup.pool_of(**other) == pool && **other != node);
        let is_removed = others.count() > 0 && self.configured.remove(&node);
        if !is_removed {
            self.configured.insert(node);
        }
        self.has_removed |= is_removed;
        self.reload_all();
    }

    /// Configures the nodes of a pool that were not configured, and no others.
    fn replace_nodes(&mut self, pool: usize) {
        let all: BTreeSet<usize> = (0..self.nodes.len()).filter(|node| self.setup.pool_of(*node) == pool).collect();
        let new: Vec<usize> = all.difference(&self.configured).copied().collect();
        if new.is_empty() {
            return;
        }
        self.configured.retain(|node| !all.contains(node));
        self.configured.extend(new);
        self.has_removed = true;
        self.reload_all();
    }

    fn reload_all(&mut self) {
        for host in 0..self.hosts.len() {
            let at = self.now + self.rng.u64(0..RELOAD_SPREAD);
            self.schedule(at, Event::Reload { host });
        }
    }
}

fn set<T: Ord>(paths: &mut BTreeSet<T>, path: T, is_cut: bool) {
    if is_cut {
        paths.insert(path);
    } else {
        paths.remove(&path);
    }
}
