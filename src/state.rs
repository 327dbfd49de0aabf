//! What survives a restart: small JSON files, the state, what discovery knows and one a provider, each written whole or not at all.
//!
//! A file is a help, never a condition: where it cannot be read, Daymark starts without memory; where it cannot be
//! written, that is an alarm and a metric. What it does not understand it sets aside and does not overwrite.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use daymark_decision::{Memory, Moment};
use daymark_files::StagedFile;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use daymark_discovery::DiscoveredPools;

const FORMAT: &str = "daymark-state";
/// Raised when an older Daymark would misread the file.
const VERSION: u32 = 1;

/// A file that keeps an `M`.
#[derive(Clone, Debug)]
pub struct StateFile<M> {
    dir: PathBuf,
    name: String,
    kept: PhantomData<M>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<M> {
    format: String,
    version: u32,
    memory: M,
}

/// Why a state file was not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read at all.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is cut short or damaged.
    #[error("is torn: {0}")]
    Torn(serde_json::Error),
    /// It is JSON, but not ours.
    #[error("is not a state file of Daymark")]
    Foreign,
    /// A newer Daymark has written it.
    #[error("has version {0}, and this Daymark knows up to {VERSION}")]
    Newer(u32),
}

/// What a start finds.
#[derive(Debug)]
pub struct Found<M> {
    /// What is remembered; `None` where there is no usable file.
    pub memory: Option<M>,
    /// What the operator must know, as a sentence.
    pub warning: Option<String>,
}

impl StateFile<Memory> {
    /// The state file in `dir`, which need not exist yet.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), name: "state.json".to_owned(), kept: PhantomData }
    }
}

impl StateFile<Value> {
    /// What the provider of this name remembers, in the same directory.
    pub fn of_provider(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), name: format!("provider-{name}.json"), kept: PhantomData }
    }
}

impl StateFile<DiscoveredPools> {
    /// The discovered nodes, in the same directory.
    pub fn of_discovery(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), name: "discovery.json".to_owned(), kept: PhantomData }
    }
}

impl<M: Serialize + DeserializeOwned> StateFile<M> {
    /// Reads what is remembered. A file that cannot be used is set aside under a name with the time.
    pub fn load(&self, now: Moment) -> Found<M> {
        let unusable = match self.read() {
            Ok(memory) => return Found { memory, warning: None },
            Err(unusable) => unusable,
        };
        let path = self.path();
        let aside = self.dir.join(format!("{}.{}", self.name, now.as_secs()));
        let fate = match fs::rename(&path, &aside) {
            Ok(()) => format!("it is set aside as {}", aside.display()),
            Err(error) => format!("it cannot be set aside as {}: {error}", aside.display()),
        };
        let warning =
            format!("the state file {} {unusable}; {fate}, and Daymark starts without memory", path.display());
        Found { memory: None, warning: Some(warning) }
    }

    /// Reads what is remembered, and leaves everything as it is.
    pub fn look(&self) -> Found<M> {
        match self.read() {
            Ok(memory) => Found { memory, warning: None },
            Err(unusable) => {
                let path = self.path();
                let warning = format!("the state file {} {unusable}; this goes on without memory", path.display());
                Found { memory: None, warning: Some(warning) }
            }
        }
    }

    fn read(&self) -> Result<Option<M>, Unusable> {
        match fs::read(self.path()) {
            Ok(bytes) => parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unusable::Unreadable(error)),
        }
    }

    /// Writes what is to be remembered, atomically and through to the disk. Blocks.
    pub fn save(&self, memory: &M) -> io::Result<()> {
        let envelope = Envelope { format: FORMAT.to_owned(), version: VERSION, memory };
        let mut bytes = serde_json::to_vec_pretty(&envelope)?;
        bytes.push(b'\n');
        fs::create_dir_all(&self.dir)?;
        StagedFile::shared(&self.path(), &bytes)?.replace()
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }
}

