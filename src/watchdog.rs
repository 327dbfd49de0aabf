//! Sees parts that are stuck: each beats, and `/livez` fails while one has been silent for too long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The parts that have to beat.
#[derive(Clone, Debug, Default)]
pub struct Watchdog(Arc<Mutex<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    next: u64,
    watched: BTreeMap<u64, Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    last: Instant,
    allowed: Duration,
}

/// One part's duty to beat; dropped, the part is not watched any more.
#[derive(Debug)]
pub struct Heart {
    id: u64,
    watchdog: Watchdog,
}

impl Watchdog {
    /// Watches a part from now on. It must beat at least once in every `allowed`.
    pub fn watch(&self, name: &str, allowed: Duration) -> Heart {
        let mut parts = self.0.lock();
        let id = parts.next;
        parts.next += 1;
        parts.watched.insert(id, Part { name: name.to_owned(), last: Instant::now(), allowed });
        Heart { id, watchdog: self.clone() }
    }

    /// The parts that have been silent for too long, and for how long.
    pub fn stuck(&self) -> Vec<(String, Duration)> {
        let parts = self.0.lock();
        let silent = parts.watched.values().filter(|part| part.last.elapsed() > part.allowed);
        silent.map(|part| (part.name.clone(), part.last.elapsed())).collect()
    }
}

impl Heart {
    /// Says that the part is alive.
    pub fn beat(&self) {
        if let Some(part) = self.watchdog.0.lock().watched.get_mut(&self.id) {
            part.last = Instant::now();
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.watchdog.0.lock().watched.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_is_silent_for_too_long_is_stuck_until_it_beats() {
        let watchdog = Watchdog::default();
        let heart = watchdog.watch("driver", Duration::from_secs(5));
        let _other = watchdog.watch("probe", Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(watchdog.stuck(), []);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(watchdog.stuck(), [("driver".to_owned(), Duration::from_secs(6))]);
        heart.beat();
        assert_eq!(watchdog.stuck(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_takes_the_place_of_another_is_watched_for_itself() {
        let watchdog = Watchdog::default();
        let former = watchdog.watch("probe", Duration::from_secs(5));
        let _successor = watchdog.watch("probe", Duration::from_secs(5));
        drop(former);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(watchdog.stuck().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_has_ended_is_not_stuck() {
        let watchdog = Watchdog::default();
        drop(watchdog.watch("probe", Duration::from_secs(5)));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(watchdog.stuck(), []);
    }
}
