//! `daymark version`: the version of this binary and its commit.

use clap::Args;
use serde::Serialize;

use super::{Outcome, Output, json};

/// The commit of the source; `unknown` without a repository.
const COMMIT: &str = env!("DAYMARK_COMMIT");
/// The day of the source, as `SOURCE_DATE_EPOCH` says it or else the commit; `unknown` without both.
const DATE: &str = env!("DAYMARK_DATE");

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Serialize)]
struct Build {
    version: &'static str,
    commit: &'static str,
    date: &'static str,
    target: &'static str,
}

pub(super) fn version(arguments: &Arguments) -> Outcome {
    let own = Build { version: env!("CARGO_PKG_VERSION"), commit: COMMIT, date: DATE, target: env!("DAYMARK_TARGET") };
    match arguments.output {
        Output::Json => json(&own),
        Output::Text => {
            let Build { version, commit, date, target } = own;
            Ok(format!("daymark {version}\ncommit {commit}\nbuild date {date}\ntarget {target}\n"))
        }
    }
}
