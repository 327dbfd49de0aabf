//! Applies a changed configuration to the running parts: whole, or not at all.
//!
//! A change is told by SIGHUP, or seen: the configuration, the zone file and what it includes are looked at every second, by
//! what their names lead to, so that the swap of a mounted `ConfigMap`'s link is seen as well as an edit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::Authoritative;
use daymark_cloudflare::{Mode, Settings, TokenSource};
use daymark_config::{Config, Finding, PeersConfig, PoolConfig, ProviderConfig};
use daymark_decision::{Pool, PoolName};
use daymark_files::{FileVersion, error_chain};
use daymark_probe::Supervisor;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::discovery::PersistentDiscovery;
use crate::driver::Handle;
use crate::os::notify;
use crate::peers;
use crate::zones;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Why the configuration that was read last is not the one in force. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Refused(Arc<Mutex<Option<String>>>);

impl Refused {
    /// The first reason; `None` where what was read last is in force.
    pub fn why(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// What a change is applied to.
pub struct Reloader {
    file: Option<PathBuf>,
    config: Config,
    driver: Handle,
    probes: Supervisor,
    discovery: PersistentDiscovery,
    authoritative: Option<Arc<Authoritative>>,
    zone_files: BTreeSet<PathBuf>,
    /// The configuration that was refused last, for it is to be read again once one of its files is mended.
    refused: Option<Config>,
    why: Refused,
    /// What the files were when this was made: what changes before the first look of the run is seen by it.
    seen: Look,
}

impl Reloader {
    /// Applies the configuration of the start to the probes and the discovery, and is ready for the next.
    pub fn new(
        file: Option<PathBuf>,
        config: Config,
        driver: Handle,
        mut probes: Supervisor,
        mut discovery: PersistentDiscovery,
        authoritative: Option<Arc<Authoritative>>,
    ) -> Self {
        probes.configure(discovery.pools(&config.pools).iter().map(PoolConfig::probed));
        discovery.configure(&config.pools);
        let (zone_files, seen) = (zones::files(&config), Look::new());
        let (refused, why) = (None, Refused::default());
        let mut reloader =
            Self { file, config, driver, probes, discovery, authoritative, zone_files, refused, why, seen };
        reloader.seen = reloader.look();
        reloader
    }

    /// Whether what was read last is refused, as it goes on.
    pub fn refused(&self) -> Refused {
        self.why.clone()
    }

    /// Applies changes until the shutdown, then stops every probe and every finder.
    pub async fn run(mut self, asked: Arc<Notify>, shutdown: CancellationToken) {
        self.discovery.save().await;
        let mut seen = std::mem::take(&mut self.seen);
        let mut settling: Option<Look> = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.discovery.changed() => self.change_nodes().await,
                () = asked.notified() => {
                    notify::reloading();
                    (seen, settling) = (self.reload_from(self.look()).await, None);
                    notify::ready();
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
        self.probes.stop().await;
        self.discovery.stop().await;
    }

    /// Applies the configuration as it is to the nodes that are known now.
    async fn change_nodes(&mut self) {
        let pools = self.discovery.pools(&self.config.pools);
        // A driver that does not answer takes them with the next change, and the watchdog tells.
        if let Err(gone) = self.driver.change_nodes(policies(&pools)).await {
            return warn!("the nodes that were found are not taken in: {gone}");
        }
        self.probes.configure(pools.iter().map(PoolConfig::probed));
    }

    /// Reloads, and gives what was seen before, for what changes meanwhile may have been missed. A file that is named only now
    /// was not seen before, so it will be read once more.
    async fn reload_from(&mut self, look: Look) -> Look {
        // What a changed file includes now.
        self.zone_files = self.named();
        let mut seen = self.look();
        seen.extend(look);
        self.reload().await;
        self.zone_files = self.named();
        seen.retain(|file, _| self.file.as_ref() == Some(file) || self.zone_files.contains(file));
        seen
    }

    async fn reload(&mut self) {
        let Some(file) = self.file.clone() else {
            return warn!("there is no configuration file to read again: Daymark was started with flags");
        };
        let config = match self.config.load_again(&file) {
            Ok(config) => config,
            Err(errors) => return self.refuse(&errors.0.iter().map(ToString::to_string).collect::<Vec<_>>()),
        };
        match self.apply(&config).await {
            Ok(()) => {
                let is_new = |warning: &&Finding| !self.config.warnings.contains(warning);
                config.warnings.iter().filter(is_new).for_each(|warning| warn!("{warning}"));
                (self.config, self.refused) = (config, None);
                *self.why.0.lock() = None;
                info!("the configuration {} is applied", file.display());
            }
            Err(reasons) => {
                self.refuse(&reasons);
                self.refused = Some(config);
            }
        }
    }

    fn refuse(&self, reasons: &[String]) {
        *self.why.0.lock() = reasons.first().cloned();
        error!("the new configuration is refused, and the old one stays");
        for reason in reasons {
            error!("{reason}");
        }
    }

    /// The zone files that the configuration names, and that the refused one does.
    fn named(&self) -> BTreeSet<PathBuf> {
        [&self.config].into_iter().chain(&self.refused).flat_map(zones::files).collect()
    }

    async fn apply(&mut self, config: &Config) -> Result<(), Vec<String>> {
        let fixed = fixed_keys(&self.config, config);
        if !fixed.is_empty() {
            let sentence = |key: &String| format!("{key} cannot change while Daymark runs; restart it");
            return Err(fixed.iter().map(sentence).collect());
        }
        let zones = zones::checked(config)?;
        if let Some(authoritative) = &self.authoritative {
            authoritative.configure(&zones).map_err(|errors| vec![error_chain(&errors)])?;
        }
        self.discovery.configure(&config.pools);
        self.discovery.save().await;
        let pools = self.discovery.pools(&config.pools);
        // The new generation that this gives is what raises the serial of the zones.
        let digests = peers::configuration_hashes(&config.pools);
        self.driver.reload(policies(&pools), digests).await.map_err(|gone| vec![gone.to_string()])?;
        self.probes.configure(pools.iter().map(PoolConfig::probed));
        Ok(())
    }

    fn look(&self) -> Look {
        let files = self.file.iter().chain(&self.zone_files);
        files.map(|file| (file.clone(), FileVersion::of(file))).collect()
    }
}

/// What the core is told of the pools.
fn policies(pools: &[PoolConfig]) -> Vec<Pool> {
    pools.iter().map(|config| config.pool.clone()).collect()
}

/// What each file is.
type Look = BTreeMap<PathBuf, FileVersion>;

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
    match (&old.peers, &new.peers) {
        (Some(old), Some(new)) => fixed.extend(fixed_in_peers(old, new)),
        (None, None) => {}
        _ => fixed.push("peers".to_owned()),
    }
    if old.admin.listen != new.admin.listen {
        fixed.push("admin.listen".to_owned());
    }
    if old.admin.token_file != new.admin.token_file {
        fixed.push("admin.tokenFile".to_owned());
    }
    if old.state_dir != new.state_dir {
        fixed.push("stateDir".to_owned());
    }
    fixed
}

fn fixed_in_peers(old: &PeersConfig, new: &PeersConfig) -> impl Iterator<Item = String> {
    let differing = [
        (old.membership.own != new.membership.own, "self"),
        (old.listen != new.listen, "listen"),
        (old.cluster != new.cluster, "cluster"),
        (old.addresses != new.addresses, "members"),
        (old.key_file != new.key_file, "keyFile"),
    ];
    differing.into_iter().filter(|(differs, _)| *differs).map(|(_, key)| format!("peers.{key}"))
}

fn fixed_in_provider(index: usize, old: &ProviderConfig, new: &ProviderConfig) -> Vec<String> {
    let differing = match (old, new) {
        (ProviderConfig::Authoritative(old), ProviderConfig::Authoritative(new)) => vec![
            (old.listen != new.listen, "listen"),
            (old.max_tcp_connections != new.max_tcp_connections, "maxTcpConnections"),
        ],
        (ProviderConfig::Cloudflare(old), ProviderConfig::Cloudflare(new)) => {
            let mut differing = fixed_in_cloudflare(old, new);
            differing.extend(fixed_in_mode(&old.mode, &new.mode));
            differing
        }
        _ => Vec::new(),
    };
    let differing = differing.into_iter().filter_map(|(differs, key)| differs.then_some(key));
    differing.map(|key| format!("providers[{index}].{key}")).collect()
}

fn fixed_in_cloudflare(old: &Settings, new: &Settings) -> Vec<(bool, &'static str)> {
    let token = match new.calls.token {
        TokenSource::File(_) => "tokenFile",
        TokenSource::Environment(_) => "tokenVariable",
    };
    vec![
        (old.name != new.name, "name"),
        (old.calls.api != new.calls.api, "api"),
        (old.calls.token != new.calls.token, token),
        (old.calls.timeout != new.calls.timeout, "timeout"),
        (old.calls.share != new.calls.share, "callShare"),
        (old.drift_interval != new.drift_interval, "driftInterval"),
        (served(old) != served(new), "pools, by the names and ports of what is published,"),
    ]
}

fn fixed_in_mode(old: &Mode, new: &Mode) -> Vec<(bool, &'static str)> {
    match (old, new) {
        (Mode::Records { zone, ttl }, Mode::Records { zone: new_zone, ttl: new_ttl }) => {
            vec![(zone != new_zone, "zone"), (ttl != new_ttl, "ttl")]
        }
        (
            Mode::LoadBalancing { account, zone, cloudflare_pools, manage },
            Mode::LoadBalancing {
                account: new_account,
                zone: new_zone,
                cloudflare_pools: new_pools,
                manage: new_manage,
            },
        ) => {
            let is_same_way = std::mem::discriminant(manage) == std::mem::discriminant(new_manage);
            vec![
                (account != new_account, "account"),
                (zone != new_zone, "zone"),
                // Where the pools are others, that is said already.
                (cloudflare_pools.len() == new_pools.len() && cloudflare_pools != new_pools, "pools[].cloudflarePool"),
                (!is_same_way, "manage"),
                (is_same_way && manage != new_manage, "ttl"),
            ]
        }
        _ => vec![(true, "mode")],
    }
}

/// How the pools are probed may change: the provider needs it only to warn of what is slow.
fn served(settings: &Settings) -> Vec<(&PoolName, u16)> {
    settings.pools.iter().map(|served| (&served.pool, served.port)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

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
        let pools = ["providers[1].pools, by the names and ports of what is published,"];
        assert_eq!(with("    nodes", "    port: 443\n    nodes"), pools);
        let another = "providers:\n";
        let one_more = "  - {name: lb2.example.org, nodes: [{name: cp-1, addresses: [192.0.2.9]}]}\nproviders:\n";
        assert_eq!(with(another, one_more), pools, "all are published by default");
    }

    #[test]
    fn what_cannot_change_is_said_by_its_very_key() {
        const BALANCING: &str = "  - {type: cloudflare, mode: loadBalancing, zone: example.org, tokenVariable: TOKEN, account: \
            0123456789abcdef0123456789abcdef, pools: [{name: lb.example.org, cloudflarePool: lb}]}\n";
        for (provider, from, to, key) in [
            (CLOUDFLARE, "mode: records", "name: edge, mode: records", "name"),
            (CLOUDFLARE, "mode: records", "mode: records, api: \"https://a.example\"", "api"),
            (CLOUDFLARE, "TOKEN", "OTHER", "tokenVariable"),
            (CLOUDFLARE, "mode: records", "mode: records, timeout: 2s", "timeout"),
            (CLOUDFLARE, "mode: records", "mode: records, callShare: 7", "callShare"),
            (CLOUDFLARE, "mode: records", "mode: records, driftInterval: 2m", "driftInterval"),
            (CLOUDFLARE, "mode: records", "mode: records, ttl: 2m", "ttl"),
            (CLOUDFLARE, "zone: example.org", "zone: org", "zone"),
            (CLOUDFLARE, CLOUDFLARE, BALANCING, "mode"),
            (BALANCING, "0123456789abcdef0", "0123456789abcdef1", "account"),
            (BALANCING, "zone: example.org", "zone: org", "zone"),
            (BALANCING, "cloudflarePool: lb", "cloudflarePool: other", "pools[].cloudflarePool"),
            (BALANCING, "mode:", "manage: full, mode:", "manage"),
        ] {
            let old = format!("{POOLS}{provider}");
            assert_eq!(fixed(&old, &old.replace(from, to)), [format!("providers[0].{key}")]);
        }
        let full = BALANCING.replace("mode:", "manage: full, mode:");
        let old = format!("{POOLS}{full}");
        assert_eq!(fixed(&old, &old.replace("mode:", "ttl: 40s, mode:")), ["providers[0].ttl"]);
        let with_admin = |admin: &str| format!("{POOLS}{CLOUDFLARE}admin: {{listen: \"127.0.0.1:{admin}\"}}\n");
        assert_eq!(fixed(&with_admin("1"), &with_admin("2")), ["admin.listen"]);
    }

    #[test]
    fn the_peers_cannot_change_but_the_content_of_their_key_file_can() {
        const MEMBERS: &str = "members: [{name: a, address: 192.0.2.1}, {name: b, address: 192.0.2.2}]";
        const KEY: &str = "AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("daymark.yaml");
        for (name, first) in [("gossip.key", "A"), ("other.key", "B")] {
            let path = dir.path().join(name);
            fs::write(&path, format!("{first}{KEY}")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let load = |text: &str, named| {
            fs::write(&file, text).unwrap();
            Config::load(&file, named).unwrap()
        };
        let peers = format!("peers: {{self: a, keyFile: gossip.key, {MEMBERS}}}\n");
        let with_peers = format!("{POOLS}{CLOUDFLARE}{peers}");
        let old = load(&with_peers, None);
        let fixed = |from: &str, to: &str| fixed_keys(&old, &load(&with_peers.replace(from, to), None));
        assert_eq!(fixed("self: a", "self: b"), ["peers.self"]);
        assert_eq!(fixed("self: a", "self: a, listen: \"[::]:7000\""), ["peers.listen"]);
        assert_eq!(fixed("self: a", "self: a, cluster: other"), ["peers.cluster"]);
        assert_eq!(fixed("gossip.key", "other.key"), ["peers.keyFile"]);
        assert_eq!(fixed("192.0.2.2}", "192.0.2.3}"), ["peers.members"]);
        assert_eq!(fixed("192.0.2.2}", "192.0.2.2}, {name: c, address: 192.0.2.3}"), ["peers.members"]);
        assert_eq!(fixed(&peers, ""), ["peers"]);
        let in_other_order = MEMBERS.replace(
            "name: a, address: 192.0.2.1}, {name: b, address: 192.0.2.2",
            "name: b, address: 192.0.2.2}, {name: a, address: 192.0.2.1",
        );
        assert_eq!(fixed(MEMBERS, &in_other_order), [""; 0]);
        fs::write(dir.path().join("gossip.key"), format!("C{KEY}")).unwrap();
        assert_eq!(fixed("", ""), [""; 0]);
        let named = load(&with_peers, Some("b"));
        fs::write(&file, with_peers.replace("self: a, ", "")).unwrap();
        assert_eq!(fixed_keys(&named, &named.load_again(&file).unwrap()), [""; 0], "it is named beside the file");
    }

    #[test]
    fn providers_neither_come_nor_go_nor_change_places() {
        let both = format!("{POOLS}{AUTHORITATIVE}{CLOUDFLARE}");
        assert_eq!(fixed(&both, &format!("{POOLS}{AUTHORITATIVE}")), ["providers"]);
        assert_eq!(fixed(&both, &format!("{POOLS}{CLOUDFLARE}{AUTHORITATIVE}")), ["providers"]);
    }
}
