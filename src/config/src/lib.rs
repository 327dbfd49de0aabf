//! The configuration: read from a file or from flags, checked whole, and typed. It does not know what is done with it.
//!
//! ```text
//! text ─> tree ─> reader ─> raw ─> typed ─> Config, warnings
//!        (lines)  (kinds)  (keys)  (rules)  or every error at once
//! ```

mod admin;
mod authoritative;
pub mod budget;
mod dnssec;
mod families;
mod findings;
mod flags;
mod foreign;
mod key;
mod raw;
mod reader;
mod spelling;
mod sync;
mod tree;
mod typed;
mod values;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daymark_cloudflare::TokenSource;
use daymark_decision::{HostName, Membership, Pool};
use daymark_files::{READ_TIMEOUT, is_missing};
use daymark_probe::{self as probe, ProbedPool};

pub use self::admin::AdminConfig;
pub use self::authoritative::{AuthoritativeConfig, NameserverConfig};
pub use self::dnssec::{DnssecConfig, DnssecKeyConfig, DnssecKeyFileError, read_dnssec_key};
pub use self::families::FamilyNodes;
pub use self::findings::{ConfigErrors, Finding};
pub use self::flags::Flags;
pub use self::sync::SyncConfig;

use self::findings::{Findings, Locations, Passed};
use self::key::Key;
use self::typed::ConfigInput;
use self::values::{TextFault, TextForm as _};
use daymark_yaml::{FilePosition, YamlNode, YamlValue};

/// The whole configuration of `daymark run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The pools, each with the way it is probed.
    pub pools: Vec<PoolConfig>,
    /// The providers, which publish the answers.
    pub providers: Vec<ProviderConfig>,
    /// The hosts that decide together; `None`: this one decides alone.
    pub peers: Option<PeersConfig>,
    /// The admin API.
    pub admin: AdminConfig,
    /// The settings of `daymark sync`.
    pub sync: SyncConfig,
    /// The directory of the state file; `None` keeps no state over restarts.
    pub state_dir: Option<PathBuf>,
    /// The warnings, in the order of the file.
    pub warnings: Vec<Finding>,
    /// The name and the locations with which it was read, for a second reading and for later findings.
    pub source: ConfigSource,
}

/// The longest wait for a configuration that a program writes to a pipe.
const PIPE_TIMEOUT: Duration = Duration::from_mins(1);

/// The name, the text and the locations with which a configuration was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSource {
    /// The name of this host, if it was given beside the file.
    named: Option<String>,
    /// The text of the file; `None` for flags.
    text: Option<Arc<str>>,
    locations: Locations,
}

impl Config {
    /// Reads a configuration file, as the host `named` if that is given beside it. The paths in it are relative to its
    /// directory.
    pub fn load(path: &Path, named: Option<&str>) -> Result<Self, ConfigErrors> {
        Self::load_as(path, ConfigInput::File, named)
    }

    /// The same for one pass, which talks to no other host: the keys of the hosts are not looked at.
    pub fn load_without_keys(path: &Path, named: Option<&str>) -> Result<Self, ConfigErrors> {
        Self::load_as(path, ConfigInput::FileWithoutKeys, named)
    }

    /// The same for a command that needs none of the files that the configuration names; it does not look at them.
    pub fn load_alone(path: &Path, named: Option<&str>) -> Result<Self, ConfigErrors> {
        Self::load_as(path, ConfigInput::FileAlone, named)
    }

    /// Reads the file again, or another, as the same host. A pool that has a CA already needs one that exists.
    pub fn load_again(&self, path: &Path) -> Result<Self, ConfigErrors> {
        let newest = Self::load(path, self.source.named.as_deref())?;
        let lost = self.lost_authorities(&newest);
        if lost.is_empty() { Ok(newest) } else { Err(ConfigErrors(lost)) }
    }

    /// The errors of a newer configuration in which a pool of this one has another CA, whose file does not exist.
    pub fn lost_authorities(&self, newest: &Self) -> Vec<Finding> {
        let lost = newest.pools.iter().enumerate().filter_map(|(index, pool)| {
            let former = self.pools.iter().find(|former| former.pool.name == pool.pool.name)?;
            let ca = pool.probe.trust.file().filter(|ca| pool.probe.trust != former.probe.trust && is_missing(ca))?;
            let message =
                format!("{} does not exist; a file is needed, because the pool is probed already", ca.display());
            Some(newest.finding(&format!("pools[{index}].probe.ca"), "", message))
        });
        lost.collect()
    }

    /// Reads the text of a configuration file. Findings call it `file_name`; the paths in it are relative to `base_dir`.
    pub fn parse(text: &str, file_name: &str, base_dir: &Path) -> Result<Self, ConfigErrors> {
        Self::parse_as(text, file_name, base_dir, ConfigInput::File, None)
    }

