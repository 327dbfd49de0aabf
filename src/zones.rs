//! From the configuration to the zones of the authoritative server.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use daymark_authoritative::{MasterFile, Nameserver, Zone, ZoneSettings};

use crate::config::{AuthoritativeConfig, Config, PoolConfig, ProviderConfig};
use daymark_files::error_chain;

/// A zone file that went between the check of the configuration and now.
#[derive(Debug, thiserror::Error)]
#[error("the zone file {} cannot be read", .path.display())]
struct Unreadable {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// The authoritative server that is configured, if one is.
pub fn authoritative(config: &Config) -> Option<&AuthoritativeConfig> {
    config.providers.iter().find_map(|provider| match provider {
        ProviderConfig::Authoritative(authoritative) => Some(authoritative),
        ProviderConfig::Cloudflare(_) => None,
    })
}

/// The path of a key of the authoritative server.
pub fn key(config: &Config, key: &str) -> String {
    let is_it = |provider: &ProviderConfig| matches!(provider, ProviderConfig::Authoritative(_));
    format!("providers[{}].{key}", config.providers.iter().position(is_it).unwrap_or_default())
}

/// The zones to serve, checked whole; or else every sentence on what is wrong, each with its key. No zone without an
/// authoritative server.
pub fn checked(config: &Config) -> Result<Vec<ZoneSettings>, Vec<String>> {
    let Some(authoritative) = authoritative(config) else { return Ok(Vec::new()) };
    let key = key(config, if authoritative.zone_file.is_some() { "zoneFile" } else { "nameservers" });
    let at_its_key = |sentence| config.finding(&key, "--nameserver", sentence).to_string();
    let zones = zones(authoritative, &config.pools).map_err(|error| vec![at_its_key(error_chain(&error))])?;
    match Zone::build_all(&zones) {
        Ok(_) => Ok(zones),
        Err(errors) => Err(errors.0.iter().map(|error| at_its_key(error_chain(error))).collect()),
    }
}

/// The zone file and every file that it includes (RFC 1035, section 5.1), also those that are not there.
pub fn files(config: &Config) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut found: Vec<PathBuf> = authoritative(config).and_then(|it| it.zone_file.clone()).into_iter().collect();
    while let Some(file) = found.pop() {
        if files.insert(file.clone()) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            found.extend(included(&text).map(|name| file.with_file_name(name)));
        }
    }
    files
}

fn included(text: &str) -> impl Iterator<Item = &str> {
    let names = text.lines().filter_map(|line| line.trim_start().strip_prefix("$INCLUDE"));
    names.filter_map(|rest| rest.split([' ', '\t', ';']).find(|word| !word.is_empty()))
}

/// The zones to serve: the parent zone with every pool, or one zone a pool.
fn zones(config: &AuthoritativeConfig, pools: &[PoolConfig]) -> Result<Vec<ZoneSettings>, Unreadable> {
    let nameservers: Vec<Nameserver> = config
        .nameservers
        .iter()
        .map(|server| Nameserver { name: server.name.clone(), addresses: server.addresses.clone() })
        .collect();
    let mut names = pools.iter().map(|it| it.pool.name.clone());
    let Some(apex) = &config.zone else {
        return Ok(names.map(|name| ZoneSettings::for_pool(&name, &nameservers)).collect());
    };
    let master_file = config.zone_file.as_deref().map(read).transpose()?;
    Ok(vec![ZoneSettings { apex: apex.clone(), pools: names.by_ref().collect(), nameservers, master_file }])
}

fn read(path: &Path) -> Result<MasterFile, Unreadable> {
    let text = fs::read_to_string(path).map_err(|source| Unreadable { path: path.to_owned(), source })?;
    Ok(MasterFile { path: path.to_owned(), text })
}
