//! `daymark run`: the controller.

use std::path::PathBuf;

use clap::Args;
use daymark_config::{Config, Finding, Flags};
use daymark_decision::PoolName;
use tracing::level_filters::LevelFilter;
use tracing::{error, warn};

use super::log::{self, Format};
use super::{Failure, Outcome, Own, block_on};
use crate::app::App;
use crate::os::sockets;
use crate::state::StateFile;
use daymark_files::error_chain;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file; without it, the flags below are the configuration
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["pool", "node", "ca", "listen", "nameserver", "admin", "state_dir"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    own: Own,
    /// The name of the pool, and the port of its apiservers if it is not 6443
    #[arg(long, value_name = "NAME[:PORT]", required_unless_present = "config")]
    pool: Option<String>,
    /// A node and its addresses; may be repeated
    #[arg(long, value_name = "NODE=ADDRESS[,ADDRESS]", required_unless_present = "config")]
    node: Vec<String>,
    /// The CA of the apiservers' certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<String>,
    /// An address to serve DNS on; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<String>,
    /// A server of the zone and its addresses; may be repeated
    #[arg(long, value_name = "NAME[=ADDRESS,ADDRESS]")]
    nameserver: Vec<String>,
    /// The address to serve the admin API on
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<String>,
    /// The directory that keeps the state over restarts
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,
    /// The form of the log
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    let inherited = sockets::inherited().map_err(|error| Failure::Usage(error.to_string()))?;
    let log_format = arguments.log_format;
    let LoadedArguments { config, file, broken } = configuration(arguments)?;
    let _log = log::start(log_format, LevelFilter::INFO);
    for finding in &broken {
        error!(
            "{finding}; Daymark goes on without this file, because it has run here before, and reads it once it is mended"
        );
    }
    for warning in &config.warnings {
        warn!("{warning}");
    }
    block_on(async {
        let app = App::bind(config, file, inherited).map_err(|errors| Failure::Usage(errors.to_string()))?;
        app.run().await.map_err(|error| Failure::Run(error_chain(&error)))
    })?;
    Ok(String::new())
}

/// The configuration of a start.
struct LoadedArguments {
    config: Config,
    file: Option<PathBuf>,
    /// The errors of the files that the configuration names, if Daymark starts all the same.
    broken: Vec<Finding>,
}

fn configuration(arguments: Arguments) -> Result<LoadedArguments, Failure> {
    if let Some(file) = arguments.config {
        return load(file, arguments.own.name.as_deref());
    }
    let Arguments { pool, node: nodes, ca, listen, nameserver: nameservers, admin, state_dir, .. } = arguments;
    let flags = Flags { pool: pool.unwrap_or_default(), nodes, ca, listen, nameservers, admin, state_dir };
    Ok(LoadedArguments { config: Config::from_flags(&flags)?, file: None, broken: Vec::new() })
}

/// Loads a file. If only files that it names are wrong, and Daymark has run here before, they were good once: a CA or a token that
/// broke since then must not take DNS down at a restart.
fn load(file: PathBuf, own: Option<&str>) -> Result<LoadedArguments, Failure> {
    let errors = match Config::load(&file, own) {
        Ok(config) => return Ok(LoadedArguments { config, file: Some(file), broken: Vec::new() }),
        Err(errors) => errors,
    };
    match Config::load_alone(&file, own) {
        Ok(config) if has_run(&config) => Ok(LoadedArguments { config, file: Some(file), broken: errors.0 }),
        _ => Err(errors.into()),
    }
}

/// True if the state file is from a run with all pools of this configuration.
fn has_run(config: &Config) -> bool {
    let memory = config.state_dir.as_deref().and_then(|dir| StateFile::new(dir).peek().memory);
    memory.is_some_and(|memory| {
        let known = |name: &PoolName| memory.pools.iter().any(|pool| pool.pool == *name);
        config.pools.iter().all(|pool| known(&pool.pool.name))
    })
}
