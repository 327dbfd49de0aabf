//! `daymark sync`: one pass for cron and timers.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use daymark_cloudflare::{Cloudflare, Settings};
use daymark_decision::Decision;
use daymark_provider::Provider;
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::log::{self, Format};
use super::{Failure, Outcome, Output, block_on, json, print};
use crate::app;
use crate::clock::Clock;
use crate::config::{self, Config, ProviderConfig};
use crate::fault::chain;
use crate::lock::{NotLocked, StateLock};
use crate::signals::{Asked, Signals};
use crate::state::{Found, StateFile};
use crate::sync::{Done, Verdicts, judge};

/// How long a disk may take to save.
const DISK: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// How long to wait for clear verdicts, and to try again where a provider cannot be reached
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = config::duration)]
    deadline: Duration,
    /// Show what would be written, and write nothing, not even the state
    #[arg(long)]
    dry_run: bool,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What one pass came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// What was done at each provider, or would be.
    providers: Vec<Done>,
    /// The targets without a clear verdict, as sentences.
    unclear: Vec<String>,
    /// The pools that are not published for want of any verdict, as sentences.
    unjudged: Vec<String>,
    /// The pools of which no target is usable, as sentences.
    alarms: Vec<String>,
}

pub(super) fn sync(arguments: &Arguments) -> Outcome {
    let config = Config::load(&arguments.config)?;
    let settings = writing(&config);
    if settings.is_empty() {
        let sentence = "holds no provider that writes elsewhere, so there is nothing to do; `daymark run` serves DNS";
        return Err(Failure::Usage(config.finding("providers", "", sentence.to_owned()).to_string()));
    }
    log::start(Format::Text, "warn");
    let (report, stopped) = block_on(until_stopped(arguments, &config, settings))?;
    print(&match arguments.output {
        Output::Json => json(&report)?,
        Output::Text => text(&report, arguments.dry_run),
    })?;
    let faults = faults(&report, stopped);
    if faults.is_empty() { Ok(String::new()) } else { Err(Failure::Run(faults.join("\n"))) }
}

/// The providers that write elsewhere. A server of our own shows its answers only while it runs.
fn writing(config: &Config) -> Vec<Settings> {
    let of = |provider: &ProviderConfig| match provider {
        ProviderConfig::Authoritative(_) => None,
        ProviderConfig::Cloudflare(settings) => Some(settings.clone()),
    };
    config.providers.iter().filter_map(of).collect()
}

/// One pass. The first signal ends it in order, and then it says so; the second one ends it at once.
async fn until_stopped(
    arguments: &Arguments,
    config: &Config,
    settings: Vec<Settings>,
) -> Result<(Report, bool), Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::Run(format!("signals cannot be taken: {error}")))?;
    let stop = CancellationToken::new();
    let mut pass = pin!(pass(arguments, config, settings, &stop));
    loop {
        tokio::select! {
            report = &mut pass => return Ok((report?, stop.is_cancelled())),
            asked = signals.next() => match asked {
                // There is nothing to read again.
                Asked::Reload => {}
                Asked::Stop if stop.is_cancelled() => {
                    return Err(Failure::Run("stopped at once by a second signal".to_owned()));
                }
                Asked::Stop => {
                    warn!("stopping after what is under way; a second signal stops at once");
                    stop.cancel();
                }
            }
        }
    }
}

async fn pass(
    arguments: &Arguments,
    config: &Config,
    settings: Vec<Settings>,
    stop: &CancellationToken,
) -> Result<Report, Failure> {
    let (clock, deadline) = (Clock::start(), Instant::now() + arguments.deadline);
    let state = State { dir: config.state_dir.as_deref(), is_written: !arguments.dry_run, clock };
    let _lock = state.lock()?;
    let providers = state.providers(settings)?;
    let engine = app::engine(config, state.find(StateFile::new).unwrap_or_default(), &clock);
    let Verdicts { decision, memory, unclear, unjudged, alarms } = tokio::select! {
        verdicts = judge(&config.pools, engine, clock, deadline) => verdicts,
        () = stop.cancelled() => return Err(Failure::Run("stopped before anything was published".to_owned())),
    };
    for sentence in unclear.iter().chain(&alarms) {
        warn!("{sentence}");
    }
    state.keep(StateFile::new, memory).await;
    let done = providers.iter().map(|cloudflare| async {
        if arguments.dry_run {
            Done::planned(cloudflare, &decision).await
        } else {
            published(cloudflare, &decision, &state, deadline, stop).await
        }
    });
    // A provider of which no pool could be judged has nothing to be told.
    let providers = if decision.answers.is_empty() { Vec::new() } else { join_all(done).await };
    Ok(Report { providers, unclear, unjudged, alarms })
}

