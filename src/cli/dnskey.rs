//! `daymark dnskey`: the keys that sign zones.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use daymark_authoritative::{DnssecKey, KeyRole};
use daymark_config::read_dnssec_key;
use daymark_files::{StagedFile, error_chain};

use super::{Failure, Outcome};

const ROLLOVER: &str = "\
Every host needs the same key files. docs/dnssec.md has the steps of a first key and of a new one.";

#[derive(Debug, Args)]
#[command(after_help = ROLLOVER)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: DnskeyCommand,
}

#[derive(Debug, Subcommand)]
enum DnskeyCommand {
    /// Generate a key, and print its records
    Generate(Generate),
    /// Print the records of a key
    Show(Show),
}

#[derive(Debug, Args)]
struct Generate {
    /// The zone that the key signs
    zone: String,
    /// The new file of the private key, which only its owner can read
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    role: SignedRecordsArgument,
}

#[derive(Debug, Args)]
struct Show {
    /// The file of the private key
    file: PathBuf,
    /// The zone that the key signs
    zone: String,
    #[command(flatten)]
    role: SignedRecordsArgument,
}

#[derive(Debug, Args)]
struct SignedRecordsArgument {
    /// The records that the key signs, as `role` in the configuration
    #[arg(long, value_enum, default_value = "csk")]
    role: SignedRecords,
}

/// The records that a key signs, as the command line names them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SignedRecords {
    /// All records
    Csk,
    /// The keys of the zone
    Ksk,
    /// All records but the keys
    Zsk,
}

impl From<SignedRecords> for KeyRole {
    fn from(name: SignedRecords) -> Self {
        match name {
            SignedRecords::Csk => Self::Combined,
            SignedRecords::Ksk => Self::KeySigning,
            SignedRecords::Zsk => Self::ZoneSigning,
        }
    }
}

pub(super) fn dnskey(arguments: &Arguments) -> Outcome {
    match &arguments.command {
        DnskeyCommand::Generate(Generate { zone, out, role }) => generate(zone, out, role.role.into()),
        DnskeyCommand::Show(Show { file, zone, role }) => {
            let key = read_dnssec_key(file).map_err(|error| Failure::Usage(error_chain(&error)))?;
            records(&key, zone, role.role.into())
        }
    }
}

fn generate(zone: &str, path: &Path, role: KeyRole) -> Outcome {
    let pem = DnssecKey::generate_pem().map_err(|error| Failure::Run(error.to_string()))?;
    let key = DnssecKey::from_pem(&pem).map_err(|error| Failure::Run(error.to_string()))?;
    // An invalid name fails before anything is written.
    let records = records(&key, zone, role)?;
    match StagedFile::private(path, pem.as_bytes()).and_then(StagedFile::create) {
        Ok(()) => Ok(format!("{} was created with the key {} ({role})\n{records}", path.display(), key.tag(role))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Failure::Usage(format!("{} exists and stays as it is; name a new file", path.display())))
        }
        Err(error) => Err(Failure::Run(format!("{} cannot be written: {error}", path.display()))),
    }
}

/// The records of a key: the one of the zone, and the one for its parent.
fn records(key: &DnssecKey, zone: &str, role: KeyRole) -> Outcome {
    let unusable = |error: daymark_authoritative::DnssecKeyError| Failure::Usage(format!("{zone}: {error}"));
    let dnskey = key.dnskey_line(zone, role).map_err(unusable)?;
    if !role.signs_keys() {
        return Ok(format!("{dnskey}\n"));
    }
    let ds = key.ds_line(zone, role).map_err(unusable)?;
    Ok(format!("{dnskey}\nfor the parent of the zone, once every host signs with the key:\n{ds}\n"))
}
