//! `daymark check`: every error of a configuration, and its worst case.

mod host_losses;

use std::path::Path;

use clap::Args;
use daymark_authoritative::PreparedZones;
use daymark_cloudflare::TokenSource;
use daymark_config::{Config, ConfigErrors, Finding, ProviderConfig, budget};

use self::host_losses::HostLosses;
use super::{ConfigArguments, Outcome};
use crate::descriptors::DescriptorBudget;
use crate::os::descriptors;
use crate::zones;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigArguments,
}

pub(super) fn check(arguments: &Arguments) -> Outcome {
    let Checked { config, is_for_all_hosts } = load(&arguments.file.config, arguments.file.own.name.as_deref())?;
    let zones = zones::load(&config).map_err(ConfigErrors)?.zones;
    if let Some(fault) = state_dir_fault(&config) {
        return Err(ConfigErrors(vec![fault]).into());
    }
    let mut report = budget::report(&config);
    report.is_for_all_hosts = is_for_all_hosts;
    let mut warnings = std::mem::take(&mut report.warnings);
    warnings.extend(unset_variables(&config));
    warnings.extend(DescriptorBudget::new(&config, descriptors::hard_limit()).finding(&config));
    let zone_file = zones::key(&config, "zoneFile");
    warnings.extend(zones.missing_glue().map(|missing| config.finding(&zone_file, "", missing.to_string())));
    let losses = host_losses(&config, &zones);
    let key = zones::key(&config, "nameservers");
    let of_losses = losses.iter().flat_map(HostLosses::warnings);
    warnings.extend(of_losses.map(|message| config.finding(&key, "", message)));
    let losses = losses.map(|losses| losses.to_string()).unwrap_or_default();
    let warnings: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    Ok(format!("{report}{losses}{warnings}{}: configuration OK\n", arguments.file.config.display()))
}

/// A configuration without an error.
struct Checked {
    config: Config,
    /// True if every member of the file could run with it. It is that of the first one, with the warnings of all.
    is_for_all_hosts: bool,
}

/// Loads a file as the host `named`, or as each member of a file that names none.
fn load(file: &Path, named: Option<&str>) -> Result<Checked, ConfigErrors> {
    let members = if named.is_none() { Config::open_members(file) } else { Vec::new() };
    let Some((first, others)) = members.split_first() else {
        return Ok(Checked { config: Config::load(file, named)?, is_for_all_hosts: false });
    };
    let mut config = Config::load(file, Some(first))?;
    for member in others {
        for warning in Config::load(file, Some(member))?.warnings {
            if !config.warnings.contains(&warning) {
                config.warnings.push(warning);
            }
        }
    }
    Ok(Checked { config, is_for_all_hosts: true })
}

/// The losses of single hosts, compared with the name servers. `None` if one host decides alone, or Daymark serves no zone.
fn host_losses(config: &Config, zones: &PreparedZones) -> Option<HostLosses> {
    let servers = zones::nameservers(config, zones);
    if servers.is_empty() {
        return None;
    }
    Some(HostLosses::new(&servers, &config.peers.as_ref()?.addresses))
}

/// The error of a state directory that cannot be made or used because a file is in its place. `run` goes on without it.
fn state_dir_fault(config: &Config) -> Option<Finding> {
    let dir = config.state_dir.as_deref()?;
    // The nearest path that exists decides. A broken link exists too.
    let existing = dir.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    let message = || format!("{} is not a directory; a directory is needed", existing.display());
    (!existing.is_dir()).then(|| config.finding("stateDir", "", message()))
}

/// Variables of tokens that are not set here; where Daymark runs they may be.
fn unset_variables(config: &Config) -> Vec<Finding> {
    let unset = |(index, provider): (usize, &ProviderConfig)| {
        let token = match provider {
            ProviderConfig::Cloudflare(settings) => &settings.calls.token,
            ProviderConfig::Authoritative(_) => return None,
        };
        let TokenSource::Environment(name) = token else { return None };
        let is_set = std::env::var_os(name).is_some_and(|token| !token.is_empty());
        let message = format!("{name} is not set here; Daymark needs it on the host that it runs on");
        (!is_set).then(|| config.finding(&format!("providers[{index}].tokenVariable"), "", message))
    };
    config.providers.iter().enumerate().filter_map(unset).collect()
}
