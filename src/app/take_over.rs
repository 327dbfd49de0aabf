//! Takes the place of a running Daymark, so that no query is lost over an upgrade.
//!
//! Both processes read the same sockets for a moment: this one serves the last answer of the saved state from them, then the
//! other one stops, and then this one starts as always.

use std::io;
use std::sync::Arc;

use daymark_authoritative::{Authoritative, InheritedSockets, ServeError};
use daymark_provider::Provider;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::bind::{bind_authoritative, loaded, remembered_nodes};
use super::{StartError, engine};
use crate::descriptors::DescriptorBudget;
use crate::node_discovery;
use crate::os::clock::Clock;
use crate::os::descriptors;
use crate::os::handover::Predecessor;
use crate::start::StartConfig;
use crate::state::StateFile;

/// An error that keeps this process from taking the place of another. That one goes on, unless it has begun to stop.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// Without a state directory nobody can be found.
    #[error("--take-over needs `stateDir`, through which the running Daymark is found")]
    NoStateDirectory,
    /// The sockets were not handed over.
    #[error("the running Daymark does not hand its sockets over: {0}")]
    Sockets(#[source] io::Error),
    /// The settings cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Start(Vec<StartError>),
    /// The running Daymark did not stop.
    #[error("the running Daymark does not stop: {0}")]
    Stop(#[source] io::Error),
    /// DNS could not be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Takes over from the Daymark that runs with this state directory. Returns its sockets, or `inherited` if none runs.
pub async fn take_over(start: &StartConfig, inherited: InheritedSockets) -> Result<InheritedSockets, TakeOverError> {
    let dir = start.config.state_dir.as_deref().ok_or(TakeOverError::NoStateDirectory)?;
    let Some(mut predecessor) = Predecessor::find(dir).map_err(TakeOverError::Sockets)? else { return Ok(inherited) };
    info!("taking over from the Daymark that runs");
    let sockets = std::mem::take(&mut predecessor.sockets);
    let stop = CancellationToken::new();
    let server = serve_saved_answer(start, sockets)?;
    let serving = server.clone().map(|server| {
        let stop = stop.clone();
        tokio::spawn(async move { server.serve(stop).await })
    });
    let replaced = tokio::task::spawn_blocking(move || predecessor.replace()).await.map_err(io::Error::other).flatten();
    stop.cancel();
    if let Some(serving) = serving {
        serving.await.map_err(ServeError::from)??;
    }
    replaced.map_err(TakeOverError::Stop)?;
    match server {
        Some(server) => server.clone_sockets().map_err(TakeOverError::Sockets),
        None => Ok(inherited),
    }
}

/// A server over the sockets, with the answers of the saved state. `None` if no DNS is served.
fn serve_saved_answer(
    start: &StartConfig,
    sockets: InheritedSockets,
) -> Result<Option<Arc<Authoritative>>, TakeOverError> {
    let config = &start.config;
    let budget = DescriptorBudget::new(config, descriptors::raise_limit());
    let server =
        bind_authoritative(config, start.zone_file.clone(), budget.dns, sockets).map_err(TakeOverError::Start)?;
    let Some(server) = server else { return Ok(None) };
    let memory = config.state_dir.as_deref().map(StateFile::new).and_then(|file| loaded(file.peek()));
    let nodes = remembered_nodes(config, StateFile::peek);
    let clock = Clock::start();
    let membership = config.peers.as_ref().map(|peers| peers.membership.clone());
    let pools = node_discovery::complete(&nodes.discovered, &config.pools);
    let decision = engine(&pools, membership, memory.unwrap_or_default(), &clock).decide(clock.now());
    // A decision without an answer is refused, and every query gets SERVFAIL, as at any start.
    let _ = server.publish(&decision);
    Ok(Some(Arc::new(server)))
}
