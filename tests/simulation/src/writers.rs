//! The check that at most one host may write.

use crate::simulation::Simulation;

/// Fails if two hosts may write at once. This must hold for all faults of the paths, the hosts and their clocks. The clocks run
/// at one speed, and a message that arrives was on its way for at most two seconds.
pub(crate) fn check(simulation: &Simulation) -> Result<(), String> {
    let writers: Vec<&str> = simulation
        .hosts
        .iter()
        .filter(|host| host.may_write(simulation.now))
        .map(|host| host.name().as_str())
        .collect();
    if writers.len() > 1 { Err(format!("{} may write at once", writers.join(" and "))) } else { Ok(()) }
}
