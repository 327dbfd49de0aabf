//! `daymark run`: the controller.

use std::path::PathBuf;

use clap::Args;
use daymark_config::Flags;
use tracing::level_filters::LevelFilter;
use tracing::{error, warn};

use super::log::{self, Format};
use super::{CONFIG_FILE, Failure, Outcome, Own, block_on, signals};
use crate::app::{App, TakeOverError, predecessor};
use crate::os::sockets;
use crate::start::StartConfig;
use daymark_files::error_chain;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file, /etc/daymark/daymark.yaml without flags of the configuration; those below are one without a file
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["pool", "node", "ca", "listen", "nameserver", "admin", "state_dir"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    own: Own,
    /// The name of the pool, and the port of its apiservers if it is not 6443
    #[arg(long, value_name = "NAME[:PORT]", requires = "node")]
    pool: Option<String>,
    /// A node and its addresses; may be repeated
    #[arg(long, value_name = "NODE=ADDRESS[,ADDRESS]", requires = "pool")]
    node: Vec<String>,
    /// The CA of the apiservers' certificates
    #[arg(long, value_name = "FILE", requires = "pool")]
    ca: Option<String>,
    /// An address to serve DNS on; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT", requires = "pool")]
    listen: Vec<String>,
    /// A server of the zone and its addresses; may be repeated
    #[arg(long, value_name = "NAME[=ADDRESS,ADDRESS]", requires = "pool")]
    nameserver: Vec<String>,
    /// The address to serve the admin API on
    #[arg(long, value_name = "ADDRESS:PORT", requires = "pool")]
    admin: Option<String>,
    /// The directory that keeps the state over restarts
    #[arg(long, value_name = "DIR", requires = "pool")]
    state_dir: Option<String>,
    /// Take the place of the Daymark that runs with the same state directory, without a lost query; without one, start as always
    #[arg(long)]
    take_over: bool,
    /// The form of the log
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    let inherited = sockets::inherited().map_err(|error| Failure::Usage(error.to_string()))?;
    let log_format = arguments.log_format;
    let is_take_over = arguments.take_over;
    let start = start(arguments)?;
    let _log = log::start(log_format, LevelFilter::INFO);
    for finding in &start.broken_files {
        error!(
            "{finding}; Daymark goes on without this file, because it has run here before, and reads it once it is mended"
        );
    }
    for warning in &start.config.warnings {
        warn!("{warning}");
    }
    block_on(async {
        // From here on a signal is received, also one that comes before everything runs.
        let signals = signals()?;
        let predecessor = if is_take_over { predecessor(&start.config).await? } else { None };
        let app =
            App::bind(start, signals, inherited, predecessor).map_err(|errors| Failure::Usage(errors.to_string()))?;
        app.run().await.map_err(|error| Failure::Run(error_chain(&error)))
    })?;
    Ok(String::new())
}

impl From<TakeOverError> for Failure {
    fn from(error: TakeOverError) -> Self {
        match error {
            TakeOverError::NoStateDirectory => Self::Usage(error.to_string()),
            TakeOverError::Handover(_) => Self::Run(error_chain(&error)),
        }
    }
}

fn start(arguments: Arguments) -> Result<StartConfig, Failure> {
    let file = arguments.config.or_else(|| arguments.pool.is_none().then(|| CONFIG_FILE.into()));
    if let Some(file) = file {
        return Ok(StartConfig::load(&file, arguments.own.name.as_deref())?);
    }
    let Arguments { pool, node: nodes, ca, listen, nameserver: nameservers, admin, state_dir, .. } = arguments;
    let flags = Flags { pool: pool.unwrap_or_default(), nodes, ca, listen, nameservers, admin, state_dir };
    Ok(StartConfig::from_flags(&flags)?)
}
