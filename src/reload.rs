//! Applies a changed configuration to the running tasks, whole or not at all.
//!
//! A reload has two halves. `Prepared::new` checks and builds everything that can fail, and changes nothing.
//! `Reloader::commit` then changes everything, and nothing in it can fail.
//!
//! A reload is asked for by SIGHUP, or by a changed file: the configuration, the zone file and its includes are compared every
//! second, behind their symbolic links, so that the swapped link of a mounted `ConfigMap` counts as well as an edit.

mod fixed_keys;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::Authoritative;
use daymark_config::{AuthoritativeConfig, Config, Finding, PoolConfig};
use daymark_decision::Pool;
use daymark_files::FileVersion;
use daymark_probe::Supervisor;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use self::fixed_keys::changed_fixed_keys;
use crate::descriptors;
use crate::driver::{Gone, Handle, ReloadPermit};
use crate::expiries::PoolExpiries;
use crate::last_good::{GoodConfig, GoodConfigWriter};
use crate::node_discovery::PersistentDiscovery;
use crate::os::blocking::{BlockingError, BlockingThread};
use crate::os::notify;
use crate::peers;
use crate::start::ConfigFile;
use crate::zones::{self, LoadedZones};

/// The interval at which the files are compared.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The longest wait for the files of the configuration.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The sentence before the reasons of a refusal, in the log and in the alarm.
pub const REFUSED: &str = "the new configuration is refused, and the old one stays";

/// The reason for which the newest configuration is refused. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Refused(Arc<Mutex<Option<String>>>);

