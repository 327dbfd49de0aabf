//! Who takes itself for the one host that writes, and for how long two do at once.

use crate::world::World;

/// How long two hosts may take themselves for the one that writes. The former one hears the others for 5 s after they have
/// said anything last, and what it hears was under way before, over a third host and at the slowest 2 s each way.
pub const TOGETHER: u64 = 17_000;

/// Since when each host takes itself for the one that writes.
pub(crate) struct Writers(Vec<Option<u64>>);

impl Writers {
    pub(crate) fn new(world: &World) -> Self {
        Self(vec![None; world.hosts.len()])
    }

    pub(crate) fn look(&mut self, world: &World) -> Result<(), String> {
        for (host, since) in world.hosts.iter().zip(&mut self.0) {
            let writes = host.running.as_ref().is_some_and(|running| running.engine.writer() == Some(host.name()));
            *since = writes.then(|| since.unwrap_or(world.now));
        }
        let mut since: Vec<u64> = self.0.iter().flatten().copied().collect();
        since.sort_unstable();
        match since.get(1).map(|second| world.now - second) {
            Some(together) if together > TOGETHER => Err(format!("two hosts have written at once for {together} ms")),
            _ => Ok(()),
        }
    }
}
