//! The rule of the single writer.

use crate::cluster::Cluster;

/// Checks that no two hosts hold the writer lease at once.
///
/// This holds for all faults of paths, hosts and clocks of this simulation: all clocks tick at the same speed, and no message
/// is delayed for more than two seconds.
pub(crate) fn check(cluster: &Cluster) -> Result<(), String> {
    let may_write = cluster.hosts.iter().filter(|host| host.may_write(cluster.now));
    let writers: Vec<&str> = may_write.map(|host| host.name().as_str()).collect();
    if writers.len() > 1 {
        return Err(format!("{} hold the writer lease at once", writers.join(" and ")));
    }
    Ok(())
}
