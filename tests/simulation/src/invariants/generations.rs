//! The rule of generations: none goes back, over restarts and the loss of state files. The SOA serial is the low 32 bits.

use crate::cluster::Cluster;

/// The rule, with the newest generation of each host.
pub(crate) struct GenerationInvariant(Vec<Newest>);

#[derive(Clone, Copy, Default)]
struct Newest {
    generation: u64,
    /// The furthest that the clock of the host was ahead. While it is behind that, a lost or old state file takes the generation
    /// back too.
    max_clock_offset_ms: i64,
}

impl GenerationInvariant {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self(vec![Newest::default(); cluster.hosts.len()])
    }

    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        for (host, newest) in cluster.hosts.iter().zip(&mut self.0) {
            // It cannot know of its later answers before another host tells it.
            if host.running.as_ref().is_some_and(|running| running.is_set_back) {
                continue;
            }
            let generations = host.last_answers().iter().map(|answer| answer.generation);
            let Some(generation) = generations.max() else { continue };
            let has_gone_back = serial(generation).wrapping_sub(serial(newest.generation)).cast_signed() < 0;
            if has_gone_back && host.clock_offset_ms >= newest.max_clock_offset_ms {
                let name = host.name();
                return Err(format!("the generation of {name} went back from {} to {generation}", newest.generation));
            }
            *newest = Newest { generation, max_clock_offset_ms: newest.max_clock_offset_ms.max(host.clock_offset_ms) };
        }
        Ok(())
    }
}

fn serial(generation: u64) -> u32 {
    (generation & u64::from(u32::MAX)).try_into().unwrap_or_default()
}
