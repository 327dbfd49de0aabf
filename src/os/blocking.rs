//! Threads for work that may block, such as reading and writing files. They know nothing of the work.
//!
//! tokio's own threads for such work are not used: it panics if the system has no thread to give, and holds up the end of the
//! process for a disk that does not answer.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use parking_lot::Mutex;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does one piece of work at a time. It is started at once, and survives a crash of the work.
#[derive(Debug)]
pub struct BlockingThread {
    name: &'static str,
    is_busy: Arc<AtomicBool>,
    jobs: Mutex<Option<Sender<Job>>>,
}

/// Work that gives no result.
#[derive(Debug, thiserror::Error)]
pub enum BlockingError {
    /// The system gives no thread.
    #[error("no thread can be started: {0}")]
    NoThread(#[source] io::Error),
    /// The thread still does other work.
    #[error("the disk does not answer")]
    Busy,
    /// The work has panicked.
    #[error("the thread of the disk has crashed")]
    Crashed,
}

/// Marks the thread as idle again, also after a panic.
struct Idle(Arc<AtomicBool>);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl BlockingThread {
    /// Starts the thread. If that fails, the first work tries again.
    pub fn start(name: &'static str) -> Self {
        let jobs = start_thread(name).ok();
        Self { name, is_busy: Arc::default(), jobs: Mutex::new(jobs) }
    }

    /// Hands work to the thread, and waits for its result. The work goes on if the returned future is dropped.
    pub fn run<T, F>(&self, work: F) -> impl Future<Output = Result<T, BlockingError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let result = self.begin(work);
        async { result?.await.map_err(|_| BlockingError::Crashed) }
    }

    fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, BlockingError> {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return Err(BlockingError::Busy);
        }
        let idle = Idle(Arc::clone(&self.is_busy));
        let (sender, receiver) = oneshot::channel();
        #[cfg(test)]
        let clock = tests::hold_the_clock();
        let job: Job = Box::new(move || {
            let result = work();
            // The thread is idle before its user goes on.
            drop(idle);
            let _ = sender.send(result);
            #[cfg(test)]
            drop(clock);
        });
        self.hand_over(job).map_err(BlockingError::NoThread)?;
        Ok(receiver)
    }

    fn hand_over(&self, job: Job) -> io::Result<()> {
        let mut jobs = self.jobs.lock();
        let running = match jobs.take() {
            Some(running) => running,
            None => start_thread(self.name)?,
        };
        // The thread ends only with its sender.
        let handed_over = running.send(job).map_err(|_| io::Error::other("the thread has ended"));
        *jobs = handed_over.is_ok().then_some(running);
        handed_over
    }
}

fn start_thread(name: &'static str) -> io::Result<Sender<Job>> {
    let (sender, receiver) = channel::<Job>();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        for job in receiver {
            // A crash is logged, and its work gets no result.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    })?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Lets a paused clock of tokio stand still until the result is dropped, as it does for tokio's own blocking work.
    pub(super) fn hold_the_clock() -> Sender<()> {
        let (held, released) = channel();
        tokio::task::spawn_blocking(move || released.recv());
        held
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread() {
        let thread = BlockingThread::start("test");
        let there = thread.run(|| thread::current().name().map(str::to_owned)).await.unwrap();
        assert_eq!(there.as_deref(), Some("test"));
    }

    #[tokio::test]
    async fn a_crash_is_an_error_and_the_next_work_is_done() {
        let thread = BlockingThread::start("test");
        let crash = thread.run(|| panic!("the disk is on fire")).await;
        assert!(matches!(crash, Err::<(), _>(BlockingError::Crashed)));
        assert_eq!(thread.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_blocks_refuses_other_work_until_it_ends() {
        let thread = BlockingThread::start("test");
        let (answer, disk) = sync_channel::<()>(0);
        let blocked = thread.run(move || disk.recv());
        assert!(matches!(thread.run(|| ()).await, Err(BlockingError::Busy)));
        answer.send(()).unwrap();
        blocked.await.unwrap().unwrap();
        thread.run(|| ()).await.unwrap();
    }
}
