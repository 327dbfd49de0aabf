//! `daymark check`: every error of a configuration, and its worst case.

use std::path::PathBuf;

use clap::Args;
use daymark_authoritative::{Zone, ZoneErrors};

use super::{Failure, Outcome};
use crate::config::{Config, budget};
use crate::fault::chain;
use crate::zones;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn check(arguments: &Arguments) -> Outcome {
    let config = Config::load(&arguments.config)?;
    if let Some(authoritative) = zones::authoritative(&config) {
        let zones = zones::zones(authoritative, &config.pools).map_err(|error| Failure::Usage(chain(&error)))?;
        let sentences = |it: ZoneErrors| it.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        Zone::build_all(&zones).map_err(|errors| Failure::Usage(sentences(errors)))?;
    }
    let report = budget::report(&config);
    Ok(format!("{report}{} is right\n", arguments.config.display()))
}
