//! Builds the zone settings of the authoritative server from the configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use daymark_authoritative::{MasterFile, Nameserver, PreparedZones, ZoneErrors, ZoneSettings};
use daymark_config::{AuthoritativeConfig, Config, Finding, PoolConfig, ProviderConfig};

use daymark_files::{FileError, error_chain};

/// A zone file that cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the zone file {} is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
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

/// The zones to serve, checked. None without an authoritative server. Each error has its key.
pub fn checked(config: &Config) -> Result<Vec<ZoneSettings>, Vec<Finding>> {
    let zones = settings(config)?;
    PreparedZones::build(&zones).map_err(|errors| findings(config, &errors))?;
    Ok(zones)
}

/// The zones to serve, built. Each error has its key.
pub fn prepared(config: &Config) -> Result<PreparedZones, Vec<Finding>> {
    PreparedZones::build(&settings(config)?).map_err(|errors| findings(config, &errors))
}

fn settings(config: &Config) -> Result<Vec<ZoneSettings>, Vec<Finding>> {
    let Some(authoritative) = authoritative(config) else { return Ok(Vec::new()) };
    zones(authoritative, &config.pools).map_err(|error| vec![finding(config, error_chain(&error))])
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

/// The paths of the zone file and of every file that it includes (RFC 1035, section 5.1). A file need not exist.
pub fn files(config: &Config) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut unread: Vec<PathBuf> = Vec::new();
    unread.extend(authoritative(config).and_then(|authoritative| authoritative.zone_file.clone()));
    while let Some(file) = unread.pop() {
        if files.insert(file.clone()) {
            let text = read_text(&file).unwrap_or_default();
            unread.extend(included(&text).map(|name| file.with_file_name(name)));
        }
    }
    files
}

/// The paths of the `$INCLUDE` lines of a zone file.
fn included(text: &str) -> impl Iterator<Item = &str> {
    let names = text.lines().filter_map(|line| line.trim_start().strip_prefix("$INCLUDE"));
    names.filter_map(|rest| rest.split([' ', '\t', ';']).find(|word| !word.is_empty()))
}

/// The settings of the zones: one parent zone with every pool if a zone is configured, and otherwise one zone for each pool.
fn zones(config: &AuthoritativeConfig, pools: &[PoolConfig]) -> Result<Vec<ZoneSettings>, Unreadable> {
    let nameservers: Vec<Nameserver> = config
        .nameservers
        .iter()
        .map(|server| Nameserver { name: server.name.clone(), addresses: server.addresses.clone() })
        .collect();
    let names = pools.iter().map(|pool| pool.pool.name.clone());
    let Some(apex) = &config.zone else {
        return Ok(names.map(|name| ZoneSettings::for_pool(&name, &nameservers)).collect());
    };
    let master_file = config.zone_file.as_deref().map(read).transpose()?;
    Ok(vec![ZoneSettings { apex: apex.clone(), pools: names.collect(), nameservers, master_file }])
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    String::from_utf8(daymark_files::read(path)?).map_err(|_| Unreadable::NotUtf8(path.to_owned()))
}

fn read(path: &Path) -> Result<MasterFile, Unreadable> {
    let text = read_text(path)?;
    Ok(MasterFile { path: path.to_owned(), text })
}
