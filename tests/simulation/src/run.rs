//! One run of a seed: a healthy start, forty seconds of faults, and two ends at which the hosts must agree.

use std::fmt;

use fastrand::Rng;

use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::invariants::{Invariants, drains};
use crate::remaining_fault::RemainingFault;
use crate::setup::Setup;

/// Milliseconds after the end of the faults in which all hosts agree.
pub const AGREEMENT_TIME: u64 = 10_000;
/// Milliseconds during which faults are injected, and the healthy start before them.
pub const FAULT_TIME: u64 = 40_000;
/// Milliseconds before the first fault.
const HEALTHY_START: u64 = 8_000;

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Milliseconds since the start of the run.
    pub at: u64,
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} ms: {}", self.at, self.message)
    }
}

/// Runs one seed, and reports each fault with its time. The first violation ends the run.
pub fn run(setup: Setup, seed: u64, mut report: impl FnMut(u64, &str)) -> Result<(), Violation> {
    let mut run = Run::new(setup, seed);
    let mut rng = Rng::with_seed(seed ^ 0x5eed);
    let mut next = HEALTHY_START;
    while next < FAULT_TIME {
        run.run_until(next)?;
        let fault = Fault::draw(&mut rng, &setup);
        report(run.elapsed(), &fault.to_string());
        let impossible = run.invariants.drains.impossible(&run.cluster, &fault);
        run.cluster.inject(&fault);
        drains::check_refused(&run.cluster, &impossible).map_err(|message| run.violation(message))?;
        next += rng.u64(1..3_000);
    }
    // One fault remains for a while, and then ends too.
    for remaining in [RemainingFault::draw(&mut rng, setup.hosts), RemainingFault::None] {
        report(run.elapsed(), &remaining.to_string());
        run.cluster.heal();
        remaining.inject(&mut run.cluster);
        run.run_until(run.elapsed() + AGREEMENT_TIME)?;
        run.check_end(&remaining)?;
    }
    Ok(())
}

struct Run {
    cluster: Cluster,
    started_at: u64,
    invariants: Invariants,
}

impl Run {
    fn new(setup: Setup, seed: u64) -> Self {
        let cluster = Cluster::with(setup, seed);
        Self { started_at: cluster.now, invariants: Invariants::new(&cluster), cluster }
    }

    /// Runs for `elapsed` milliseconds from the start, and checks the invariants after each event.
    fn run_until(&mut self, elapsed: u64) -> Result<(), Violation> {
        while self.cluster.step(self.started_at + elapsed) {
            self.invariants.check(&mut self.cluster).map_err(|message| self.violation(message))?;
        }
        Ok(())
    }

    /// Checks the end of a fault. A change of a node may be on its way between the hosts just then, so they have a second more.
    fn check_end(&mut self, remaining: &RemainingFault) -> Result<(), Violation> {
        let last = self.elapsed() + 1_000;
        while let Err(message) = remaining.check(&mut self.cluster) {
            if self.elapsed() >= last {
                return Err(self.violation(message));
            }
            self.run_until(self.elapsed() + 100)?;
        }
        Ok(())
    }

    fn elapsed(&self) -> u64 {
        self.cluster.now - self.started_at
    }

    fn violation(&self, message: String) -> Violation {
        Violation { at: self.elapsed(), message }
    }
}
