//! Takes the place of a running Daymark, so that no query is lost over an upgrade, and hands over to the next one.
//!
//! Everything is bound before the other process is asked to stop. Then both read the same sockets for a moment: this one serves
//! the last answer of the saved state, until the lock of the state is free. From there on it starts as always.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::InheritedSockets;
use daymark_config::Config;
use daymark_decision::Decision;
use daymark_provider::Provider;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::bind::{loaded, remembered_nodes, remote_providers};
use super::tasks::Tasks;
use super::{App, RunError, engine};
use crate::node_discovery;
use crate::os::descriptors;
use crate::os::handover::{HandoverError, Predecessor, PredecessorAnswer, SuccessorListener};
use crate::os::signals::SignalRequest;
use crate::state::{StateDirectory, StateFile};

/// The time that a running Daymark has to stop. An orderly shutdown takes at most 8 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two tries to get the lock of the state.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

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

/// Finds the Daymark that runs with the state directory of this configuration, if there is one, and gets its sockets.
pub async fn predecessor(config: &Config) -> Result<Option<Predecessor>, TakeOverError> {
    let dir = config.state_dir.as_deref().ok_or(TakeOverError::NoStateDirectory)?;
    // Each socket is a descriptor.
    descriptors::raise_limit();
    Ok(Predecessor::find(dir).await?)
}

impl App {
    /// Serves the answers of the saved state, has the predecessor stop, and waits for the lock of the state. True if this process
    /// is to start then; false if a signal came before.
    pub(super) async fn take_over(
        &mut self,
        predecessor: Predecessor,
        tasks: &mut Tasks,
        stop: &CancellationToken,
        reload: &Notify,
    ) -> Result<bool, RunError> {
        info!("taking over from the Daymark that runs");
        if let Some(server) = &self.authoritative {
            // A decision without an answer is refused, and every query gets SERVFAIL, as at any start.
            let _ = server.publish(&self.saved_decision());
            tasks.serve_dns(server.clone(), stop.clone());
            self.is_serving = true;
        }
        let mut locked = pin!(lock_after(predecessor, self.directory.clone()));
        let outcome = loop {
            tokio::select! {
                locked = &mut locked => break locked.map(|()| true),
                request = self.signals.next() => match request {
                    SignalRequest::Reload => reload.notify_one(),
                    SignalRequest::Stop => break Ok(false),
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

/// Has the predecessor stop, and takes the lock of the state. If the predecessor hangs then, this process goes on without the lock:
/// it saves nothing until it has it, with an alarm.
async fn lock_after(predecessor: Predecessor, directory: Option<StateDirectory>) -> Result<(), RunError> {
    let answer = predecessor.ask_to_stop().await;
    if answer == PredecessorAnswer::Refuses {
        return Err(RunError::NotSuccessor(HandoverError::Refused.into()));
    }
    let Some(directory) = directory else { return Ok(()) };
    let mut last = None;
    let locked = timeout(STOP_TIMEOUT, async {
        while let Err(error) = directory.ensure() {
            last = Some(error);
            sleep(LOCK_INTERVAL).await;
        }
    });
    match (locked.await, last) {
        (Err(_), Some(cause)) if answer == PredecessorAnswer::Stops => {
            error!(
                "the former Daymark has not ended: {cause}; this one goes on, and saves nothing until then; kill that process"
            );
            Ok(())
        }
        (Err(_), Some(cause)) => Err(RunError::NotSuccessor(cause.into())),
        _ => Ok(()),
    }
}

/// Hands the sockets over, and returns when a successor serves. It listens again each time that this process gets the lock of the
/// state.
pub(super) async fn hand_over(directory: Option<StateDirectory>, sockets: io::Result<InheritedSockets>) {
    let Some(directory) = directory else { return pending().await };
    let refused = |error: io::Error| warn!("no other Daymark can take over from this one: {error}");
    let sockets = sockets.map(Arc::new).map_err(refused).ok();
    let mut locks = directory.locks();
    loop {
        let is_locked = *locks.borrow_and_update() > 0;
        let listener = is_locked.then(|| SuccessorListener::bind(directory.path()).map_err(refused).ok()).flatten();
        let handed_over = async {
            match (&listener, &sockets) {
                (Some(listener), Some(sockets)) => listener.hand_over(sockets).await,
                _ => pending().await,
            }
        };
        tokio::select! {
            () = handed_over => return,
            _ = locks.changed() => {}
        }
    }
}
