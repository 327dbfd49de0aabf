//! The command line. One file a command; each gives back its output or its failure, and only this file prints.

mod ask;
mod check;
mod client;
mod completions;
#[cfg(feature = "demo")]
mod demo;
mod dnskey;
mod doctor;
mod explain;
mod init;
mod keygen;
mod log;
mod man;
mod manifest;
mod overrides;
mod probe;
mod run;
mod status;
mod sync;
mod table;
mod version;

#[cfg(test)]
pub(crate) use self::status::tests;

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use daymark_config as config;
use daymark_decision::{escaped_json, escaped_lines};

use crate::os::log_writer::LogWriter;
use crate::os::signals::Signals;

/// Keeps one name pointed at the healthy nodes of a Kubernetes control plane.
#[derive(Debug, Parser)]
#[command(name = "daymark", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Run the controller: probe, decide and publish the answers
    Run(run::Arguments),
    /// Make one pass for a timer: probe until every verdict is settled, publish to each remote provider, and end
    Sync(sync::Arguments),
    /// Run Daymark with three fake apiservers on this host, or change the behaviour of a fake of the running demo
    #[cfg(feature = "demo")]
    Demo(demo::Arguments),
    /// Write the configuration of a new setup, and show the steps after it
    Init(init::Arguments),
    /// Show every error of a configuration, and how long a failure lasts at worst
    Check(check::Arguments),
    /// Look at the whole setup from outside and from inside, and say what to do: delegation, name servers, resolvers, nodes, hosts
    Doctor(doctor::Arguments),
    /// Probe each target once and show the outcome
    Probe(probe::Arguments),
    /// Resolve names
    Ask(ask::Arguments),
    /// Show the state of a running host
    Status(status::Arguments),
    /// Show the history of a running host, with reasons
    Events(status::Arguments),
    /// Show why the targets of a node are in the answer or out of it
    Explain(explain::Arguments),
    /// Take a node out of the answer
    Drain(overrides::Drain),
    /// Keep a node in the answer, whatever the probes find
    Force(overrides::SetOverride),
    /// Clear the drain or the force of a node
    Undrain(overrides::ClearOverride),
    /// Generate the gossip key
    Keygen(keygen::Arguments),
    /// Generate or show a key that signs zones (DNSSEC)
    Dnskey(dnskey::Arguments),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print the completions of a shell
    Completions(completions::Arguments),
    /// Print a manifest that runs Daymark, or the rights that it needs
    Manifest(manifest::Arguments),
    /// Write the man pages
    Man(man::Arguments),
    /// Print the version, with its commit
    Version(version::Arguments),
}

/// The configuration file of a host that is installed as documented.
const CONFIG_FILE: &str = "/etc/daymark/daymark.yaml";

/// The address in a text such as `192.0.2.1` or `[2001:db8::1]:5353`. One without a port gets the given one.
fn socket_address(text: &str, port: u16) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, port)))
}

/// The signals to this process.
fn signals() -> Result<Signals, Failure> {
    Signals::new().map_err(|error| Failure::Run(format!("signals cannot be received: {error}")))
}

/// The name of this host among the configured ones.
#[derive(Debug, Args)]
struct Own {
    /// The name of this host among `peers.members`; comes before `peers.self`
    #[arg(id = "self", long = "self", value_name = "NAME", env = "DAYMARK_SELF")]
    name: Option<String>,
}

impl Own {
    /// A name for a command that does not run as a host: the given one, or that of the first member if the file leaves it open.
    fn any(&self, file: &Path) -> Option<String> {
        self.name.clone().or_else(|| config::Config::open_members(file).into_iter().next())
    }
}

/// The configuration file of a command, and the host as which it is read.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
    #[command(flatten)]
    own: Own,
}

impl ConfigArguments {
    /// The configuration for a command that talks to no other host and does not run as one.
    fn load_without_keys(&self) -> Result<config::Config, config::ConfigErrors> {
        config::Config::load_without_keys(&self.config, self.own.any(&self.config).as_deref())
    }
}

