//! Builds the zone settings of the authoritative server from the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use daymark_authoritative::{
    MAX_INCLUDES, MAX_ZONE_BYTES, MasterFile, Nameserver, PreparedZones, SigningSettings, ZoneErrors, ZoneKey,
    ZoneSettings, included_files,
};
use daymark_config::{AuthoritativeConfig, Config, DnssecConfig, Finding, ProviderConfig, read_dnssec_key};

use daymark_files::{FileError, error_chain};

/// A zone file that cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{}:{line}: a byte is not UTF-8; save the file as UTF-8, or write \\DDD for the byte", path.display())]
    NotUtf8 { path: PathBuf, line: usize },
}

/// The configuration of the authoritative provider, if there is one.
pub fn authoritative(config: &Config) -> Option<&AuthoritativeConfig> {
    config.providers.iter().find_map(|provider| match provider {
        ProviderConfig::Authoritative(authoritative) => Some(authoritative),
        ProviderConfig::Cloudflare(_) => None,
    })
}

/// The path of a key of the authoritative provider, such as `providers[0].zone`.
pub fn key(config: &Config, key: &str) -> String {
    let index = config.providers.iter().position(|provider| matches!(provider, ProviderConfig::Authoritative(_)));
    format!("providers[{}].{key}", index.unwrap_or_default())
}

/// The zone file of the configuration with all that it includes, if it has one.
pub fn master_file(config: &Config) -> Result<Option<MasterFile>, Finding> {
    let file = authoritative(config).and_then(|authoritative| authoritative.zone_file.as_deref());
    file.map(read).transpose().map_err(|error| finding(config, error_chain(&error)))
}

/// The zones to serve, checked. None without an authoritative server. Each error has its key.
pub fn checked(config: &Config, zone_file: Option<MasterFile>) -> Result<Vec<ZoneSettings>, Vec<Finding>> {
    let zones = zones(config, zone_file)?;
    PreparedZones::build(&zones).map_err(|errors| findings(config, &errors))?;
    Ok(zones)
}

/// The zones to serve, built, with the zone file that they were built from.
pub struct LoadedZones {
    /// The zones.
    pub zones: PreparedZones,
    /// The zone file, if there is one.
    pub zone_file: Option<MasterFile>,
}

/// Reads the zone file, and builds the zones to serve. Each error has its key.
pub fn load(config: &Config) -> Result<LoadedZones, Vec<Finding>> {
    let zone_file = master_file(config).map_err(|finding| vec![finding])?;
    let zones = PreparedZones::build(&zones(config, zone_file.clone())?);
    Ok(LoadedZones { zones: zones.map_err(|errors| findings(config, &errors))?, zone_file })
}

/// The name servers of the zones with their addresses. One outside its zone has those of the configuration.
pub fn nameservers(config: &Config, zones: &PreparedZones) -> Vec<Nameserver> {
    let configured = authoritative(config).map(|authoritative| &authoritative.nameservers[..]).unwrap_or_default();
    // With a parent zone there is one zone, and without one all have the same name servers.
    let mut servers = zones.nameservers().next().unwrap_or_default();
    for server in servers.iter_mut().filter(|server| server.addresses.is_empty()) {
        let known = configured.iter().find(|known| known.name == server.name);
        server.addresses.extend(known.iter().flat_map(|known| &known.addresses));
    }
    servers
}

fn findings(config: &Config, errors: &ZoneErrors) -> Vec<Finding> {
    errors.0.iter().map(|error| finding(config, error_chain(error))).collect()
}

/// An error at the key of the zones: the zone file, or the nameservers without one.
fn finding(config: &Config, message: String) -> Finding {
    let has_file = authoritative(config).is_some_and(|authoritative| authoritative.zone_file.is_some());
    let key = key(config, if has_file { "zoneFile" } else { "nameservers" });
    config.finding(&key, "--nameserver", message)
}

/// The paths of the zone file, of every file that it includes (RFC 1035, section 5.1), and of the keys. A file need not exist.
pub fn files(config: &Config) -> BTreeSet<PathBuf> {
    let Some(authoritative) = authoritative(config) else { return BTreeSet::new() };
    let file = authoritative.zone_file.as_deref();
    let mut files: BTreeSet<PathBuf> = file.map(|file| texts(file).into_keys().collect()).unwrap_or_default();
    files.extend(authoritative.dnssec.iter().flat_map(DnssecConfig::files).map(Path::to_owned));
    files
}

/// The text of a zone file and of every file that it includes. Beyond the bounds of a zone no more files are read.
fn texts(file: &Path) -> BTreeMap<PathBuf, Result<String, Unreadable>> {
    let mut texts = BTreeMap::new();
    let mut unread = vec![file.to_owned()];
    let mut bytes = 0;
    while let Some(path) = unread.pop() {
        if texts.contains_key(&path) || texts.len() > MAX_INCLUDES || bytes > MAX_ZONE_BYTES {
            continue;
        }
        let text = read_text(&path);
        if let Ok(text) = &text {
            bytes += text.len();
            unread.extend(included_files(&path, text));
        }
        texts.insert(path, text);
    }
    texts
}

/// The settings of the zones: one parent zone with every pool if a zone is configured, and otherwise one zone for each pool.
fn zones(config: &Config, master_file: Option<MasterFile>) -> Result<Vec<ZoneSettings>, Vec<Finding>> {
    let Some(authoritative) = authoritative(config) else { return Ok(Vec::new()) };
    let signing = authoritative.dnssec.as_ref().map(|dnssec| signing(config, dnssec)).transpose()?;
    let nameservers: Vec<Nameserver> = authoritative
        .nameservers
        .iter()
        .map(|server| Nameserver { name: server.name.clone(), addresses: server.addresses.clone() })
        .collect();
    let names = config.pools.iter().map(|pool| pool.pool.name.clone());
    let Some(apex) = &authoritative.zone else {
        let zone = |name| ZoneSettings { signing: signing.clone(), ..ZoneSettings::for_pool(&name, &nameservers) };
        return Ok(names.map(zone).collect());
    };
    Ok(vec![ZoneSettings { apex: apex.clone(), pools: names.collect(), nameservers, master_file, signing }])
}

/// The keys of the zones, read from their files.
fn signing(config: &Config, dnssec: &DnssecConfig) -> Result<SigningSettings, Vec<Finding>> {
    let mut keys = Vec::new();
    let mut errors = Vec::new();
    for (index, key) in dnssec.keys.iter().enumerate() {
        match read_dnssec_key(&key.file) {
            Ok(read) => keys.push(ZoneKey { key: read, role: key.role, is_active: !key.publish_only }),
            Err(error) => {
                let path = self::key(config, &format!("dnssec.keys[{index}].file"));
                errors.push(config.finding(&path, "", error_chain(&error)));
            }
        }
    }
    if errors.is_empty() { Ok(SigningSettings { keys, denial: dnssec.denial }) } else { Err(errors) }
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    String::from_utf8(daymark_files::read(path)?).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|&byte| byte == b'\n').count();
        Unreadable::NotUtf8 { path: path.to_owned(), line }
    })
}

/// Reads a zone file with all that it includes.
fn read(path: &Path) -> Result<MasterFile, Unreadable> {
    let mut included = BTreeMap::new();
    for (path, text) in texts(path) {
        included.insert(path, text?);
    }
    let text = included.remove(path).unwrap_or_default();
    Ok(MasterFile { path: path.to_owned(), text, included })
}
