//! `daymark sync`: one pass for cron and timers.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use daymark_cloudflare::Cloudflare;
use daymark_config::{self as config, Config, PoolConfig, ProviderConfig};
use daymark_decision::{Decision, Engine, Memory};
use daymark_discovery::{PassReport, discover_once};
use daymark_files::error_chain;
use daymark_provider::Provider;
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::log::{self, Format};
use super::{Failure, Outcome, Output, Own, block_on, json, print};
use crate::app::{self, RememberedNodes, Remembering};
use crate::discovery;
use crate::lock::{NotLocked, StateLock};
use crate::os::clock::Clock;
use crate::os::signals::{SignalRequest, Signals};
use crate::state::{Found, StateFile};
use crate::sync::{Done, Verdicts, judge};

/// How long a disk may take to save.
const DISK: Duration = Duration::from_secs(2);
/// How long the look for nodes may take.
const LOOK: Duration = Duration::from_secs(10);
/// How long a look at what else there is to say may take, also where the deadline is nearer.
const CHECK: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    own: Own,
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
    /// What has changed of the nodes that are found, as sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    found: Vec<String>,
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
    let config = Config::load_without_keys(&arguments.config, arguments.own.name.as_deref())?;
    let is_writing = |provider: &ProviderConfig| matches!(provider, ProviderConfig::Cloudflare(_));
    if !config.providers.iter().any(is_writing) {
        let sentence = "holds no provider that writes elsewhere, so there is nothing to do; `daymark run` serves DNS";
        return Err(Failure::Usage(config.finding("providers", "", sentence.to_owned()).to_string()));
    }
    let _log = log::start(Format::Text, "warn");
    let (report, stopped) = block_on(until_stopped(arguments, &config))?;
    let mut faults = faults(&report, stopped);
    let printed = match arguments.output {
        Output::Json => json(&report),
        Output::Text => Ok(text(&report, arguments.dry_run)),
    };
    // Why the exit code is not 0 is told also where the output is lost.
    if let Err(lost) = printed.and_then(|text| print(&text)) {
        faults.push(lost.to_string());
    }
    if faults.is_empty() { Ok(String::new()) } else { Err(Failure::Run(faults.join("\n"))) }
}

/// One pass. The first signal ends it in order, and then it says so; the second one ends it at once.
async fn until_stopped(arguments: &Arguments, config: &Config) -> Result<(Report, bool), Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::Run(format!("signals cannot be taken: {error}")))?;
    let stop = CancellationToken::new();
    let mut pass = pin!(pass(arguments, config, &stop));
    loop {
        tokio::select! {
            report = &mut pass => return Ok((report?, stop.is_cancelled())),
            asked = signals.next() => match asked {
                // There is nothing to read again.
                SignalRequest::Reload => {}
                SignalRequest::Stop if stop.is_cancelled() => {
                    return Err(Failure::Run("stopped at once by a second signal".to_owned()));
                }
                SignalRequest::Stop => {
                    warn!("stopping after what is under way; a second signal stops at once");
                    stop.cancel();
                }
            }
        }
    }
}

async fn pass(arguments: &Arguments, config: &Config, stop: &CancellationToken) -> Result<Report, Failure> {
    let (clock, deadline) = (Clock::start(), Instant::now() + arguments.deadline);
    let state = State { dir: config.state_dir.as_deref(), is_written: !arguments.dry_run, clock };
    let _lock = state.lock()?;
    let cloudflares = app::cloudflares(config, |file| state.look(file));
    let cloudflares = cloudflares.map_err(|sentences| Failure::Usage(sentences.join("\n")))?;
    warn_of_short(arguments.deadline, config);
    let memory = state.dir.map(StateFile::new).and_then(|file| app::told(state.look(&file)));
    let found = find(config, memory.unwrap_or_default(), &state, deadline);
    let verdicts = async {
        let (engine, pools, news) = found.await;
        (judge(&pools, engine, clock, deadline).await, news)
    };
    let (Verdicts { decision, memory, unclear, unjudged, alarms }, found) = tokio::select! {
        verdicts = verdicts => verdicts,
        () = stop.cancelled() => return Err(Failure::Run("stopped before anything was published".to_owned())),
    };
    for sentence in unclear.iter().chain(&alarms) {
        warn!("{sentence}");
    }
    state.keep(state.dir.map(StateFile::new), memory).await;
    let done = cloudflares.into_iter().map(|it| publish(it, &decision, arguments, deadline, &state, stop));
    // A provider of which no pool could be judged has nothing to be told.
    let providers = if decision.answers.is_empty() { Vec::new() } else { join_all(done).await };
    Ok(Report { found, providers, unclear, unjudged, alarms })
}

