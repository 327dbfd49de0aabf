//! The configuration of a start.
//!
//! A new configuration with an error is refused. A file that was good once and broke since then takes nothing down: CAs,
//! credentials and keys are read once they are mended, and in place of a broken configuration or zone file the last good one is
//! used.

use std::env;
use std::path::{Path, PathBuf};

use daymark_authoritative::MasterFile;
use daymark_config::{Config, ConfigErrors, Finding, Flags, PoolConfig, STATE_DIR};
use daymark_decision::PoolName;
use daymark_files::{FileVersion, is_missing};

use crate::last_good::GoodConfig;
use crate::state::StateFile;
use crate::zones;

/// The variable in which systemd names the directories of `StateDirectory=`, separated by colons.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// A configuration with which Daymark starts.
pub struct StartConfig {
    /// The configuration.
    pub config: Config,
    /// The file of the configuration, which is read again when it changes; `None` for flags.
    pub file: Option<ConfigFile>,
    /// The zone file with all that it includes, if there is one.
    pub zone_file: Result<Option<MasterFile>, Finding>,
    /// The errors of files that the configuration names. Daymark goes on without these files.
    pub broken_files: Vec<Finding>,
    /// The newest configuration, if it or its zone file is not used.
    pub refused: RefusedStart,
}

/// The file of a configuration, in the version from before it was read: an edit during the start counts as a change.
pub struct ConfigFile {
    /// Its path.
    pub path: PathBuf,
    /// Its version.
    pub version: FileVersion,
}

/// The newest configuration at a start that uses the last good one, or the last good zone file, in its place.
#[derive(Default)]
pub struct RefusedStart {
    /// Its errors. There are none if the newest configuration is used.
    pub errors: Vec<Finding>,
    /// The configuration, if only its zone file is wrong.
    pub config: Option<Config>,
}

impl StartConfig {
    /// A configuration without a file.
    pub fn without_file(config: Config) -> Self {
        let zone_file = zones::master_file(&config);
        Self { config, file: None, zone_file, broken_files: Vec::new(), refused: RefusedStart::default() }
    }

    /// Takes flags.
    ///
    /// # Errors
    ///
    /// Fails with every error of the flags. Broken files of the flags are none if Daymark has run with this state and pool before.
    pub fn from_flags(flags: &Flags) -> Result<Self, ConfigErrors> {
        let Tolerated { config, broken_files } = Config::from_flags(flags)
            .map(Tolerated::whole)
            .or_else(|errors| without_broken_files(errors, || Config::from_flags_alone(flags)))?;
        Ok(Self { broken_files, ..Self::without_file(config) })
    }

    /// Loads a file.
    ///
    /// # Errors
    ///
    /// Fails with every error of the configuration if no last good one is kept.
    pub fn load(file: &Path, own: Option<&str>) -> Result<Self, ConfigErrors> {
        let read = ConfigFile { path: file.to_owned(), version: FileVersion::of(file) };
        Ok(Self { file: Some(read), ..Self::load_unwatched(file, own)? })
    }

    /// Loads a file that is not read again.
    fn load_unwatched(file: &Path, own: Option<&str>) -> Result<Self, ConfigErrors> {
        let errors = match Config::load(file, own) {
            Ok(config) => {
                let newest = Self::with_zone_file(Tolerated::whole(config), file);
                let mut faults = newest.zone_faults();
                faults.extend(Self::lost_authorities(&newest.config, file, own));
                if faults.is_empty() {
                    return Ok(newest);
                }
                return Ok(match Self::last_good(file, own, &faults) {
                    Some(mut good) => {
                        good.refused.config = Some(newest.config);
                        good
                    }
                    None => newest,
                });
            }
            Err(errors) => errors,
        };
        if let Some(good) = Self::last_good(file, own, &errors.0) {
            return Ok(good);
        }
        if let Ok(newest) = without_broken_files(errors.clone(), || Config::load_alone(file, own)) {
            return Ok(Self::with_zone_file(newest, file));
        }
        let former = |text: &str, without_files| Config::parse_former(text, file, own, without_files);
        let tolerant = |text: &str| {
            let whole = former(text, false).map(Tolerated::whole);
            whole.or_else(|broken| without_broken_files(broken, || former(text, true)))
        };
        let good = last_good_text(file, tolerant).ok_or_else(|| errors.clone())?;
        Ok(Self::with_zone_file(good, file).refusing(&errors.0))
    }

