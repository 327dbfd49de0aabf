//! `daymark keygen`: a new key for the hosts, and the file that holds it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use clap::Args;
use daymark_gossip::{Key, KeyId, SECRET_LENGTH};
use ring::rand::{SecureRandom, SystemRandom};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::fault::chain;
use crate::peers::keyfile::{self, KeyFileError};

const ROTATION: &str = "\
Every host needs the same key file. To replace a key without a gap, do each step on every host
before the next one begins; hosts read a changed file by themselves:
  1. Add the new key as the last line: --append on one host, then copy the file to the others.
  2. Move that line to the front. A host seals with the first key, and opens with every one.
  3. Remove the old line.";

#[derive(Debug, Args)]
#[command(after_help = ROTATION)]
pub(super) struct Arguments {
    /// Write the key to this new file, for its owner alone to read, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Add the key to a FILE that exists, as its last line
    #[arg(long, requires = "out")]
    append: bool,
}

pub(super) fn keygen(arguments: &Arguments) -> Outcome {
    let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
    let drawn = SystemRandom::new().fill(secret.as_mut_slice());
    drawn.map_err(|_| Failure::Run("the kernel gives no random bytes".to_owned()))?;
    let key = Key::new(secret);
    let made = Clock::start().timestamp().strftime("%F");
    let line = Zeroizing::new(format!("{} # {}, made {made}\n", key.encoded().as_str(), key.id()));
    match &arguments.out {
        None => Ok(line.to_string()),
        Some(path) if arguments.append => append(path, &line, key.id()),
        Some(path) => create(path, &line, key.id()),
    }
}

fn create(path: &Path, line: &str, id: KeyId) -> Outcome {
    let made = beside(path, line).and_then(|file| Ok(file.persist_noclobber(path)?));
    match made {
        Ok(_) => Ok(format!("{} is made, with the key {id}\n", path.display())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Failure::Usage(format!("{} exists and stays as it is; --append adds a key to it", path.display())))
        }
        Err(error) => Err(not_written(path, &error)),
    }
}

fn append(path: &Path, line: &str, id: KeyId) -> Outcome {
    let unusable = |error: KeyFileError| Failure::Usage(chain(&error));
    let (old, metadata) = keyfile::read(path).map_err(unusable)?;
    let gap = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    let text = Zeroizing::new([old.as_str(), gap, line].concat());
    let count = keyfile::parse(path, &text).map_err(unusable)?.ids().count();
    let replace = || {
        // Where the path is a link, the file behind it is replaced.
        let path = fs::canonicalize(path)?;
        let file = beside(&path, &text)?;
        fchown(&file, Some(metadata.uid()), Some(metadata.gid()))?;
        file.as_file().set_permissions(metadata.permissions())?;
        Ok(file.persist(&path)?)
    };
    replace().map_err(|error: io::Error| not_written(path, &error))?;
    Ok(format!("{} has the key {id} as the last of {count}\n", path.display()))
}

/// A file in the same directory that takes the place of `path` once it is whole. Only its owner may read or write it.
fn beside(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".daymark-key.").tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::Run(format!("{} cannot be written: {error}", path.display()))
}
