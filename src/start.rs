//! The configuration of a start.
//!
//! A new configuration with an error is refused. A file that was good once and broke since then takes nothing down: CAs,
//! credentials and keys are read once they are mended, and in place of a broken configuration or zone file the last good one is
//! used.

use std::env;
use std::path::{Path, PathBuf};

use daymark_authoritative::MasterFile;
use daymark_config::{Config, ConfigErrors, Finding, Flags, STATE_DIR};
use daymark_decision::PoolName;

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
    pub file: Option<PathBuf>,
    /// The zone file with all that it includes, if there is one.
    pub zone_file: Result<Option<MasterFile>, Finding>,
    /// The errors of files that the configuration names. Daymark goes on without these files.
    pub broken_files: Vec<Finding>,
    /// The errors of the newest configuration and zone file, if the last good ones are used in their place.
    pub refused: Vec<Finding>,
}

impl StartConfig {
    /// A configuration without a file.
    pub fn without_file(config: Config) -> Self {
        let zone_file = zones::master_file(&config);
        Self { config, file: None, zone_file, broken_files: Vec::new(), refused: Vec::new() }
    }

    /// Takes flags.
    ///
    /// # Errors
    ///
    /// Fails with every error of the flags. Broken files of the flags are none if Daymark has run with this state and pool before.
    pub fn from_flags(flags: &Flags) -> Result<Self, ConfigErrors> {
        let Tolerated { config, broken_files } =
            tolerant(
                |without_files| {
                    if without_files { Config::from_flags_alone(flags) } else { Config::from_flags(flags) }
                },
            )?;
        Ok(Self { broken_files, ..Self::without_file(config) })
    }

    /// Loads a file.
    ///
    /// # Errors
    ///
    /// Fails with every error of the configuration if no last good one is kept.
    pub fn load(file: PathBuf, own: Option<&str>) -> Result<Self, ConfigErrors> {
        let mut refused = Vec::new();
        let loaded = tolerant(
            |without_files| {
                if without_files { Config::load_alone(&file, own) } else { Config::load(&file, own) }
            },
        );
        let Tolerated { config, broken_files } = match loaded {
            Ok(tolerated) => tolerated,
            Err(errors) => {
                let good = last_good(&file, own).ok_or_else(|| errors.clone())?;
                refused = errors.0;
                good
            }
        };
        let mut zone_file = zones::master_file(&config);
        let faults = match &zone_file {
            Ok(zone_file) => zones::checked(&config, zone_file.clone()).err().unwrap_or_default(),
            Err(fault) => vec![fault.clone()],
        };
        if !faults.is_empty()
            && let Some(good) = last_good_zone_file(&config, &file)
        {
            zone_file = Ok(Some(good));
            refused.extend(faults);
        }
        Ok(Self { config, file: Some(file), zone_file, broken_files, refused })
    }
}

/// A configuration, and the errors of the files that it names.
struct Tolerated {
    config: Config,
    broken_files: Vec<Finding>,
}

/// Loads a configuration. If only files that it names are wrong, and Daymark has run here before, they were good once.
fn tolerant(load: impl Fn(bool) -> Result<Config, ConfigErrors>) -> Result<Tolerated, ConfigErrors> {
    let errors = match load(false) {
        Ok(config) => return Ok(Tolerated { config, broken_files: Vec::new() }),
        Err(errors) => errors,
    };
    match load(true) {
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

/// The last good configuration of this file. A state directory has it only if it is the one of that configuration.
fn last_good(file: &Path, own: Option<&str>) -> Option<Tolerated> {
    state_dirs(file).find_map(|dir| {
        let good = GoodConfig::kept_in(&dir, file)?;
        let parse = |without_files| Config::parse_former(&good.text, file, own, without_files);
        tolerant(parse).ok().filter(|good| good.config.state_dir.as_ref() == Some(&dir))
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
