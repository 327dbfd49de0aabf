//! `daymark keygen`: a new key for the hosts, and the file that holds it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use daymark_files::{SecretFile, StagedFile, error_chain};
use daymark_gossip::{GossipKey, KeyId, KeyRing, SECRET_LENGTH};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::{Failure, Outcome};
use crate::os::clock::Clock;
use crate::peers::keyfile::KeyFileError;

const ROTATION: &str = "\
Every host needs the same key file. To replace a key without a gap, do each step on every host
before the next one begins; hosts read a changed file by themselves:
  1. Add the new key as the last line: --append on one host, then copy the file to the others.
  2. Move that line to the front. A host seals with the first key, and opens with every one.
  3. Remove the old line.";

#[derive(Debug, Args)]
#[command(after_help = ROTATION)]
pub(super) struct Arguments {
    /// Write the key to this new file, which only its owner can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Add the key to a FILE that exists, as its last line
    #[arg(long, requires = "out")]
    append: bool,
}

pub(super) fn keygen(arguments: &Arguments) -> Outcome {
    let KeyLine { text, id } = KeyLine::generate()?;
    match &arguments.out {
        None => Ok(text.to_string()),
        Some(path) if arguments.append => append(path, &text, id),
        Some(path) => create(path, &text, id),
    }
}

/// A new key, as a line of a key file.
struct KeyLine {
    text: Zeroizing<String>,
    id: KeyId,
}

impl KeyLine {
    fn generate() -> Result<Self, Failure> {
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        let drawn = SystemRandom::new().fill(secret.as_mut_slice());
        drawn.map_err(|_| Failure::Run("the kernel gives no random bytes".to_owned()))?;
        let key = GossipKey::new(secret);
        let now = Clock::start().now().to_string();
        let made = now.split('T').next().unwrap_or_default();
        let text = Zeroizing::new(format!("{} # {}, made {made}\n", key.encoded().as_str(), key.id()));
        Ok(Self { text, id: key.id() })
    }
}

/// Creates a file with a new key, unless a file has its name.
pub(super) fn create_file(path: &Path) -> Outcome {
    let KeyLine { text, id } = KeyLine::generate()?;
    create(path, &text, id)
}

fn create(path: &Path, line: &str, id: KeyId) -> Outcome {
    match StagedFile::private(path, line.as_bytes()).and_then(StagedFile::create) {
        Ok(()) => Ok(format!("{} was created with the key {id}\n", path.display())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Failure::Usage(format!("{} exists and stays as it is; --append adds a key to it", path.display())))
        }
        Err(error) => Err(not_written(path, &error)),
    }
}

fn append(path: &Path, line: &str, id: KeyId) -> Outcome {
    let unusable = |error: KeyFileError| Failure::Usage(error_chain(&error));
    let file = SecretFile::read(path).map_err(unusable)?;
    let old = file.text();
    let gap = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    let text = Zeroizing::new([old, gap, line].concat());
    let keys =
        KeyRing::parse(&text).map_err(|source| unusable(KeyFileError::Content { path: path.to_owned(), source }))?;
    let replace = || {
        // If the path is a link, the file behind it is replaced.
        let path = fs::canonicalize(path)?;
        let new = StagedFile::private(&path, text.as_bytes())?;
        new.own_like(file.metadata())?;
        new.replace()
    };
    replace().map_err(|error: io::Error| not_written(path, &error))?;
    Ok(format!("{} has the key {id} as the last of {}\n", path.display(), keys.ids().count()))
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::Run(format!("{} cannot be written: {error}", path.display()))
}