impl Refused {
    /// The first reason, with the number of the others; `None` if the newest configuration is active.
    pub fn reason(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// The task that reloads the configuration.
pub struct Reloader {
    file: Option<PathBuf>,
    config: Config,
    good: GoodConfigWriter,
    driver: Handle,
    probes: Supervisor,
    discovery: PersistentDiscovery,
    authoritative: Option<Arc<Authoritative>>,
    zone_files: BTreeSet<PathBuf>,
    /// The refused configuration. It is read again when one of its files changes.
    refused: Option<Config>,
    reason: Refused,
    expiries: PoolExpiries,
    /// The files at the start of the run, and the configuration as it was before it was read. A change before the first comparison
    /// is noticed by it.
    versions: FileVersions,
    /// The thread that reads the files.
    reader: BlockingThread,
}

/// The version of each file.
type FileVersions = BTreeMap<PathBuf, FileVersion>;

/// A configuration as its files have it, with its zones.
struct LoadedConfig {
    config: Config,
    zones: Result<LoadedZones, Vec<Finding>>,
}

/// A reason to refuse a new configuration, as a sentence with its key.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    /// The configuration is wrong, or a file that it names.
    #[error("{0}")]
    Configuration(Finding),
    /// Its files cannot be looked at.
    #[error("the files of the configuration cannot be read: {0}")]
    Files(#[from] BlockingError),
    /// The key is read at the start alone.
    #[error("{key} cannot change while Daymark runs; restart Daymark")]
    FixedKey { key: String },
    /// The driver takes no new pools now.
    #[error(transparent)]
    Driver(#[from] Gone),
}

/// A checked configuration, with everything that can fail already built.
struct Prepared {
    config: Config,
    zones: LoadedZones,
    driver: ReloadPermit,
}

impl Prepared {
    /// Checks a new configuration against the present one, and builds everything that can fail. Changes nothing.
    async fn new(
        present: &Config,
        config: Config,
        zones: Result<LoadedZones, Vec<Finding>>,
        driver: &Handle,
    ) -> Result<Self, Vec<ReloadError>> {
        let fixed = changed_fixed_keys(present, &config);
        if !fixed.is_empty() {
            return Err(fixed.into_iter().map(|key| ReloadError::FixedKey { key }).collect());
        }
        let zones = zones.map_err(configuration_errors)?;
        let driver = driver.reserve_reload().await.map_err(|gone| vec![gone.into()])?;
        Ok(Self { config, zones, driver })
    }
}

impl Reloader {
    /// Applies the first configuration, which was read from `file`, to the probes and to discovery.
    pub fn new(
        file: Option<ConfigFile>,
        config: Config,
        good: GoodConfigWriter,
        driver: Handle,
        mut probes: Supervisor,
        mut discovery: PersistentDiscovery,
        authoritative: Option<Arc<Authoritative>>,
    ) -> Self {
        probes.configure(discovery.pools(&config.pools).iter().map(PoolConfig::probed));
        discovery.configure(&config.pools);
        let mut reloader = Self {
            zone_files: zones::files(&config),
            versions: file.iter().map(|file| (file.path.clone(), file.version.clone())).collect(),
            file: file.map(|file| file.path),
            config,
            good,
            driver,
            probes,
            discovery,
            authoritative,
            refused: None,
            reason: Refused::default(),
            expiries: PoolExpiries::default(),
            reader: BlockingThread::start("configuration"),
        };
        reloader.expiries.set(reloader.probes.probers());
        reloader.watch_more();
        reloader
    }

    /// Refuses the newest configuration for these errors, if there are some: the one of this start is older. `newest` is the
    /// refused one, if it could be read.
    pub fn refuse_newest(&mut self, errors: Vec<Finding>, newest: Option<Config>) {
        if !errors.is_empty() {
            self.refuse(&configuration_errors(errors));
        }
        self.zone_files.extend(newest.iter().flat_map(zones::files));
        self.refused = newest;
        self.watch_more();
    }

    /// Notes the versions of the files that have none yet.
    fn watch_more(&mut self) {
        let noted = std::mem::take(&mut self.versions);
        self.versions = versions(&self.watched_files());
        self.versions.extend(noted);
    }

    /// The reason for which the newest configuration is refused. It follows the reloader.
    pub fn refused(&self) -> Refused {
        self.reason.clone()
    }

    /// The ends of what the probes trust and show. They follow the reloader.
    pub fn expiries(&self) -> PoolExpiries {
        self.expiries.clone()
    }

    /// Applies changes until the shutdown, then stops every probe and every finder.
    pub async fn run(mut self, asked: Arc<Notify>, shutdown: CancellationToken) {
        self.discovery.save().await;
        self.good.save().await;
        let mut applied = std::mem::take(&mut self.versions);
        let mut settling: Option<FileVersions> = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.discovery.changed() => self.change_nodes().await,
                () = self.probes.restart_next_crashed() => {}
                () = self.good.attention() => self.good.save().await,
                () = asked.notified() => {
                    notify::reloading();
                    let current = self.current_versions().await;
                    self.reload_from(current, &mut applied).await;
                    settling = None;
                    notify::ready();
                }
                () = tokio::time::sleep(POLL_INTERVAL), if self.file.is_some() => {
                    let current = match self.current_versions().await {
                        Ok(current) => current,
                        Err(error) => {
                            self.lose_files(&mut applied, error);
                            continue;
                        }
                    };
                    // A file that is still being written is left until it has not changed for one interval.
                    let has_settled = settling.as_ref() == Some(&current);
                    settling = (current != applied).then(|| current.clone());
                    if current != applied && has_settled {
                        self.reload_from(Ok(current), &mut applied).await;
                        settling = None;
                    }
                }
            }
        }
        self.probes.stop().await;
        self.discovery.stop().await;
    }

    /// Applies the present configuration to the nodes that discovery knows now.
    async fn change_nodes(&mut self) {
        let pools = self.discovery.pools(&self.config.pools);
        // A stuck driver takes them with the next change, and the watchdog reports it.
        if let Err(gone) = self.driver.change_nodes(policies(&pools)).await {
            return warn!("the discovered nodes are not applied: {gone}");
        }
        self.probes.configure(pools.iter().map(PoolConfig::probed));
    }

    /// Reloads. `applied` becomes the versions from before, because a change during the reload may have been missed. A file that
    /// was not named before has no such version, so it is read once more.
    async fn reload_from(&mut self, current: Result<FileVersions, BlockingError>, applied: &mut FileVersions) {
        match self.try_reload_from(current).await {
            Ok(versions) => *applied = versions,
            Err(error) => self.lose_files(applied, error),
        }
    }

    async fn try_reload_from(
        &mut self,
        current: Result<FileVersions, BlockingError>,
    ) -> Result<FileVersions, BlockingError> {
        let current = current?;
        // A changed file may have other includes.
        self.zone_files = self.named_files().await?;
        let mut versions = self.current_versions().await?;
        versions.extend(current);
        self.reload().await?;
        self.zone_files = self.named_files().await?;
        versions.retain(|file, _| self.file.as_ref() == Some(file) || self.zone_files.contains(file));
        Ok(versions)
    }

    /// Refuses files that cannot be looked at. Once they can be, they are read again.
    fn lose_files(&self, applied: &mut FileVersions, error: BlockingError) {
        if !applied.is_empty() {
            self.refuse(&[error.into()]);
            applied.clear();
        }
    }

    async fn reload(&mut self) -> Result<(), BlockingError> {
        let Some(file) = self.file.clone() else {
            warn!("there is no configuration file to read again, because Daymark was started with flags");
            return Ok(());
        };
        let present = self.config.clone();
        let loaded = self.read(move || {
            present.load_again(&file).map(|config| {
                let zones = zones::load(&config);
                LoadedConfig { config, zones }
            })
        });
        let LoadedConfig { config, zones } = match loaded.await? {
            Ok(loaded) => loaded,
            Err(errors) => {
                self.refuse(&configuration_errors(errors.0));
                return Ok(());
            }
        };
        match Prepared::new(&self.config, config.clone(), zones, &self.driver).await {
            Ok(prepared) => self.commit(prepared).await,
            Err(reasons) => {
                self.refuse(&reasons);
                self.refused = Some(config);
            }
        }
        Ok(())
    }

    fn refuse(&self, reasons: &[ReloadError]) {
        *self.reason.0.lock() = summary(reasons);
        error!("{REFUSED}");
        for reason in reasons {
            error!("{reason}");
        }
    }

    /// Changes everything. Nothing here can fail.
    async fn commit(&mut self, prepared: Prepared) {
        let Prepared { config, zones, driver } = prepared;
        let LoadedZones { zones, zone_file } = zones;
        let hashes = peers::configuration_hashes(&config.pools, &zones.signing_lines());
        if let Some(authoritative) = &self.authoritative {
            authoritative.configure(zones);
            if let Some(AuthoritativeConfig { rate_limit, .. }) = zones::authoritative(&config) {
                authoritative.limit_rate(rate_limit.clone());
            }
        }
        let good = GoodConfig::new(self.file.as_deref(), &config, zone_file.as_ref());
        self.discovery.configure(&config.pools);
        self.discovery.save().await;
        let pools = self.discovery.pools(&config.pools);
        // The new generation that this gives raises the serial of the zones.
        driver.reload(policies(&pools), hashes).await;
        self.probes.configure(pools.iter().map(PoolConfig::probed));
        let is_new = |warning: &&Finding| !self.config.warnings.contains(warning);
        config.warnings.iter().filter(is_new).for_each(|warning| warn!("{warning}"));
        descriptors::warn_after_reload(&self.config, &config);
        self.expiries.set(self.probes.probers());
        self.config = config;
        self.refused = None;
        *self.reason.0.lock() = None;
        self.good.set(good).await;
    }

    /// The zone files that the configuration names, and those of the refused one.
    fn named_files(&self) -> impl Future<Output = Result<BTreeSet<PathBuf>, BlockingError>> + Send + use<> {
        let configs: Vec<Config> = [&self.config].into_iter().chain(&self.refused).cloned().collect();
        self.read(move || configs.iter().flat_map(zones::files).collect())
    }

    fn current_versions(&self) -> impl Future<Output = Result<FileVersions, BlockingError>> + Send + use<> {
        let files = self.watched_files();
        self.read(move || versions(&files))
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        self.file.iter().chain(&self.zone_files).cloned().collect()
    }

    /// Reads on a thread of its own, and gives up on a disk that does not answer.
    fn read<T, F>(&self, read: F) -> impl Future<Output = Result<T, BlockingError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let read = self.reader.run(read);
        async { tokio::time::timeout(READ_TIMEOUT, read).await.unwrap_or(Err(BlockingError::Busy)) }
    }
}