fn parse<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, Unusable> {
    let value: Value = serde_json::from_slice(bytes).map_err(Unusable::Torn)?;
    let head = |key: &str| value.get(key);
    if head("format").and_then(|it| it.as_str()) != Some(FORMAT) {
        return Err(Unusable::Foreign);
    }
    let version = head("version").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    match version {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Err(Unusable::Newer(newer)),
        _ => return Err(Unusable::Foreign),
    }
    let envelope: Envelope<M> = serde_json::from_value(value).map_err(Unusable::Torn)?;
    Ok(envelope.memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "state.json";

    fn at() -> Moment {
        Moment::from_millis(1_795_341_600_000)
    }

    fn memory() -> Memory {
        Memory { generation: 7, pools: Vec::new() }
    }

    fn found_in(dir: &Path, content: &[u8]) -> Found<Memory> {
        fs::write(dir.join(FILE), content).unwrap();
        StateFile::new(dir).load(at())
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(&dir.path().join("made/on/demand"));
        file.save(&memory()).unwrap();
        file.save(&memory()).unwrap();
        let found = file.load(at());
        assert_eq!((found.memory, found.warning), (Some(memory()), None));
    }

    #[test]
    fn each_provider_has_a_file_of_its_own_in_the_same_form() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| StateFile::of_provider(dir.path(), name);
        let remembered = serde_json::json!({"shown": [1, 2]});
        file("cloudflare").save(&remembered).unwrap();
        assert_eq!(file("cloudflare").load(at()).memory, Some(remembered));
        assert_eq!(file("cloudflare-2").load(at()).memory, None);
        assert_eq!(StateFile::new(dir.path()).load(at()).memory, None, "it is not the state");

        fs::write(file("cloudflare").path(), "{").unwrap();
        assert!(file("cloudflare").load(at()).warning.unwrap().contains("provider-cloudflare.json is torn"));
        assert!(dir.path().join("provider-cloudflare.json.1795341600").exists(), "it is set aside");
    }

    #[test]
    fn who_only_looks_sets_nothing_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path());
        fs::write(file.path(), "{").unwrap();
        assert!(file.look().warning.unwrap().contains("is torn"));
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "{");
    }

    #[test]
    fn no_file_is_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let found = StateFile::new(dir.path()).load(at());
        assert_eq!((found.memory, found.warning), (None, None));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_set_aside_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path());
        file.save(&memory()).unwrap();
        let whole = fs::read(file.path()).unwrap();
        for end in 0..whole.len() - 2 {
            let found = found_in(dir.path(), &whole[..end]);
            assert_eq!(found.memory, None);
            assert!(found.warning.unwrap().contains("is torn"), "cut at {end}");
            let aside = dir.path().join("state.json.1795341600");
            assert_eq!(fs::read(&aside).unwrap(), whole[..end], "nothing is lost");
            fs::remove_file(aside).unwrap();
        }
    }

    #[test]
    fn a_foreign_file_is_set_aside_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        for foreign in ["{}", "[]", r#"{"format":"other","version":1,"memory":{}}"#, r#"{"format":"daymark-state"}"#] {
            let found = found_in(dir.path(), foreign.as_bytes());
            assert!(found.warning.unwrap().contains("is not a state file of Daymark"), "{foreign}");
        }
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn a_newer_file_is_set_aside_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let found = found_in(dir.path(), br#"{"format":"daymark-state","version":2,"memory":"unknown"}"#);
        assert!(found.warning.unwrap().contains("has version 2, and this Daymark knows up to 1"));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_and_not_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        fs::write(&blocked, "").unwrap();
        let file = StateFile::new(&blocked);
        assert!(file.save(&memory()).is_err());
        assert!(file.load(at()).warning.unwrap().contains("cannot be read"));
    }

    #[test]
    fn a_save_that_fails_leaves_the_former_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path());
        file.save(&memory()).unwrap();
        fs::create_dir(dir.path().join("state.json.new")).unwrap();
        assert!(file.save(&Memory::default()).is_err());
        assert_eq!(file.load(at()).memory, Some(memory()));
    }
}
