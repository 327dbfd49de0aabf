//! What survives a restart: one small JSON file, written whole or not at all.
//!
//! The file is a help, never a condition: where it cannot be read, Daymark starts without memory; where it cannot be
//! written, that is an alarm and a metric. What it does not understand it sets aside and does not overwrite.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use daymark_decision::{Memory, Moment};
use serde::{Deserialize, Serialize};

const FILE: &str = "state.json";
const FORMAT: &str = "daymark-state";
/// Raised when an older Daymark would misread the file.
const VERSION: u32 = 1;

/// The state file of one directory.
#[derive(Clone, Debug)]
pub struct StateFile {
    dir: PathBuf,
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
#[derive(Debug, Default)]
pub struct Found {
    /// What is remembered; nothing where there is no usable file.
    pub memory: Memory,
    /// What the operator must know, as a sentence.
    pub warning: Option<String>,
}

impl StateFile {
    /// The state file in `dir`, which need not exist yet.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Reads what is remembered. A file that cannot be used is set aside under a name with the time.
    pub fn load(&self, now: Moment) -> Found {
        let path = self.path();
        let unusable = match fs::read(&path) {
            Ok(bytes) => match parse(&bytes) {
                Ok(memory) => return Found { memory, warning: None },
                Err(unusable) => unusable,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::default(),
            Err(error) => Unusable::Unreadable(error),
        };
        let aside = self.dir.join(format!("{FILE}.{}", now.as_secs()));
        let fate = match fs::rename(&path, &aside) {
            Ok(()) => format!("it is set aside as {}", aside.display()),
            Err(error) => format!("it cannot be set aside as {}: {error}", aside.display()),
        };
        let warning =
            format!("the state file {} {unusable}; {fate}, and Daymark starts without memory", path.display());
        Found { memory: Memory::default(), warning: Some(warning) }
    }

    /// Writes what is to be remembered, atomically and through to the disk. Blocks.
    pub fn save(&self, memory: &Memory) -> io::Result<()> {
        let envelope = Envelope { format: FORMAT.to_owned(), version: VERSION, memory };
        let mut bytes = serde_json::to_vec_pretty(&envelope)?;
        bytes.push(b'\n');
        fs::create_dir_all(&self.dir)?;
        let temporary = self.dir.join(format!("{FILE}.new"));
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, self.path())?;
        // The new name is on the disk only when the directory is.
        File::open(&self.dir)?.sync_all()
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}

fn parse(bytes: &[u8]) -> Result<Memory, Unusable> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(Unusable::Torn)?;
    let head = |key: &str| value.get(key);
    if head("format").and_then(|it| it.as_str()) != Some(FORMAT) {
        return Err(Unusable::Foreign);
    }
    let version = head("version").and_then(serde_json::Value::as_u64).and_then(|it| u32::try_from(it).ok());
    match version {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Err(Unusable::Newer(newer)),
        _ => return Err(Unusable::Foreign),
    }
    let envelope: Envelope<Memory> = serde_json::from_value(value).map_err(Unusable::Torn)?;
    Ok(envelope.memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Moment {
        Moment::from_millis(1_795_341_600_000)
    }

    fn memory() -> Memory {
        Memory { generation: 7, pools: Vec::new() }
    }

    fn found_in(dir: &Path, content: &[u8]) -> Found {
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
        assert_eq!((found.memory, found.warning), (memory(), None));
    }

    #[test]
    fn no_file_is_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let found = StateFile::new(dir.path()).load(at());
        assert_eq!((found.memory, found.warning), (Memory::default(), None));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_set_aside_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path());
        file.save(&memory()).unwrap();
        let whole = fs::read(file.path()).unwrap();
        for end in 0..whole.len() - 2 {
            let found = found_in(dir.path(), &whole[..end]);
            assert_eq!(found.memory, Memory::default());
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
        assert_eq!(file.load(at()).memory, memory());
    }
}
