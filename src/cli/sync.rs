//! `daymark sync`: one pass, for cron and timers.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use daymark_config::{self as config, Config, ConfigErrors, PoolConfig, ProviderConfig, SyncConfig};
use daymark_decision::{Decision, Engine, Memory, duration_text};
use daymark_discovery::{PassReport, discover_once};
use daymark_files::error_chain;
use daymark_provider::{CheckReport, RemoteProvider};
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use tracing::warn;

use super::log::{self, Format};
use super::{ConfigArguments, Failure, Outcome, Output, block_on, json, print, signals};
use crate::app::{self, RememberedNodes, RememberingProvider};
use crate::node_discovery;
use crate::os::clock::Clock;
use crate::os::descriptors;
use crate::os::signals::{SignalRequest, Signals};
use crate::ping::ping;
use crate::state::{Loaded, StateFile};
use crate::state::{LockError, StateLock};
use crate::sync::{ProviderReport, Verdicts, judge};

/// The time that the disk may take to save.
const SAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The time that discovery may take.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that the checks may take at least, also after the deadline.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigArguments,
    /// Time limit for settled verdicts, and for more attempts while a provider cannot be reached
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = config::duration)]
    deadline: Duration,
    /// Show the edits without making them; write nothing, not even the state
    #[arg(long)]
    dry_run: bool,
    /// The form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// The result of one pass.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SyncReport {
    /// The changes of the discovered nodes, as sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    discovered: Vec<String>,
    /// The edits at each provider.
    providers: Vec<ProviderReport>,
    /// The targets without a settled verdict, as sentences.
    unsettled: Vec<String>,
    /// The pools that are not published because no target has a verdict, as sentences.
    unpublished: Vec<String>,
    /// The pools without a usable target, as sentences.
    alarms: Vec<String>,
}

pub(super) fn sync(arguments: &Arguments) -> Outcome {
    let config = arguments.file.load_without_keys()?;
    if !config.providers.iter().any(ProviderConfig::is_remote) {
        let message = "has no remote provider, so there is nothing to publish; `daymark run` serves DNS";
        return Err(Failure::Usage(config.finding("providers", "", message.to_owned()).to_string()));
    }
    let _log = log::start(Format::Text, LevelFilter::WARN);
    descriptors::raise_limit();
    block_on(async {
        let done = printed_pass(arguments, &config).await;
        if !arguments.dry_run {
            report_to(&config.sync, &done).await;
        }
        done.map(|_| String::new())
    })
}

/// Makes one pass and prints it. Returns its changes and its warnings as text.
async fn printed_pass(arguments: &Arguments, config: &Config) -> Outcome {
    let Ended { report, is_stopped } = until_stopped(arguments, config).await?;
    let mut errors = errors(&report, is_stopped);
    let text = text(&report, arguments.dry_run);
    let printed = match arguments.output {
        Output::Json => json(&report),
        Output::Text => Ok(text.clone()),
    };
    // The reasons for an exit code other than 0 are reported also if the output is lost.
    if let Err(lost) = printed.and_then(|text| print(&text)) {
        errors.push(lost.to_string());
    }
    if errors.is_empty() {
        let findings = report.providers.iter().flat_map(|provider| &provider.findings);
        let warnings = report.unsettled.iter().chain(&report.alarms).chain(findings);
        Ok(warnings.fold(text, |text, warning| text + warning + "\n"))
    } else {
        Err(Failure::Run(errors.join("\n")))
    }
}