    /// The last good configuration, if it and all its files are good still. `refused` are the errors of the newest one.
    fn last_good(file: &Path, own: Option<&str>, refused: &[Finding]) -> Option<Self> {
        let whole = |text: &str| Config::parse_former(text, file, own, false).map(Tolerated::whole);
        let good = Self::with_zone_file(last_good_text(file, whole)?, file);
        good.zone_faults().is_empty().then(|| good.refusing(refused))
    }

    /// The errors of CAs that do not exist, in pools that have run with another one.
    fn lost_authorities(newest: &Config, file: &Path, own: Option<&str>) -> Vec<Finding> {
        let has_no_ca = |pool: &PoolConfig| pool.probe.trust.file().is_some_and(is_missing);
        // The last good configuration is read only if it is needed.
        let good = newest.pools.iter().any(has_no_ca).then(|| Self::last_good(file, own, &[])).flatten();
        good.map(|good| good.config.lost_authorities(newest)).unwrap_or_default()
    }

    /// The configuration of a file with its zone file, or with the last good one if the newest cannot be used.
    fn with_zone_file(Tolerated { config, broken_files }: Tolerated, file: &Path) -> Self {
        let newest = Self { broken_files, ..Self::without_file(config) };
        let faults = newest.zone_faults();
        match last_good_zone_file(&newest.config, file).filter(|_| !faults.is_empty()) {
            Some(good) => Self { zone_file: Ok(Some(good)), ..newest }.refusing(&faults),
            None => newest,
        }
    }

    fn refusing(mut self, errors: &[Finding]) -> Self {
        self.refused.errors.splice(..0, errors.iter().cloned());
        self
    }

    /// The errors of its zones.
    fn zone_faults(&self) -> Vec<Finding> {
        match &self.zone_file {
            Ok(zone_file) => zones::checked(&self.config, zone_file.clone()).err().unwrap_or_default(),
            Err(fault) => vec![fault.clone()],
        }
    }
}

/// A configuration, and the errors of the files that it names.
struct Tolerated {
    config: Config,
    broken_files: Vec<Finding>,
}

impl Tolerated {
    fn whole(config: Config) -> Self {
        Self { config, broken_files: Vec::new() }
    }
}

/// A configuration that has these errors. If only files that it names are wrong, and Daymark has run here before, they were good
/// once.
fn without_broken_files(
    errors: ConfigErrors,
    load_alone: impl FnOnce() -> Result<Config, ConfigErrors>,
) -> Result<Tolerated, ConfigErrors> {
    match load_alone() {
        Ok(config) if has_run(&config) => Ok(Tolerated { config, broken_files: errors.0 }),
        _ => Err(errors),
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

/// The last good configuration of this file, read by `parse`. A state directory has it only if it is the one of that configuration.
fn last_good_text(file: &Path, parse: impl Fn(&str) -> Result<Tolerated, ConfigErrors>) -> Option<Tolerated> {
    state_dirs(file).find_map(|dir| {
        let good = GoodConfig::kept_in(&dir, file)?;
        parse(&good.text).ok().filter(|good| good.config.state_dir.as_ref() == Some(&dir))
    })
}

/// The directories that may hold the state of a configuration that cannot be used: the one that the file names, those of the
/// service manager, and the default.
fn state_dirs(file: &Path) -> impl Iterator<Item = PathBuf> {
    let of_service = env::var_os(STATE_DIRECTORY).unwrap_or_default();
    let of_service: Vec<PathBuf> = env::split_paths(&of_service).collect();
    Config::state_dir_in(file).into_iter().chain(of_service).chain([STATE_DIR.into()])
}

/// The last good zone file, if the zones of this configuration can be built from it.
fn last_good_zone_file(config: &Config, file: &Path) -> Option<MasterFile> {
    let path = zones::authoritative(config)?.zone_file.as_deref()?;
    let zone_file = GoodConfig::kept_in(config.state_dir.as_deref()?, file)?.zone_file(path)?;
    zones::checked(config, Some(zone_file.clone())).ok().map(|_| zone_file)
}