/// Publishes, remembers, and only then looks at what else there is to say.
async fn published(
    cloudflare: &Cloudflare,
    decision: &Decision,
    state: &State<'_>,
    deadline: Instant,
    stop: &CancellationToken,
) -> Done {
    let mut done = Done::published(cloudflare, decision, deadline, stop).await;
    if let Some(memory) = cloudflare.memory() {
        state.keep(|dir| StateFile::of_provider(dir, cloudflare.name()), memory).await;
    }
    if !done.is_passing {
        done.findings = tokio::select! {
            findings = cloudflare.check() => findings.unwrap_or_default(),
            () = stop.cancelled() => Vec::new(),
        };
    }
    for finding in &done.findings {
        warn!("provider {}: {finding}", done.provider);
    }
    done
}

/// The state directory in one pass. A dry run only looks.
struct State<'a> {
    dir: Option<&'a Path>,
    is_written: bool,
    clock: Clock,
}

impl State<'_> {
    fn lock(&self) -> Result<Option<StateLock>, Failure> {
        let Some(dir) = self.dir.filter(|_| self.is_written) else { return Ok(None) };
        match StateLock::take(dir, "daymark sync") {
            Ok(lock) => Ok(Some(lock)),
            Err(held @ NotLocked::Held { .. }) => Err(Failure::Run(held.to_string())),
            Err(impossible) => {
                warn!("{}", chain(&impossible));
                Ok(None)
            }
        }
    }

    /// What a file remembers. Where it cannot be used, that is a warning.
    fn find<M: Serialize + DeserializeOwned>(&self, file: impl FnOnce(&Path) -> StateFile<M>) -> Option<M> {
        let file = self.dir.map(file)?;
        let Found { memory, warning } = if self.is_written { file.load(self.clock.now()) } else { file.look() };
        if let Some(warning) = warning {
            warn!("{warning}");
        }
        memory
    }

    /// Each provider with what it remembers.
    fn providers(&self, settings: Vec<Settings>) -> Result<Vec<Cloudflare>, Failure> {
        let provider = |settings: Settings| {
            let memory = self.find(|dir| StateFile::of_provider(dir, &settings.name));
            let name = settings.name.clone();
            Cloudflare::new(settings, memory).map_err(|error| Failure::Usage(format!("{name}: {}", chain(&error))))
        };
        settings.into_iter().map(provider).collect()
    }

    /// Saves, for as long as a disk may take. What cannot be saved is a warning.
    async fn keep<M>(&self, file: impl FnOnce(&Path) -> StateFile<M>, memory: M)
    where
        M: Serialize + DeserializeOwned + Send + 'static,
    {
        let Some(file) = self.dir.filter(|_| self.is_written).map(file) else { return };
        let path = file.path();
        let saving = tokio::task::spawn_blocking(move || file.save(&memory));
        let late = || io::Error::other("the disk does not answer");
        let saved = timeout(DISK, saving).await.map_err(|_| late()).and_then(|it| it.map_err(io::Error::other)?);
        if let Err(error) = saved {
            let path = path.display();
            warn!(
                "the state file {path} cannot be written: {error}; the next pass does not know what this one has seen"
            );
        }
    }
}

fn text(report: &Report, dry_run: bool) -> String {
    let mut text = String::new();
    for Done { provider, edits, fault, .. } in &report.providers {
        if edits.is_empty() && fault.is_none() {
            text.push_str(&format!("{provider}: nothing to change\n"));
        }
        for edit in edits {
            let changes = edit.changes.iter().map(|change| format!("{provider}: {}: {change}\n", edit.pool));
            text.extend(changes);
            if dry_run {
                let body = edit.body.as_ref().map(|body| format!("  {body}\n")).unwrap_or_default();
                text.push_str(&format!("  {} {}\n{body}", edit.method, edit.path));
            }
        }
    }
    text
}

/// Why the exit code is not 0, as sentences.
fn faults(report: &Report, stopped: bool) -> Vec<String> {
    let of_provider = |done: &Done| done.fault.as_ref().map(|fault| format!("{}: {fault}", done.provider));
    let mut faults = report.unjudged.clone();
    faults.extend(report.providers.iter().filter_map(of_provider));
    if stopped {
        faults.push("stopped by a signal".to_owned());
    }
    faults
}
