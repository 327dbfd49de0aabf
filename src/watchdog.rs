//! Detects stuck tasks. Each task sends heartbeats, and `/livez` fails while one is overdue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The tasks that must send heartbeats. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Watchdog(Arc<Mutex<WatchedTasks>>);

#[derive(Debug, Default)]
struct WatchedTasks {
    next_id: u64,
    tasks: BTreeMap<u64, WatchedTask>,
}

#[derive(Debug)]
struct WatchedTask {
    name: String,
    last_heartbeat: Instant,
    timeout: Duration,
    has_crashed: bool,
}

/// Sends the heartbeats of one task. When it is dropped, the task is no longer watched. If a crash drops it, the task is stuck until
/// another one of its name is watched.
#[derive(Debug)]
pub struct WatchdogHandle {
    id: u64,
    watchdog: Watchdog,
}

/// A task whose heartbeat is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckTask {
    /// The name of the task, such as `the driver`.
    pub name: String,
    /// The time since the last heartbeat.
    pub silence: Duration,
    /// True if it has crashed, and was not started again.
    pub has_crashed: bool,
}

impl Watchdog {
    /// Watches a task from now on. It must send a heartbeat at least once in every `timeout`.
    pub fn watch(&self, name: &str, timeout: Duration) -> WatchdogHandle {
        let mut watched = self.0.lock();
        // It takes the place of one that has crashed.
        watched.tasks.retain(|_, task| !(task.has_crashed && task.name == name));
        let id = watched.next_id;
        watched.next_id += 1;
        let last_heartbeat = Instant::now();
        watched.tasks.insert(id, WatchedTask { name: name.to_owned(), last_heartbeat, timeout, has_crashed: false });
        WatchdogHandle { id, watchdog: self.clone() }
    }

    /// The tasks whose heartbeat is overdue, and those that have crashed.
    pub fn stuck_tasks(&self) -> Vec<StuckTask> {
        let watched = self.0.lock();
        let is_stuck = |task: &&WatchedTask| task.has_crashed || task.last_heartbeat.elapsed() > task.timeout;
        let stuck = |task: &WatchedTask| StuckTask {
            name: task.name.clone(),
            silence: task.last_heartbeat.elapsed(),
            has_crashed: task.has_crashed,
        };
        watched.tasks.values().filter(is_stuck).map(stuck).collect()
    }
}

impl WatchdogHandle {
    /// Reports that the task makes progress.
    pub fn heartbeat(&self) {
        if let Some(task) = self.watchdog.0.lock().tasks.get_mut(&self.id) {
            task.last_heartbeat = Instant::now();
        }
    }
}

impl Drop for WatchdogHandle {
    fn drop(&mut self) {
        let mut watched = self.watchdog.0.lock();
        if std::thread::panicking() {
            if let Some(task) = watched.tasks.get_mut(&self.id) {
                task.has_crashed = true;
            }
        } else {
            watched.tasks.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_without_a_heartbeat_is_stuck_until_the_next_one() {
        let watchdog = Watchdog::default();
        let driver = watchdog.watch("driver", Duration::from_secs(5));
        let _probe = watchdog.watch("probe", Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(watchdog.stuck_tasks(), []);
        tokio::time::advance(Duration::from_secs(1)).await;
        let stuck = StuckTask { name: "driver".to_owned(), silence: Duration::from_secs(6), has_crashed: false };
        assert_eq!(watchdog.stuck_tasks(), [stuck]);
        driver.heartbeat();
        assert_eq!(watchdog.stuck_tasks(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn two_tasks_of_one_name_are_watched_separately() {
        let watchdog = Watchdog::default();
        let former = watchdog.watch("probe", Duration::from_secs(5));
        let _successor = watchdog.watch("probe", Duration::from_secs(5));
        drop(former);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(watchdog.stuck_tasks().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_has_crashed_is_stuck_at_once_and_until_it_is_started_again() {
        let watchdog = Watchdog::default();
        let crashing = watchdog.watch("probe", Duration::from_secs(5));
        let crash = tokio::spawn(async move {
            let _crashing = crashing;
            panic!("a bug");
        });
        assert!(crash.await.is_err());
        let stuck = StuckTask { name: "probe".to_owned(), silence: Duration::ZERO, has_crashed: true };
        assert_eq!(watchdog.stuck_tasks(), [stuck]);
        let restarted = watchdog.watch("probe", Duration::from_secs(5));
        assert_eq!(watchdog.stuck_tasks(), []);
        drop(restarted);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(watchdog.stuck_tasks(), [], "a task that was stopped is not watched");
    }
}
