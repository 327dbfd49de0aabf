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
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{Config, Finding};
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
            let sentence = |key: &&str| format!("{key} cannot change while Daymark runs; restart it");
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

/// The keys that differ and are bound to sockets or files that stay open.
fn fixed_keys(old: &Config, new: &Config) -> Vec<&'static str> {
    let (before, after) = (zones::authoritative(old), zones::authoritative(new));
    let mut fixed = Vec::new();
    if before.is_some() != after.is_some() {
        fixed.push("providers");
    }
    if before.zip(after).is_some_and(|(before, after)| before.listen != after.listen) {
        fixed.push("providers[].listen");
    }
    if before.zip(after).is_some_and(|(before, after)| before.max_tcp_connections != after.max_tcp_connections) {
        fixed.push("providers[].maxTcpConnections");
    }
    if old.admin != new.admin {
        fixed.push("admin");
    }
    if old.state_dir != new.state_dir {
        fixed.push("stateDir");
    }
    fixed
}
