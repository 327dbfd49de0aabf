//! Applies a changed configuration to the running parts: whole, or not at all.
//!
//! A change is told by SIGHUP, or seen: the configuration and the zone file are looked at every second, by what their names
//! lead to, so that the swap of a mounted `ConfigMap`'s link is seen as well as an edit.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::Authoritative;
use daymark_cloudflare::Settings;
use daymark_decision::PoolName;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{Config, Finding, ProviderConfig};
use crate::driver::Handle;
use crate::fault::chain;
use crate::probers::Probers;
use crate::zones;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a change is applied to.
pub struct Reloader {
    file: Option<PathBuf>,
    config: Config,
    driver: Handle,
    probers: Probers,
    authoritative: Option<Arc<Authoritative>>,
}

impl Reloader {
    /// Applies the configuration of the start to the probers, and is ready for the next.
    pub fn new(
        file: Option<PathBuf>,
        config: Config,
        driver: Handle,
        mut probers: Probers,
        authoritative: Option<Arc<Authoritative>>,
    ) -> Self {
        probers.configure(&config.pools);
        Self { file, config, driver, probers, authoritative }
    }

    /// Applies changes until the shutdown, then stops every probe.
    pub async fn run(mut self, asked: Arc<Notify>, shutdown: CancellationToken) {
        let mut seen = self.look();
        let mut settling: Option<Look> = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = asked.notified() => {
                    (seen, settling) = (self.reload_from(self.look()).await, None);
                }
                () = tokio::time::sleep(LOOK), if self.file.is_some() => {
                    let look = self.look();
                    // A file that is still being written is left until it has rested for one look.
                    let has_rested = settling.as_ref() == Some(&look);
                    settling = (look != seen).then(|| look.clone());
                    if look != seen && has_rested {
                        (seen, settling) = (self.reload_from(look).await, None);
                    }
                }
            }
        }
        self.probers.stop().await;
    }

    /// Reloads, and gives what was seen then: what was looked at before, and what the new configuration names besides.
    async fn reload_from(&mut self, look: Look) -> Look {
        self.reload().await;
        let mut seen = self.look();
        for (file, identity) in look {
            // A change since the reload is one that it may have missed.
            seen.entry(file).and_modify(|it| *it = identity);
        }
        seen
    }

    async fn reload(&mut self) {
        let Some(file) = self.file.clone() else {
            return warn!("there is no configuration file to read again: Daymark was started with flags");
        };
        let config = match Config::load(&file) {
            Ok(config) => config,
            Err(errors) => return refuse(errors.0.iter().map(ToString::to_string).collect()),
        };
        match self.apply(&config).await {
            Ok(()) => {
                let is_new = |warning: &&Finding| !self.config.warnings.contains(warning);
                config.warnings.iter().filter(is_new).for_each(|warning| warn!("{warning}"));
                info!("the configuration {} is applied", file.display());
                self.config = config;
            }
            Err(reasons) => refuse(reasons),
        }
    }

    async fn apply(&mut self, config: &Config) -> Result<(), Vec<String>> {
        let fixed = fixed_keys(&self.config, config);
        if !fixed.is_empty() {
            let sentence = |key: &String| format!("{key} cannot change while Daymark runs; restart it");
            return Err(fixed.iter().map(sentence).collect());
        }
        let zones = zones::checked(config)?;
        if let Some(authoritative) = &self.authoritative {
            authoritative.configure(&zones).map_err(|errors| vec![chain(&errors)])?;
        }
        // The new generation that this gives is what raises the serial of the zones.
        let pools = config.pools.iter().map(|it| it.pool.clone()).collect();
        self.driver.reload(pools).await.map_err(|gone| vec![gone.to_string()])?;
        self.probers.configure(&config.pools);
        Ok(())
    }

    fn look(&self) -> Look {
        let zone_file = zones::authoritative(&self.config).and_then(|it| it.zone_file.clone());
        let files = self.file.clone().into_iter().chain(zone_file);
        files.map(|file| (file.clone(), identity(&file))).collect()
    }
}

/// What each file is, by device, inode, length and time of change; `None` for one that is not there.
type Look = BTreeMap<PathBuf, Option<Identity>>;

type Identity = (u64, u64, u64, i64, i64);

