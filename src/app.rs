//! The whole program: binds everything, then spawns everything, and joins every task at the end. The only module that knows
//! all others.

mod bind;
mod spawn;
mod take_over;
mod tasks;

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use daymark_authoritative::{Authoritative, InheritedSockets, ZoneErrors};
use daymark_config::{Config, Finding};
use daymark_provider::RemoteProvider;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::bind::{
    AdminListeners, BoundToken, bind_admin, bind_authoritative, bind_transport, faults_beside_predecessor, lock,
    running_process, token, warn_of_unused_sockets,
};
use self::tasks::Tasks;
use crate::descriptors::DescriptorBudget;
use crate::last_good::GoodConfig;
use crate::metrics::Metrics;
use crate::os::clock::Clock;
use crate::os::handover::Predecessor;
use crate::os::signals::{SignalRequest, Signals};
use crate::os::{descriptors, notify};
use crate::peers::Transport;
use crate::start::{ConfigFile, RefusedStart, StartConfig};
use crate::state::{StateDirectory, StateFile, StateHealth};

pub(crate) use self::bind::{RememberedNodes, loaded, remembered_nodes, remote_providers};
pub(crate) use self::spawn::engine;
pub use self::take_over::{TakeOverError, predecessor};
pub use self::tasks::TaskError;

/// An error that keeps Daymark from starting. The operator has to fix it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(Finding),
    /// The zones cannot be served.
    #[error("{0}")]
    Zones(#[source] ZoneErrors),
}

/// Every error that keeps Daymark from starting. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct StartErrors(pub Vec<StartError>);

/// The reason for which a running Daymark ended otherwise than by an orderly shutdown.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A task failed.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The predecessor goes on, or has another successor.
    #[error("this process does not take over")]
    NotSuccessor(#[source] Box<dyn Error + Send + Sync>),
    /// A second signal came before the end of the shutdown.
    #[error("stopped at once by a second signal")]
    Aborted,
}

/// Everything bound and nothing running.
pub struct App {
    config: Config,
    file: Option<ConfigFile>,
    /// The configuration to keep for a later start, if it came from a file.
    good: Option<GoodConfig>,
    refused: RefusedStart,
    clock: Clock,
    authoritative: Option<Arc<Authoritative>>,
    remote_providers: Vec<RememberingProvider>,
    transport: Option<Transport>,
    metrics: Metrics,
    admin: AdminListeners,
    token: BoundToken,
    extra: Router,
    signals: Signals,
    /// The state directory, if state is kept. Its lock is missing as long as there is a predecessor.
    directory: Option<StateDirectory>,
    state: StateHealth,
    predecessor: Option<Predecessor>,
    /// True if DNS is served already.
    is_serving: bool,
}

/// A remote provider, and its memory if state is kept.
pub(crate) struct RememberingProvider {
    pub(crate) provider: Arc<dyn RemoteProvider>,
    pub(crate) memory: Option<ProviderMemory>,
}

/// The file of a provider's memory, and the memory that it holds.
pub(crate) struct ProviderMemory {
    pub(crate) file: StateFile<Value>,
    pub(crate) saved: Option<Value>,
}

/// The value, or `None` after noting the error.
fn noted<T, E>(
    errors: &mut Vec<StartError>,
    result: Result<T, E>,
    into: impl FnOnce(E) -> Vec<StartError>,
) -> Option<T> {
    result.map_err(|error| errors.extend(into(error))).ok()
}