/// The form in which a command prints its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// The failure of a command, which determines its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments or the configuration are wrong, and nothing was done: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Something failed while it was done: exit code 1.
    #[error("{0}")]
    Run(String),
    /// The command has printed its findings, and this is its exit code.
    #[error("the exit code is {0}")]
    Reported(u8),
}

/// The text that a command prints, or its failure.
type Outcome = Result<String, Failure>;

impl Failure {
    fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Run(_) => ExitCode::from(1),
            Self::Reported(code) => ExitCode::from(*code),
        }
    }
}

impl From<config::ConfigErrors> for Failure {
    fn from(errors: config::ConfigErrors) -> Self {
        Self::Usage(errors.to_string())
    }
}

/// Does what the arguments of the process say.
pub fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => dispatch(cli.command).and_then(|text| print(&text)),
        Err(wrong) if wrong.use_stderr() => wrong.exit(),
        // Help and the version are no faults, but come the same way.
        Err(help) => written(help.print()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure @ Failure::Reported(_)) => failure.code(),
        Err(failure) => {
            report(&failure);
            failure.code()
        }
    }
}

/// Writes the failure to standard error, without hidden characters. If that fails too, the exit code still reports it.
fn report(failure: &Failure) {
    let text = escaped_lines(&format!("{failure}\n"));
    // A process that ran must end even if nobody reads its errors. The errors of a file may be many, and their reader slow.
    let is_run = matches!(failure, Failure::Run(_));
    let _ = match is_run.then(|| LogWriter::start(io::stderr())) {
        Some(Ok(mut writer)) => {
            let _guard = writer.flush_guard();
            writer.write_all(text.as_bytes())
        }
        _ => io::stderr().write_all(text.as_bytes()),
    };
}

fn dispatch(command: CliCommand) -> Outcome {
    match command {
        CliCommand::Run(arguments) => run::run(arguments),
        CliCommand::Sync(arguments) => sync::sync(&arguments),
        #[cfg(feature = "demo")]
        CliCommand::Demo(arguments) => demo::demo(&arguments),
        CliCommand::Check(arguments) => check::check(&arguments),
        CliCommand::Doctor(arguments) => doctor::doctor(&arguments),
        CliCommand::Probe(arguments) => probe::probe(&arguments),
        CliCommand::Ask(arguments) => ask::ask(&arguments),
        CliCommand::Status(arguments) => status::status(&arguments),
        CliCommand::Events(arguments) => status::events(&arguments),
        CliCommand::Explain(arguments) => explain::explain(&arguments),
        CliCommand::Drain(arguments) => overrides::drain(&arguments),
        CliCommand::Force(arguments) => overrides::force(&arguments),
        CliCommand::Undrain(arguments) => overrides::undrain(&arguments),
        CliCommand::Init(arguments) => init::init(&arguments),
        CliCommand::Keygen(arguments) => keygen::keygen(&arguments),
        CliCommand::Dnskey(arguments) => dnskey::dnskey(&arguments),
        CliCommand::Schema => json(&config::json_schema()),
        CliCommand::Completions(arguments) => Ok(completions::completions(&arguments)),
        CliCommand::Manifest(arguments) => manifest::manifest(&arguments),
        CliCommand::Man(arguments) => man::man(&arguments),
        CliCommand::Version(arguments) => version::version(&arguments),
    }
}

/// Writes to standard output, without hidden characters.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    written(stdout.write_all(escaped_lines(text).as_bytes()).and_then(|()| stdout.flush()))
}

/// A reader that went away, as `head` does, has read enough; a disk that is full has not.
fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Run(format!("the output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

fn json(value: &impl serde::Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Run(error.to_string()))?;
    Ok(escaped_json(&text) + "\n")
}

/// Runs one future to its end on a runtime of two threads: the work is small, and a blocked one must not stop the other.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Run(format!("the runtime cannot be started: {error}")))?;
    let outcome = runtime.block_on(future);
    // A disk that hangs must not keep the process from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}
