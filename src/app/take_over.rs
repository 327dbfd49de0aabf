//! Takes the place of a running Daymark, so that no query is lost over an upgrade, and hands over to the next one.
//!
//! Everything is bound and prepared before the other process is asked to stop. Once that one has agreed, this one serves the last answer
//! of the saved state from the same sockets, until the lock of the state is free. From there on it starts as always.

use std::fmt::Display;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::InheritedSockets;
use daymark_config::Config;
use daymark_decision::Decision;
use daymark_files::error_chain;
use daymark_provider::Provider;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::bind::{loaded, remembered_nodes, remote_providers};
use super::tasks::Tasks;
use super::{App, RunError, engine};
use crate::node_discovery;
use crate::os::descriptors;
use crate::os::handover::{HandoverError, Predecessor, PredecessorAnswer, SuccessorListener};
use crate::os::signals::SignalRequest;
use crate::state::{StateDirectory, StateFile, StateHealth, StateLock};

/// The time that a running Daymark has to stop. An orderly shutdown takes at most 8 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two tries to get the lock of the state.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);
/// The number of times that the lock has to be seen free until nobody has the state.
const FREE_LOOKS: u32 = 5;

/// An error that keeps this process from taking the place of another one, which goes on.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// Without a state directory nobody can be found.
    #[error("--take-over needs `stateDir`, through which the running Daymark is found")]
    NoStateDirectory,
    /// The sockets were not handed over.
    #[error("cannot take over")]
    Handover(#[from] HandoverError),
}

/// Finds the Daymark that runs with the state directory of this configuration, if there is one, and gets its sockets. A process that has
/// the state and hands nothing over now may be starting or ending, so it is looked for again.
pub async fn predecessor(config: &Config) -> Result<Option<Predecessor>, TakeOverError> {
    let dir = config.state_dir.as_deref().ok_or(TakeOverError::NoStateDirectory)?;
    // Each socket is a descriptor.
    descriptors::raise_limit();
    let end = Instant::now() + STOP_TIMEOUT;
    let mut free_looks = 0;
    loop {
        let missing = match Predecessor::find(dir).await {
            Ok(None) => None,
            Err(broken_off @ HandoverError::BrokenOff(_)) => Some(broken_off),
            found => return Ok(found?),
        };
        match StateLock::holder(dir) {
            Some(by) if Instant::now() > end => {
                return Err(missing.unwrap_or(HandoverError::NotOffered { dir: dir.to_owned(), by }).into());
            }
            Some(_) => free_looks = 0,
            None if free_looks == FREE_LOOKS => {
                info!("no Daymark runs with the state in {}; starting as always", dir.display());
                return Ok(None);
            }
            // Another successor may be about to take the lock.
            None => free_looks += 1,
        }
        sleep(LOCK_INTERVAL).await;
    }
}

impl App {
    /// Has the predecessor stop, serves the answers of the saved state, and waits for the lock of the state. True if this process is to
    /// start then; false if a signal came before.
    pub(super) async fn take_over(
        &mut self,
        predecessor: Predecessor,
        tasks: &mut Tasks,
        stop: &CancellationToken,
        reload: &Notify,
    ) -> Result<bool, RunError> {
        info!("taking over from the Daymark that runs");
        let prepared = self.authoritative.as_ref().map(|server| server.prepare()).transpose();
        let prepared = prepared.map_err(|error| RunError::NotSuccessor(error.into()))?;
        if let Some(server) = &self.authoritative {
            // A decision without an answer is refused, and every query gets SERVFAIL, as at any start.
            let _ = server.publish(&self.saved_decision());
        }
        let answer = predecessor.ask_to_stop().await.map_err(|error| RunError::NotSuccessor(error.into()))?;
        if let Some((server, prepared)) =
            self.authoritative.clone().zip(prepared).filter(|_| answer != PredecessorAnswer::Gone)
        {
            tasks.serve_dns(server, Some(prepared), stop.clone());
            self.is_serving = true;
        }
        let mut locked = pin!(lock_after(answer, self.directory.clone()));
        let outcome = loop {
            tokio::select! {
                locked = &mut locked => break locked.map(|()| true),
                request = self.signals.next() => match request {
                    SignalRequest::Reload => reload.notify_one(),
                    SignalRequest::Stop => {
                        info!("stopping");
                        break Ok(false);
                    }
                },
                Some(end) = tasks.next_end(|| false) => break end.map(|()| false).map_err(RunError::Task),
            }
        };
        if !matches!(outcome, Ok(true)) {
            stop.cancel();
            while tasks.next_end(|| true).await.is_some() {}
            return outcome;
        }
        // The predecessor may have written its memory since.
        match remote_providers(&self.config, |file| file.load(self.clock.now())) {
            Ok(providers) => self.remote_providers = providers,
            Err(errors) => errors.iter().for_each(|error| warn!("{error}; an older memory of the provider is used")),
        }
        outcome
    }