fn versions(files: &[PathBuf]) -> FileVersions {
    files.iter().map(|file| (file.clone(), FileVersion::of(file))).collect()
}

/// The first reason, and the number of the others: `daymark.yaml:5:1: … (1 more in the log)`.
fn summary(reasons: &[ReloadError]) -> Option<String> {
    match reasons {
        [] => None,
        [one] => Some(one.to_string()),
        [first, others @ ..] => Some(format!("{first} ({} more in the log)", others.len())),
    }
}

fn configuration_errors(findings: Vec<Finding>) -> Vec<ReloadError> {
    findings.into_iter().map(ReloadError::Configuration).collect()
}

/// The policies of the pools.
fn policies(pools: &[PoolConfig]) -> Vec<Pool> {
    pools.iter().map(|config| config.pool.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_a_refusal_says_how_many_reasons_it_leaves_out() {
        let error = |key: &&str| ReloadError::FixedKey { key: (*key).to_owned() };
        let of = |keys: &[&str]| summary(&keys.iter().map(error).collect::<Vec<_>>());
        let one = "one cannot change while Daymark runs; restart Daymark";
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["one"]), Some(one.to_owned()));
        assert_eq!(of(&["one", "two", "three"]), Some(format!("{one} (2 more in the log)")));
    }
}
