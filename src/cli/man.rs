//! `daymark man`: the man pages, for whoever packages them.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::{Cli, Failure, Outcome};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory for the pages, one for each command
    dir: PathBuf,
}

pub(super) fn man(arguments: &Arguments) -> Outcome {
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &arguments.dir)
        .map_err(|error| Failure::Run(format!("no man page can be written to {}: {error}", arguments.dir.display())))?;
    Ok(String::new())
}
