//! The state files: small JSON files for the engine, for discovery and for each provider.
//!
//! A file is written as a whole or not at all. One that Daymark does not understand is set aside, and never overwritten. This
//! module does not know when a file is written.

use std::fs::{self, File};
use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daymark_decision::{Memory, Moment};
use daymark_files::{StagedFile, bounded};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use daymark_discovery::DiscoveredPools;

const FORMAT: &str = "daymark-state";
/// The version of the format. It rises when an older Daymark would misread the file.
const VERSION: u32 = 1;
/// The longest wait for a state file at the start. It is long, because a start without the state loses drains.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a state file: far more than the largest configuration needs.
const MAX_STATE_BYTES: u64 = 64 << 20;
/// The most files of one name that are kept after they were set aside.
const MAX_ASIDES: usize = 3;

/// A state file with content of the type `M`.
#[derive(Clone, Debug)]
pub struct StateFile<M> {
    dir: PathBuf,
    name: String,
    content: PhantomData<M>,
}

#[derive(Serialize, Deserialize)]
struct StateEnvelope<M> {
    format: String,
    version: u32,
    memory: M,
}

/// The error of a state file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file is no state file of Daymark, which are smaller.
    #[error("is larger than {} MiB", MAX_STATE_BYTES >> 20)]
    TooLarge,
    /// The file is cut short or damaged.
    #[error("is damaged: {0}")]
    Damaged(serde_json::Error),
    /// The file is JSON of another program.
    #[error("is not a state file of Daymark")]
    Foreign,
    /// A newer Daymark has written the file.
    #[error("has version {0}, but this Daymark reads only versions up to {VERSION}")]
    Newer(u32),
}

/// The content of a state file at the start.
#[derive(Debug)]
pub struct Loaded<M> {
    /// The content; `None` if there is no usable file.
    pub memory: Option<M>,
    /// A warning for the operator, as a sentence.
    pub warning: Option<String>,
}

impl StateFile<Memory> {
    /// The state file in `dir`, which need not exist yet.
    pub fn new(dir: &Path) -> Self {
        Self::named(dir, "state.json")
    }
}

impl StateFile<Value> {
    /// The file of the provider with this name, in the same directory.
    pub fn of_provider(dir: &Path, name: &str) -> Self {
        Self::named(dir, &format!("provider-{name}.json"))
    }
}

impl StateFile<DiscoveredPools> {
    /// The file of discovery, in the same directory.
    pub fn of_discovery(dir: &Path) -> Self {
        Self::named(dir, "discovery.json")
    }
}

