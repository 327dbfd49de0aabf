//! The last good configuration: its text and its zone file, kept beside the state.
//!
//! A file that broke while Daymark ran must not take DNS down at a restart. This module knows the file in the state directory, and
//! not when a configuration is good.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use daymark_authoritative::MasterFile;
use daymark_config::Config;
use serde::{Deserialize, Serialize};

use crate::state::{StateFile, StateWriter};

/// A configuration that Daymark has run with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoodConfig {
    /// The absolute path of its file.
    pub file: PathBuf,
    /// The text of its file.
    pub text: String,
    /// Its zone file with all that it included; `None` if it had none.
    zone_file: Option<GoodZoneFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GoodZoneFile {
    path: PathBuf,
    text: String,
    included: BTreeMap<PathBuf, String>,
}

impl GoodConfig {
    /// The file of the last good configuration in a state directory.
    pub fn state_file(dir: &Path) -> StateFile<Self> {
        StateFile::named(dir, "configuration.json")
    }

    /// The configuration as it was read, with its zone file. `None` if it came from flags.
    pub fn new(file: Option<&Path>, config: &Config, zone_file: Option<&MasterFile>) -> Option<Self> {
        let zone_file =
            zone_file.cloned().map(|MasterFile { path, text, included }| GoodZoneFile { path, text, included });
        Some(Self { file: absolute(file?), text: config.text()?.to_owned(), zone_file })
    }

    /// Its zone file, if that has this path.
    pub fn zone_file(&self, path: &Path) -> Option<MasterFile> {
        let GoodZoneFile { path, text, included } = self.zone_file.clone().filter(|file| file.path == path)?;
        Some(MasterFile { path, text, included })
    }

    /// The last good configuration of this file in a state directory.
    pub fn kept_in(dir: &Path, file: &Path) -> Option<Self> {
        Self::state_file(dir).peek().memory.filter(|good| good.file == absolute(file))
    }
}

/// The path without a look at the disk; a path that has no absolute form stays.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Keeps the newest good configuration in the state directory.
pub struct GoodConfigWriter {
    /// `None` if no state is kept.
    writer: Option<StateWriter<GoodConfig>>,
    newest: Option<GoodConfig>,
}

impl GoodConfigWriter {
    /// A writer of this configuration, which is not saved yet.
    pub fn new(writer: Option<StateWriter<GoodConfig>>, newest: Option<GoodConfig>) -> Self {
        Self { writer, newest }
    }

    /// Takes a newer configuration, and begins to save it.
    pub async fn set(&mut self, newest: Option<GoodConfig>) {
        self.newest = newest;
        self.save().await;
    }

    /// Begins to save the configuration, and waits for it for a short while.
    pub async fn save(&mut self) {
        if let (Some(writer), Some(newest)) = (&mut self.writer, &self.newest) {
            writer.save(newest).await;
        }
    }

    /// Waits until the disk needs attention. Nothing is lost if this is dropped.
    pub async fn attention(&mut self) {
        match (&mut self.writer, &self.newest) {
            (Some(writer), Some(newest)) => writer.needs_attention(newest).await,
            _ => std::future::pending().await,
        }
    }
}
