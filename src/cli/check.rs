//! `daymark check`: every error of a configuration, and its worst case.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, Outcome};
use crate::config::{Config, budget};
use crate::zones;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn check(arguments: &Arguments) -> Outcome {
    let config = Config::load(&arguments.config)?;
    zones::checked(&config).map_err(|sentences| Failure::Usage(sentences.join("\n")))?;
    let report = budget::report(&config);
    Ok(format!("{report}{} is right\n", arguments.config.display()))
}