impl<M: Serialize + DeserializeOwned> StateFile<M> {
    /// The file of another part of the program, in the same directory.
    pub fn named(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), name: name.to_owned(), content: PhantomData }
    }

    /// Reads the file. One that cannot be used is set aside under a name with the time.
    pub fn load(&self, now: Moment) -> Loaded<M> {
        let error = match self.read() {
            Ok(memory) => return Loaded { memory, warning: None },
            Err(error) => error,
        };
        let path = self.path();
        let aside = self.dir.join(format!("{}.{}", self.name, now.as_secs()));
        let outcome = match fs::rename(&path, &aside) {
            Ok(()) => {
                self.remove_old_asides();
                format!("it is set aside as {}", aside.display())
            }
            Err(refusal) => format!("it cannot be set aside as {}: {refusal}", aside.display()),
        };
        let warning = format!("the state file {} {error}; {outcome}, and Daymark starts without it", path.display());
        Loaded { memory: None, warning: Some(warning) }
    }

    /// Removes all but the newest files that were set aside. One that cannot be removed stays.
    fn remove_old_asides(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut times: Vec<u64> =
            names.filter_map(|name| name.strip_prefix(&self.name)?.strip_prefix('.')?.parse().ok()).collect();
        times.sort_unstable();
        for time in times.iter().rev().skip(MAX_ASIDES) {
            // It is only litter.
            let _ = fs::remove_file(self.dir.join(format!("{}.{time}", self.name)));
        }
    }

    /// Reads the file, and changes nothing.
    pub fn peek(&self) -> Loaded<M> {
        match self.read() {
            Ok(memory) => Loaded { memory, warning: None },
            Err(error) => {
                let path = self.path();
                let warning = format!("the state file {} {error}; this command goes on without it", path.display());
                Loaded { memory: None, warning: Some(warning) }
            }
        }
    }

    fn read(&self) -> Result<Option<M>, StateFileError> {
        match bounded(&self.path(), LOAD_TIMEOUT, read) {
            Ok(bytes) if bytes.len() as u64 > MAX_STATE_BYTES => Err(StateFileError::TooLarge),
            Ok(bytes) => parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateFileError::Unreadable(error)),
        }
    }

    /// Writes the file, atomically and through to the disk. This blocks.
    pub fn save(&self, memory: &M) -> io::Result<()> {
        let envelope = StateEnvelope { format: FORMAT.to_owned(), version: VERSION, memory };
        let mut bytes = serde_json::to_vec_pretty(&envelope)?;
        bytes.push(b'\n');
        fs::create_dir_all(&self.dir)?;
        StagedFile::shared(&self.path(), &bytes)?.replace()
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_STATE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, StateFileError> {
    let value: Value = serde_json::from_slice(bytes).map_err(StateFileError::Damaged)?;
    if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(StateFileError::Foreign);
    }
    let version = value.get("version").and_then(Value::as_u64).and_then(|version| u32::try_from(version).ok());
    match version {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Err(StateFileError::Newer(newer)),
        _ => return Err(StateFileError::Foreign),
    }
    let envelope: StateEnvelope<M> = serde_json::from_value(value).map_err(StateFileError::Damaged)?;
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

    fn load_in(dir: &Path, content: &[u8]) -> Loaded<Memory> {
        fs::write(dir.join(FILE), content).unwrap();
        StateFile::new(dir).load(at())
    }

    #[test]
    fn saved_content_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(&dir.path().join("made/on/demand"));
        file.save(&memory()).unwrap();
        file.save(&memory()).unwrap();
        let loaded = file.load(at());
        assert_eq!((loaded.memory, loaded.warning), (Some(memory()), None));
    }

    #[test]
    fn each_provider_has_a_file_of_its_own_in_the_same_form() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| StateFile::of_provider(dir.path(), name);
        let content = serde_json::json!({"published": [1, 2]});
        file("cloudflare").save(&content).unwrap();
        assert_eq!(file("cloudflare").load(at()).memory, Some(content));
        assert_eq!(file("cloudflare-2").load(at()).memory, None);
        assert_eq!(StateFile::new(dir.path()).load(at()).memory, None, "it is not the state");

        fs::write(file("cloudflare").path(), "{").unwrap();
        assert!(file("cloudflare").load(at()).warning.unwrap().contains("provider-cloudflare.json is damaged"));
        assert!(dir.path().join("provider-cloudflare.json.1795341600").exists(), "it is set aside");
    }

    #[test]
    fn peeking_sets_no_file_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path());
        fs::write(file.path(), "{").unwrap();
        assert!(file.peek().warning.unwrap().contains("is damaged"));
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "{");
    }

    #[test]
    fn a_missing_file_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let loaded = StateFile::new(dir.path()).load(at());
        assert_eq!((loaded.memory, loaded.warning), (None, None));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_set_aside_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path());
        file.save(&memory()).unwrap();
        let whole = fs::read(file.path()).unwrap();
        for end in 0..whole.len() - 2 {
            let loaded = load_in(dir.path(), &whole[..end]);
            assert_eq!(loaded.memory, None);
            assert!(loaded.warning.unwrap().contains("is damaged"), "cut at {end}");
            let aside = dir.path().join("state.json.1795341600");
            assert_eq!(fs::read(&aside).unwrap(), whole[..end], "nothing is lost");
            fs::remove_file(aside).unwrap();
        }
    }

    #[test]
    fn a_foreign_file_is_set_aside_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        for foreign in ["{}", "[]", r#"{"format":"other","version":1,"memory":{}}"#, r#"{"format":"daymark-state"}"#] {
            let loaded = load_in(dir.path(), foreign.as_bytes());
            assert!(loaded.warning.unwrap().contains("is not a state file of Daymark"), "{foreign}");
        }
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn a_name_that_no_node_can_have_is_damage_and_the_warning_quotes_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::of_discovery(dir.path());
        let pool = r#"{"known":{"a b":{}},"agreedCount":0,"lastComplete":null}"#;
        let content = format!(r#"{{"format":"daymark-state","version":1,"memory":{{"lb.example.org":{pool}}}}}"#);
        fs::write(file.path(), &content).unwrap();
        let warning = file.load(at()).warning.unwrap();
        assert!(warning.contains(r#"discovery.json is damaged: "a b" is not a valid name of a node; "#), "{warning}");
        assert_eq!(
            fs::read_to_string(dir.path().join("discovery.json.1795341600")).unwrap(),
            content,
            "nothing is lost"
        );
    }

    #[test]
    fn the_newest_three_files_that_were_set_aside_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("provider-cloudflare.json.1"), "another file's").unwrap();
        fs::write(dir.path().join("state.json.bak"), "the operator's").unwrap();
        let file = StateFile::new(dir.path());
        for secs in [9, 10, 11, 12, 8] {
            fs::write(file.path(), format!("{secs}")).unwrap();
            file.load(Moment::from_millis(secs * 1000));
        }
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let kept = ["provider-cloudflare.json.1", "state.json.10", "state.json.11", "state.json.12", "state.json.bak"];
        assert_eq!(names, kept);
    }

    #[test]
    fn a_newer_file_is_set_aside_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let loaded = load_in(dir.path(), br#"{"format":"daymark-state","version":2,"memory":"unknown"}"#);
        assert!(loaded.warning.unwrap().contains("has version 2, but this Daymark reads only versions up to 1"));
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
    fn a_failed_save_leaves_the_former_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path());
        file.save(&memory()).unwrap();
        fs::create_dir(dir.path().join("state.json.new")).unwrap();
        assert!(file.save(&Memory::default()).is_err());
        assert_eq!(file.load(at()).memory, Some(memory()));
    }
}