    /// Reads a text that the file had before. `path` is that of the file; `without_files` does not look at the files that the text
    /// names.
    pub fn parse_former(
        text: &str,
        path: &Path,
        named: Option<&str>,
        without_files: bool,
    ) -> Result<Self, ConfigErrors> {
        let input = if without_files { ConfigInput::FileAlone } else { ConfigInput::File };
        Self::parse_as(text, &path.display().to_string(), base_dir(path), input, named)
    }

    /// The names of the members of a file that leaves open which of them this host is. Empty for any other file.
    pub fn open_members(path: &Path) -> Vec<String> {
        let tree = read(path).ok().and_then(|text| tree::parse(&text).ok());
        let peers = tree.as_ref().and_then(|tree| tree.entry("peers")).filter(|peers| peers.entry("self").is_none());
        let Some(YamlValue::List(members)) =
            peers.and_then(|peers| peers.entry("members")).map(|members| &members.value)
        else {
            return Vec::new();
        };
        let names = members.iter().filter_map(|member| member.entry("name"));
        names
            .filter_map(|name| if let YamlValue::Text(name) = &name.value { Some(name.clone()) } else { None })
            .collect()
    }

    /// The state directory that a file names, by that line alone, because the rest of the file may be broken.
    pub fn state_dir_in(path: &Path) -> Option<PathBuf> {
        let text = read(path).ok()?;
        let line = text.lines().find(|line| line.starts_with("stateDir:"))?;
        let YamlValue::Map(root) = tree::parse(line).ok()?.value else { return None };
        match root.into_iter().next()?.node.value {
            YamlValue::Text(dir) => Some(base_dir(path).join(dir)),
            _ => None,
        }
    }

    /// The text of the file that it was read from; `None` for flags.
    pub fn text(&self) -> Option<&str> {
        self.source.text.as_deref()
    }

    fn load_as(path: &Path, source: ConfigInput, named: Option<&str>) -> Result<Self, ConfigErrors> {
        let file_name = path.display().to_string();
        let text = read(path).map_err(|error| refused(&file_name, None, error.to_string()))?;
        Self::parse_as(&text, &file_name, base_dir(path), source, named)
    }

    fn parse_as(
        text: &str,
        file_name: &str,
        base_dir: &Path,
        source: ConfigInput,
        named: Option<&str>,
    ) -> Result<Self, ConfigErrors> {
        let tree = tree::parse(text);
        if let Some(message) = foreign::recognised(text, tree.as_ref().ok()) {
            return Err(refused(file_name, None, message));
        }
        let mut tree = tree.map_err(|error| refused(file_name, error.position, error.message))?;
        if let Some(name) = named {
            flags::put_self(&mut tree, name);
        }
        let mut config = Self::judge(&tree, source, base_dir, Findings::new(Some(file_name)))?;
        config.source.named = named.map(str::to_owned);
        config.source.text = Some(text.into());
        Ok(config)
    }

    /// Takes the flags of `daymark run`. The paths in them are relative to the working directory.
    pub fn from_flags(flags: &Flags) -> Result<Self, ConfigErrors> {
        Self::judge(&flags::tree(flags), ConfigInput::Flags, Path::new(""), Findings::new(None))
    }

    /// The same without a look at the files that the flags name.
    pub fn from_flags_alone(flags: &Flags) -> Result<Self, ConfigErrors> {
        Self::judge(&flags::tree(flags), ConfigInput::FlagsAlone, Path::new(""), Findings::new(None))
    }

    /// Every file that the configuration names; a change of one of them is a change of the configuration.
    pub fn files(&self) -> Vec<&Path> {
        let mut files = Vec::new();
        for PoolConfig { probe, .. } in &self.pools {
            files.extend(probe.files());
        }
        for provider in &self.providers {
            match provider {
                ProviderConfig::Authoritative(authoritative) => files.extend(authoritative.files()),
                ProviderConfig::Cloudflare(cloudflare) => match &cloudflare.calls.token {
                    TokenSource::File(path) => files.push(path),
                    TokenSource::Environment(_) => {}
                },
            }
        }
        files.extend(self.peers.iter().map(|peers| peers.key_file.as_path()));
        files.extend(self.admin.token_file.as_deref());
        files
    }

    /// A finding on a value that passed every check, such as an address that is in use. `key` is the path of the value, and `flag`
    /// its name on the command line.
    pub fn finding(&self, key: &str, flag: &str, message: String) -> Finding {
        self.source.locations.finding(key, flag, message)
    }

    fn judge(tree: &YamlNode, source: ConfigInput, base: &Path, findings: Findings) -> Result<Self, ConfigErrors> {
        let findings = RefCell::new(findings);
        let raw: Key<raw::RawConfig> = reader::read(tree, &findings);
        let mut findings = findings.into_inner();
        let config = typed::config(raw, source, base, &mut findings);
        let Passed { warnings, locations } = findings.finish()?;
        // Without an error there is a configuration: only a faulty root has none, and that is an error.
        let source = ConfigSource { locations, ..ConfigSource::default() };
        config.map(|config| Self { warnings, source, ..config }).ok_or(ConfigErrors(Vec::new()))
    }
}

