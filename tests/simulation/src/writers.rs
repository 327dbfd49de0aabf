//! Who may write where only one host may, and for how long two do at once.

use crate::world::World;

/// How many milliseconds two hosts may write at once. Where the former one hears nobody any more and another is heard by the
/// rest, it goes by what it heard last for 5 s, of which 2 s were under way; the other begins after 2 s.
pub const TOGETHER: u64 = 0;

/// Since when each host may write.
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