/// Posts the outcome of the pass to the URL of the configuration.
async fn report_to(SyncConfig { on_success, on_failure }: &SyncConfig, done: &Outcome) {
    let (key, url, body) = match done {
        Ok(text) => ("onSuccess", on_success, text.clone()),
        Err(failure) => ("onFailure", on_failure, failure.to_string()),
    };
    let Some(url) = url else { return };
    let stopped = async {
        match Signals::new() {
            Ok(mut signals) => while matches!(signals.next().await, SignalRequest::Reload) {},
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        pinged = ping(url, &body) => if let Err(error) = pinged {
            warn!("the URL of `sync.{key}` was not reached: {}; check the URL, its service and `SSL_CERT_FILE`", error_chain(&error));
        },
        () = stopped => warn!("the URL of `sync.{key}` was not reached before a signal stopped it"),
    }
}

/// The end of a pass.
struct Ended {
    report: SyncReport,
    /// True if a signal stopped it.
    is_stopped: bool,
}

/// Makes one pass. The first signal ends it in order, the second one at once.
async fn until_stopped(arguments: &Arguments, config: &Config) -> Result<Ended, Failure> {
    let mut signals = signals()?;
    let stop = CancellationToken::new();
    let mut pass = pin!(pass(arguments, config, &stop));
    loop {
        tokio::select! {
            report = &mut pass => return Ok(Ended { report: report?, is_stopped: stop.is_cancelled() }),
            asked = signals.next() => match asked {
                // A single pass has nothing to reload.
                SignalRequest::Reload => {}
                SignalRequest::Stop if stop.is_cancelled() => {
                    return Err(Failure::Run("stopped at once by a second signal".to_owned()));
                }
                SignalRequest::Stop => {
                    warn!("stopping after the calls in progress; a second signal stops at once");
                    stop.cancel();
                }
            }
        }
    }
}

async fn pass(arguments: &Arguments, config: &Config, stop: &CancellationToken) -> Result<SyncReport, Failure> {
    let clock = Clock::start();
    let deadline = Instant::now() + arguments.deadline;
    let state = SyncState { dir: config.state_dir.as_deref(), is_written: !arguments.dry_run, clock };
    let _lock = state.lock()?;
    let providers = app::remote_providers(config, |file| state.look(file));
    let providers = providers.map_err(ConfigErrors)?;
    warn_of_short(arguments.deadline, config);
    let memory = state.dir.map(StateFile::new).and_then(|file| app::loaded(state.look(&file)));
    let discovering = discover(config, memory.unwrap_or_default(), &state, deadline);
    let verdicts = async {
        let AfterDiscovery { engine, pools, changes } = discovering.await;
        (judge(&pools, engine, clock, deadline).await, changes)
    };
    let (verdicts, discovered) = tokio::select! {
        verdicts = verdicts => verdicts,
        () = stop.cancelled() => return Err(Failure::Run("stopped before anything was published".to_owned())),
    };
    let Verdicts { decision, memory, unsettled, unpublished, alarms } = verdicts;
    for message in unsettled.iter().chain(&alarms) {
        warn!("{message}");
    }
    state.keep(state.dir.map(StateFile::new), memory).await;
    let reports = providers.into_iter().map(|provider| publish(provider, &decision, arguments, deadline, &state, stop));
    // Without any answer there is nothing to publish.
    let providers = if decision.answers.is_empty() { Vec::new() } else { join_all(reports).await };
    Ok(SyncReport { discovered, providers, unsettled, unpublished, alarms })
}

/// The core and the pools after discovery.
struct AfterDiscovery {
    engine: Engine,
    pools: Vec<PoolConfig>,
    /// The changes of the discovered nodes, as sentences.
    changes: Vec<String>,
}

/// Discovers nodes if that is configured, and saves them.
async fn discover(config: &Config, memory: Memory, state: &SyncState<'_>, deadline: Instant) -> AfterDiscovery {
    let RememberedNodes { mut discovered, file } = app::remembered_nodes(config, |file| state.look(file));
    // A dry run reports every failure, also one that was reported before.
    discovered.0.values_mut().filter(|_| !state.is_written).for_each(|nodes| nodes.failure_reported = false);
    let before = node_discovery::complete(&discovered, &config.pools);
    let mut engine = app::engine(&before, None, memory, &state.clock);
    let now = state.clock.now();
    let until = deadline.min(Instant::now() + DISCOVERY_TIMEOUT);
    let pools: Vec<_> = node_discovery::with_discovery(&config.pools).collect();
    let PassReport { events, failures } = discover_once(&mut discovered, &pools, &engine, now, until).await;
    for message in failures {
        warn!("{message}");
    }
    let pools = node_discovery::complete(&discovered, &config.pools);
    if pools != before {
        engine.handle_policy(pools.iter().map(|config| config.pool.clone()).collect(), now);
    }
    let changed = file.filter(|saved| saved.content != discovered);
    state.keep(changed.map(|saved| saved.file), discovered).await;
    AfterDiscovery { engine, pools, changes: events }
}

/// Publishes to one provider, saves its memory, and then asks for its findings.
async fn publish(
    remembering: RememberingProvider,
    decision: &Decision,
    arguments: &Arguments,
    deadline: Instant,
    state: &SyncState<'_>,
    stop: &CancellationToken,
) -> ProviderReport {
    let RememberingProvider { provider, memory } = remembering;
    let is_first = memory.as_ref().is_none_or(|memory| memory.saved.is_none());
    let mut report = if arguments.dry_run {
        ProviderReport::plan(&*provider, decision).await
    } else {
        ProviderReport::publish(&*provider, decision, deadline, stop).await
    };
    if let Some(remembered) = provider.memory() {
        state.keep(memory.map(|memory| memory.file), remembered).await;
    }
    // If nothing has changed, an earlier pass has reported the findings. A system that cannot be reached has none.
    let is_changed = is_first || arguments.dry_run || !report.edits.is_empty() || report.error.is_some();
    if is_changed && !report.is_temporary {
        check(&mut report, &*provider, deadline, stop).await;
    }
    report
}

/// Warns of a deadline that ends before a probe can time out.
fn warn_of_short(deadline: Duration, config: &Config) {
    for PoolConfig { pool, probe, .. } in config.pools.iter().filter(|config| deadline <= config.probe.timeout) {
        let name = &pool.name;
        let timeout = duration_text(probe.timeout);
        let deadline = duration_text(deadline);
        warn!(
            "{name}: the deadline {deadline} is not longer than its probe `timeout` {timeout}, so a silent node \
             cannot be found in time; raise `--deadline`"
        );
    }
}

/// Asks for findings, and reports them.
async fn check(
    report: &mut ProviderReport,
    provider: &dyn RemoteProvider,
    deadline: Instant,
    stop: &CancellationToken,
) {
    let deadline = deadline.max(Instant::now() + CHECK_TIMEOUT);
    let checked = tokio::select! {
        report = timeout_at(deadline, provider.check()) => report.unwrap_or_default(),
        () = stop.cancelled() => CheckReport::default(),
    };
    report.add_report(checked);
    for finding in &report.findings {
        warn!("provider {}: {finding}", report.provider);
    }
}

/// The state directory in one pass. A dry run only reads it.
struct SyncState<'a> {
    dir: Option<&'a Path>,
    is_written: bool,
    clock: Clock,
}