/// The file in `stateDir` with the admin token that Daymark makes if `admin.tokenFile` names none.
pub const ADMIN_TOKEN: &str = "admin.token";

/// The default of `stateDir`.
pub const STATE_DIR: &str = raw::STATE_DIR;

/// The directory of a configuration file, to which the paths in it are relative.
fn base_dir(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// The JSON Schema of the file.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(raw::RawConfig).to_value()
}

/// The error of a text that is no duration of the allowed length.
#[derive(Debug, thiserror::Error)]
#[error("{fault}{example}; {allowed} is allowed")]
pub struct DurationError {
    fault: TextFault,
    /// The number with a unit, if the unit alone is missing.
    example: String,
    allowed: String,
}

/// Takes a duration as the configuration writes them, such as `90s` or `2h`: from a second to a year.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    type Allowed = values::BoundedDuration<1_000, 31_536_000_000>;
    Allowed::parse(text).map(|values::BoundedDuration(duration)| duration).map_err(|fault| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let example = if is_number { format!(", such as {text}s or {text}m") } else { String::new() };
        DurationError { fault, example, allowed: Allowed::allowed() }
    })
}

/// The one error of a file that cannot be read at all.
fn refused(file_name: &str, position: Option<FilePosition>, message: String) -> ConfigErrors {
    ConfigErrors(vec![Finding { file: Some(file_name.to_owned()), position, key: String::new(), message }])
}

/// The error of a file that has no text to parse. The name of the file comes before it.
#[derive(Debug, thiserror::Error)]
enum UnreadableFile {
    #[error("cannot be read: {0}; a readable YAML file is needed")]
    Io(#[from] std::io::Error),
    #[error("is a directory; a YAML file is needed")]
    Directory,
    #[error("{}", tree::too_large())]
    TooLarge,
    #[error("is not UTF-8 from byte {first_wrong_byte} on; UTF-8 is needed")]
    NotUtf8 {
        /// Counted from 1.
        first_wrong_byte: usize,
    },
}

/// Reads a file of bounded size, whatever kind of file it is.
fn read(path: &Path) -> Result<String, UnreadableFile> {
    let kind = daymark_files::bounded(path, READ_TIMEOUT, |path| Ok(path.metadata()?.file_type()))?;
    if kind.is_dir() {
        return Err(UnreadableFile::Directory);
    }
    // A pipe is as slow as its writer, such as a program that decrypts the file.
    let timeout = if kind.is_file() { READ_TIMEOUT } else { PIPE_TIMEOUT };
    let bytes = daymark_files::bounded(path, timeout, |path| {
        let mut bytes = Vec::new();
        File::open(path)?.take(tree::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    })?;
    // Beyond the bound the text may end inside a character, which would be blamed on its encoding.
    if bytes.len() > tree::MAX_BYTES {
        return Err(UnreadableFile::TooLarge);
    }
    String::from_utf8(bytes)
        .map_err(|error| UnreadableFile::NotUtf8 { first_wrong_byte: error.utf8_error().valid_up_to() + 1 })
}

/// One pool and the way it is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// The policy of the pool, with the nodes of the file alone.
    pub pool: Pool,
    /// The settings of its probes.
    pub probe: probe::ProbeSettings,
    /// The settings of its discovery; `None` if it has none.
    pub discovery: Option<daymark_discovery::DiscoverySettings>,
}

impl PoolConfig {
    /// The pool and the settings of its probes.
    pub fn probed(&self) -> ProbedPool<'_> {
        ProbedPool { pool: &self.pool, settings: &self.probe }
    }
}

/// A provider, which publishes the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderConfig {
    /// Daymark serves the zone itself.
    Authoritative(AuthoritativeConfig),
    /// Daymark writes to Cloudflare.
    Cloudflare(daymark_cloudflare::CloudflareSettings),
}

impl ProviderConfig {
    /// Returns true for a provider that writes to a remote system.
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Authoritative(_) => false,
            Self::Cloudflare(_) => true,
        }
    }
}

/// The hosts that decide together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeersConfig {
    /// This host, and all.
    pub membership: Membership,
    /// The UDP address to listen on.
    pub listen: SocketAddr,
    /// Listen on the address also before the host has it.
    pub freebind: bool,
    /// The name that the hosts share, bound into every datagram.
    pub cluster: String,
    /// The address of each host, this one included.
    pub addresses: BTreeMap<HostName, PeerAddress>,
    /// The file with the keys that the hosts share.
    pub key_file: PathBuf,
}

/// The address of another host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerAddress {
    /// An address with its port.
    Ip(SocketAddr),
    /// A DNS name, in lower case and without the final dot.
    Name {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}
