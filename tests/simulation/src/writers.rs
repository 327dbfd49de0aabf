//! Who takes itself for the one host that writes, and for how long two do at once.

use crate::world::World;

/// How long two hosts may take themselves for the one that writes. Where nobody hears the former one any more, another begins,
/// and nobody tells it. After 5 s without the facts of the others it counts them no more, and 5 s later it is alone; what
/// it heard last was up to 2 s under way.
pub const TOGETHER: u64 = 3_000;

/// Since when each host takes itself for the one that writes.
pub(crate) struct Writers(Vec<Option<u64>>);

impl Writers {
    pub(crate) fn new(world: &World) -> Self {
        Self(vec![None; world.hosts.len()])
    }

    pub(crate) fn look(&mut self, world: &World) -> Result<(), String> {
        for (host, since) in world.hosts.iter().zip(&mut self.0) {
            *since = host.may_write(world.now).then(|| since.unwrap_or(world.now));
        }
        let mut since: Vec<u64> = self.0.iter().flatten().copied().collect();
        since.sort_unstable();
        match since.get(1).map(|second| world.now - second) {
            Some(together) if together > TOGETHER => Err(format!("two hosts have written at once for {together} ms")),
            _ => Ok(()),
        }
    }
}