impl SyncState<'_> {
    fn lock(&self) -> Result<Option<StateLock>, Failure> {
        let Some(dir) = self.dir.filter(|_| self.is_written) else { return Ok(None) };
        match StateLock::take(dir, "daymark sync") {
            Ok(lock) => Ok(Some(lock)),
            Err(held @ LockError::InUse { .. }) => Err(Failure::Run(held.to_string())),
            Err(impossible) => {
                warn!("{}", error_chain(&impossible));
                Ok(None)
            }
        }
    }

    /// Reads a file. One that cannot be used is set aside, unless this is a dry run.
    fn look<M: Serialize + DeserializeOwned>(&self, file: &StateFile<M>) -> Loaded<M> {
        if self.is_written { file.load(self.clock.now()) } else { file.peek() }
    }

    /// Saves a memory within [`SAVE_TIMEOUT`]. A failure is a warning.
    async fn keep<M>(&self, file: Option<StateFile<M>>, memory: M)
    where
        M: Serialize + DeserializeOwned + Send + 'static,
    {
        let Some(file) = file.filter(|_| self.is_written) else { return };
        let path = file.path();
        let saving = tokio::task::spawn_blocking(move || file.save(&memory));
        let late = || io::Error::other("the disk does not answer");
        let saved = timeout(SAVE_TIMEOUT, saving)
            .await
            .map_err(|_| late())
            .and_then(|saved| saved.map_err(io::Error::other)?);
        if let Err(error) = saved {
            let path = path.display();
            warn!(
                "the state file {path} cannot be written: {error}; the next pass does not know the observations of this one"
            );
        }
    }
}

fn text(report: &SyncReport, dry_run: bool) -> String {
    let mut text: String = report.discovered.iter().map(|message| format!("{message}\n")).collect();
    for ProviderReport { provider, edits, error, notes, .. } in &report.providers {
        if edits.is_empty() && error.is_none() {
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
        text.extend(notes.iter().map(|note| format!("{provider}: note: {note}\n")));
    }
    text
}

/// The reasons for an exit code other than 0, as sentences.
fn errors(report: &SyncReport, is_stopped: bool) -> Vec<String> {
    let of_provider =
        |report: &ProviderReport| report.error.as_ref().map(|error| format!("{}: {error}", report.provider));
    let mut errors = report.unpublished.clone();
    errors.extend(report.providers.iter().filter_map(of_provider));
    if is_stopped {
        errors.push("stopped by a signal".to_owned());
    }
    errors
}