impl App {
    /// Binds every socket that is not inherited, and takes the lock of the state unless a predecessor has it. Returns every error
    /// at once.
    pub fn bind(
        start: StartConfig,
        signals: Signals,
        mut sockets: InheritedSockets,
        mut predecessor: Option<Predecessor>,
    ) -> Result<Self, StartErrors> {
        let StartConfig { config, file, zone_file, broken_files, refused } = start;
        let clock = Clock::start();
        let metrics = Metrics::default();
        let budget = DescriptorBudget::new(&config, descriptors::raise_limit());
        if let Some(shortage) = budget.shortage() {
            warn!("{shortage}");
        }
        let setting = |finding| vec![StartError::Setting(finding)];
        let settings = |findings: Vec<Finding>| findings.into_iter().map(StartError::Setting).collect();
        let mut errors = Vec::new();
        if let Some(predecessor) = &mut predecessor {
            sockets.append(&mut predecessor.sockets);
            errors
                .extend(faults_beside_predecessor(&config, broken_files, &budget).into_iter().map(StartError::Setting));
        }
        let authoritative =
            noted(&mut errors, bind_authoritative(&config, zone_file.clone(), budget.dns, &mut sockets), |errors| {
                errors
            });
        let transport = noted(&mut errors, bind_transport(&config, &mut sockets, &metrics), setting);
        let admin = noted(&mut errors, bind_admin(&config, &mut sockets, budget.admin), settings);
        let (Some(authoritative), Some(transport), Some(admin), []) = (authoritative, transport, admin, &errors[..])
        else {
            errors.extend(running_process(&config).filter(|_| predecessor.is_none()).map(StartError::Setting));
            return Err(StartErrors(errors));
        };
        let directory = lock(&config, predecessor.is_some()).map_err(|finding| StartErrors(setting(finding)))?;
        let remote_providers = remote_providers(&config, |file| match &predecessor {
            Some(_) => file.peek(),
            None => file.load(clock.now()),
        });
        let remote_providers = remote_providers.map_err(|findings| StartErrors(settings(findings)))?;
        warn_of_unused_sockets(&sockets, predecessor.is_some());
        Ok(Self {
            remote_providers,
            token: token(&config),
            authoritative: authoritative.map(Arc::new),
            extra: Router::new(),
            good: GoodConfig::new(
                file.as_ref().map(|file| file.path.as_path()),
                &config,
                zone_file.ok().flatten().as_ref(),
            ),
            refused,
            config,
            file,
            clock,
            transport,
            metrics,
            admin,
            signals,
            directory,
            state: StateHealth::default(),
            predecessor,
            is_serving: false,
        })
    }

    /// Clones of all sockets, for a process that is to take over from this one.
    fn clone_sockets(&self) -> io::Result<InheritedSockets> {
        let mut sockets = match &self.authoritative {
            Some(server) => server.clone_sockets()?,
            None => InheritedSockets::default(),
        };
        sockets.tcp.extend(self.admin.clone_sockets()?);
        sockets.udp.extend(self.transport.as_ref().map(Transport::clone_socket).transpose()?);
        Ok(sockets)
    }

    /// Serves these routes beside the admin API.
    #[cfg(feature = "demo")]
    #[must_use]
    pub fn with_routes(self, extra: Router) -> Self {
        Self { extra, ..self }
    }

    /// Runs until a signal, until a successor serves, or until a task fails. Every task has ended when it returns.
    pub async fn run(mut self) -> Result<(), RunError> {
        let stop = CancellationToken::new();
        let reload = Arc::new(Notify::new());
        let mut tasks = Tasks::default();
        if let Some(predecessor) = self.predecessor.take()
            && !self.take_over(predecessor, &mut tasks, &stop, &reload).await?
        {
            return Ok(());
        }
        let mut successor = pin!(take_over::await_successor(
            self.directory.clone(),
            self.clone_sockets(),
            self.state.clone(),
            stop.clone()
        ));
        let mut awaits_successor = true;
        let mut has_stop_signal = false;
        let mut signals = self.spawn(&mut tasks, &stop, reload.clone());
        notify::ready();
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                request = signals.next() => match request {
                    SignalRequest::Reload => reload.notify_one(),
                    SignalRequest::Stop if has_stop_signal => return Err(RunError::Aborted),
                    SignalRequest::Stop => {
                        has_stop_signal = true;
                        info!("stopping; a second signal stops at once");
                        notify::stopping();
                        stop.cancel();
                    }
                },
                found = &mut successor, if awaits_successor => {
                    awaits_successor = false;
                    if found {
                        info!("another Daymark serves in place of this one; stopping");
                        notify::stopping();
                        stop.cancel();
                    }
                }
                end = tasks.next_end(|| stop.is_cancelled()) => {
                    let Some(end) = end else { return outcome };
                    // The first error counts; those after it mostly follow from it.
                    outcome = outcome.and(end.map_err(RunError::Task));
                    stop.cancel();
                }
            }
        }
    }
}