fn identity(file: &Path) -> Option<Identity> {
    let it = fs::metadata(file).ok()?;
    Some((it.dev(), it.ino(), it.len(), it.mtime(), it.mtime_nsec()))
}

fn refuse(reasons: Vec<String>) {
    error!("the new configuration is refused, and the old one stays");
    for reason in reasons {
        error!("{reason}");
    }
}

/// The keys that differ and are bound to sockets, files or calls under way.
fn fixed_keys(old: &Config, new: &Config) -> Vec<String> {
    let mut fixed = Vec::new();
    let kinds = |config: &Config| config.providers.iter().map(std::mem::discriminant).collect::<Vec<_>>();
    if kinds(old) == kinds(new) {
        let pairs = old.providers.iter().zip(&new.providers);
        fixed.extend(pairs.enumerate().flat_map(|(index, (old, new))| fixed_in_provider(index, old, new)));
    } else {
        fixed.push("providers".to_owned());
    }
    if old.admin != new.admin {
        fixed.push("admin".to_owned());
    }
    if old.state_dir != new.state_dir {
        fixed.push("stateDir".to_owned());
    }
    fixed
}

fn fixed_in_provider(index: usize, old: &ProviderConfig, new: &ProviderConfig) -> Vec<String> {
    let differing = match (old, new) {
        (ProviderConfig::Authoritative(old), ProviderConfig::Authoritative(new)) => vec![
            (old.listen != new.listen, format!("providers[{index}].listen")),
            (old.max_tcp_connections != new.max_tcp_connections, format!("providers[{index}].maxTcpConnections")),
        ],
        (ProviderConfig::Cloudflare(old), ProviderConfig::Cloudflare(new)) => vec![
            (
                served(old) != served(new),
                format!("what providers[{index}] publishes, by the names and ports of its pools,"),
            ),
            (own(old) != own(new), format!("providers[{index}]")),
        ],
        _ => Vec::new(),
    };
    differing.into_iter().filter_map(|(differs, key)| differs.then_some(key)).collect()
}

/// How the pools are probed may change: the provider needs it only to warn of what is slow.
fn served(settings: &Settings) -> Vec<(&PoolName, u16)> {
    settings.pools.iter().map(|served| (&served.pool, served.port)).collect()
}

/// The settings without the pools of the file.
fn own(settings: &Settings) -> Settings {
    Settings { pools: Vec::new(), ..settings.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOLS: &str = "
pools:
  - name: lb.example.org
    nodes: [{name: cp-1, addresses: [192.0.2.1]}]
    probe: {interval: 1s}
providers:
";
    const AUTHORITATIVE: &str = "  - {type: authoritative, nameservers: [{name: ns1.example.net}]}\n";
    const CLOUDFLARE: &str = "  - {type: cloudflare, mode: records, zone: example.org, tokenVariable: TOKEN}\n";

    fn fixed(old: &str, new: &str) -> Vec<String> {
        let read = |text: &str| Config::parse(text, "test.yaml", Path::new("")).unwrap();
        fixed_keys(&read(old), &read(new))
    }

    #[test]
    fn a_cloudflare_provider_cannot_change_while_it_runs_but_its_nodes_and_their_probe_can() {
        let old = format!("{POOLS}{AUTHORITATIVE}{CLOUDFLARE}");
        let with = |from: &str, to: &str| fixed(&old, &old.replace(from, to));
        assert_eq!(with("[192.0.2.1]", "[192.0.2.1, 192.0.2.2]"), [""; 0]);
        assert_eq!(with("interval: 1s", "interval: 3s"), [""; 0]);
        assert_eq!(with("mode: records", "mode: records, ttl: 2m"), ["providers[1]"]);
        let pools = ["what providers[1] publishes, by the names and ports of its pools,"];
        assert_eq!(with("    nodes", "    port: 443\n    nodes"), pools);
    }

    #[test]
    fn providers_neither_come_nor_go_nor_change_places() {
        let both = format!("{POOLS}{AUTHORITATIVE}{CLOUDFLARE}");
        assert_eq!(fixed(&both, &format!("{POOLS}{AUTHORITATIVE}")), ["providers"]);
        assert_eq!(fixed(&both, &format!("{POOLS}{CLOUDFLARE}{AUTHORITATIVE}")), ["providers"]);
    }
}