    /// The answers of the saved state, in its generation: those of the start are newer.
    fn saved_decision(&self) -> Decision {
        let memory = self.config.state_dir.as_deref().map(StateFile::new).and_then(|file| loaded(file.peek()));
        let memory = memory.unwrap_or_default();
        let nodes = remembered_nodes(&self.config, StateFile::peek);
        let pools = node_discovery::complete(&nodes.discovered, &self.config.pools);
        let membership = self.config.peers.as_ref().map(|peers| peers.membership.clone());
        let generation = memory.generation;
        Decision { generation, ..engine(&pools, membership, memory, &self.clock).decide(self.clock.now()) }
    }
}

/// Takes the lock of the state. If a predecessor that has agreed to stop, or hangs, keeps it, this process goes on without the lock: it
/// saves nothing until it has it, with an alarm.
async fn lock_after(answer: PredecessorAnswer, directory: Option<StateDirectory>) -> Result<(), RunError> {
    let Some(directory) = directory else { return Ok(()) };
    let mut last = None;
    let locked = timeout(STOP_TIMEOUT, async {
        while let Err(error) = directory.ensure() {
            last = Some(error);
            sleep(LOCK_INTERVAL).await;
        }
    });
    match (locked.await, last) {
        (Ok(()), _) | (_, None) => Ok(()),
        // Another process has taken the place of the one that has gone.
        (Err(_), Some(cause)) if answer == PredecessorAnswer::Gone => Err(RunError::NotSuccessor(cause.into())),
        (Err(_), Some(cause)) => {
            error!(
                "the former Daymark has not ended: {cause}; this one goes on, and saves nothing until then; kill that process"
            );
            Ok(())
        }
    }
}

/// Offers the sockets until a successor can serve, or until the shutdown begins. True if there is a successor.
pub(super) async fn await_successor(
    directory: Option<StateDirectory>,
    sockets: io::Result<InheritedSockets>,
    health: StateHealth,
    stop: CancellationToken,
) -> bool {
    stop.run_until_cancelled(offer(directory, sockets, health)).await.is_some()
}

/// Listens for a successor, and again each time that this process gets the lock of the state.
async fn offer(directory: Option<StateDirectory>, sockets: io::Result<InheritedSockets>, health: StateHealth) {
    let refused = |error: &dyn Display| warn!("no other Daymark can take over from this one: {error}");
    let Some(directory) = directory else { return pending().await };
    let sockets = match sockets {
        Ok(sockets) => Arc::new(sockets),
        Err(error) => {
            refused(&error);
            return pending().await;
        }
    };
    let mut locks = directory.locks();
    loop {
        let is_locked = *locks.borrow_and_update() > 0;
        let offered = async {
            if !is_locked {
                return pending().await;
            }
            match SuccessorListener::bind(directory.path()).await {
                Ok(listener) => listener.hand_over(&sockets, || health.errors().is_empty()).await,
                Err(error) => {
                    refused(&error_chain(&error));
                    pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = offered => return,
            _ = locks.changed() => {}
        }
    }
}
