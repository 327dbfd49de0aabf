//! Who may write where only one host may.

use crate::world::World;

/// No two hosts may write at once, whatever happens to the paths, the hosts and their clocks, but that these tick alike and that
/// what arrives was under way for two seconds at the most.
pub(crate) fn judge(world: &World) -> Result<(), String> {
    let writers: Vec<&str> =
        world.hosts.iter().filter(|host| host.may_write(world.now)).map(|host| host.name().as_str()).collect();
    if writers.len() > 1 { Err(format!("{} may write at once", writers.join(" and "))) } else { Ok(()) }
}