/// Looks for nodes where that is wanted, and keeps what is found; gives the core for the pools as they are then, and what has
/// changed, as sentences.
async fn find(
    config: &Config,
    memory: Memory,
    state: &State<'_>,
    deadline: Instant,
) -> (Engine, Vec<PoolConfig>, Vec<String>) {
    let RememberedNodes { mut discovered, file } = app::remembered_nodes(config, |file| state.look(file));
    // A dry run reports every failure, also one that was reported before.
    discovered.0.values_mut().filter(|_| !state.is_written).for_each(|nodes| nodes.failure_reported = false);
    let before = discovery::complete(&discovered, &config.pools);
    let mut engine = app::engine(&before, None, memory, &state.clock);
    let (now, until) = (state.clock.now(), deadline.min(Instant::now() + LOOK));
    let pools: Vec<_> = discovery::with_discovery(&config.pools).collect();
    let PassReport { events, failures } = discover_once(&mut discovered, &pools, &engine, now, until).await;
    for message in failures {
        warn!("{message}");
    }
    let pools = discovery::complete(&discovered, &config.pools);
    if pools != before {
        engine.handle_policy(pools.iter().map(|it| it.pool.clone()).collect(), now);
    }
    let changed = file.filter(|saved| saved.content != discovered);
    state.keep(changed.map(|saved| saved.file), discovered).await;
    (engine, pools, events)
}

/// Publishes, remembers, and only then looks at what else there is to say.
async fn publish(
    (cloudflare, memory): Remembering,
    decision: &Decision,
    arguments: &Arguments,
    deadline: Instant,
    state: &State<'_>,
    stop: &CancellationToken,
) -> Done {
    let is_first = memory.as_ref().is_none_or(|(_, saved)| saved.is_none());
    let mut done = if arguments.dry_run {
        Done::planned(&cloudflare, decision).await
    } else {
        Done::published(&cloudflare, decision, deadline, stop).await
    };
    if let Some(remembered) = cloudflare.memory() {
        state.keep(memory.map(|(file, _)| file), remembered).await;
    }
    // Where all is as it was, the operator was told before. A world out of reach has nothing to say.
    let is_news = is_first || arguments.dry_run || !done.edits.is_empty() || done.fault.is_some();
    if is_news && !done.is_passing {
        check(&mut done, &cloudflare, deadline, stop).await;
    }
    done
}

/// A probe that no one waits for finds nothing.
fn warn_of_short(deadline: Duration, config: &Config) {
    for PoolConfig { pool, probe, .. } in config.pools.iter().filter(|it| deadline <= it.probe.timeout) {
        let (name, timeout) = (&pool.name, probe.timeout);
        warn!(
            "{name}: the deadline {deadline:?} is not above its probe `timeout` {timeout:?}, so a node that is silent cannot be \
             found down within it"
        );
    }
}

/// Looks at what else there is to say, and says it.
async fn check(done: &mut Done, cloudflare: &Cloudflare, deadline: Instant, stop: &CancellationToken) {
    let deadline = deadline.max(Instant::now() + CHECK);
    let findings = tokio::select! {
        findings = timeout_at(deadline, cloudflare.check()) => findings.ok().flatten().unwrap_or_default(),
        () = stop.cancelled() => Vec::new(),
    };
    done.found(findings);
    for finding in &done.findings {
        warn!("provider {}: {finding}", done.provider);
    }
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
            Err(held @ NotLocked::InUse { .. }) => Err(Failure::Run(held.to_string())),
            Err(impossible) => {
                warn!("{}", error_chain(&impossible));
                Ok(None)
            }
        }
    }

    /// Reads a file; one that cannot be used is set aside, unless this is a dry run.
    fn look<M: Serialize + DeserializeOwned>(&self, file: &StateFile<M>) -> Found<M> {
        if self.is_written { file.load(self.clock.now()) } else { file.look() }
    }

    /// Saves, for as long as a disk may take. What cannot be saved is a warning.
    async fn keep<M>(&self, file: Option<StateFile<M>>, memory: M)
    where
        M: Serialize + DeserializeOwned + Send + 'static,
    {
        let Some(file) = file.filter(|_| self.is_written) else { return };
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
    let mut text: String = report.found.iter().map(|sentence| format!("{sentence}\n")).collect();
    for Done { provider, edits, fault, .. } in &report.providers {
        if edits.is_empty() && fault.is_none() {
            text.push_str(&format!("{provider}: nothing to change\n"));
        }
        for edit in edits {
            let would = if dry_run { "would " } else { "" };
            let changes = edit.changes.iter().map(|change| format!("{provider}: {}: {would}{change}\n", edit.pool));
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
