//! Makes the typed configuration of the file as written: required keys, and rules over several keys and files.
//! It collects every error. A wrong value is left out, so that the rest is checked as well.

mod cloudflare;
mod discovery;
mod dnssec;
mod files;
mod peers;
mod pool;
mod probe;
mod provider;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daymark_files::{error_chain, is_open_to_all};

use self::provider::Rest;
use super::findings::{Findings, Location};
use super::key::{Key, Located};
use super::raw::{self, RawAdmin, RawConfig, RawSync};
use super::values::{DnsName, FilePath, ListenText, PingUrl, Text, TextForm, duration_text};
use super::{ADMIN_TOKEN, AdminConfig, Config, ConfigSource, PoolConfig, ProviderConfig, SyncConfig};

/// The source of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfigInput {
    /// A file, which says everything.
    File,
    /// A file, for a pass that talks to no other host and needs no keys for it.
    FileWithoutKeys,
    /// A file, and no other file that it names has to be there.
    FileAlone,
    /// Flags, which may leave out providers and keep no state unless one names a directory.
    Flags,
    /// Flags, and no file that they name has to be there.
    FlagsAlone,
}

impl ConfigInput {
    pub(super) fn is_flags(self) -> bool {
        matches!(self, Self::Flags | Self::FlagsAlone)
    }

    /// True if no file that the configuration names is looked at.
    pub(super) fn is_alone(self) -> bool {
        matches!(self, Self::FileAlone | Self::FlagsAlone)
    }
}

/// Judges a configuration; what it returns counts only if `findings` holds no error.
pub(super) fn config(raw: Key<RawConfig>, source: ConfigInput, base: &Path, findings: &mut Findings) -> Option<Config> {
    let Located { value: raw, location: root } = raw.present()?;
    let mut checker = Checker { findings, source, base };
    let pools = checker.pools(raw.pools, root);
    let has_peers = !matches!(raw.peers, Key::Absent);
    let mut peers = checker.peers(raw.peers, &pools);
    let providers = match (raw.providers, source) {
        (Key::Absent, source) if source.is_flags() => {
            let message = "nothing publishes the answers; --nameserver NAME=ADDRESS serves them by DNS";
            checker.findings.warn(root, message);
            Vec::new()
        }
        (providers, _) => checker.providers(providers, root, Rest { pools: &pools, peers: peers.as_ref(), has_peers }),
    };
    if let Some(peers) = &mut peers {
        peers.membership.can_write = providers.iter().any(ProviderConfig::is_remote);
    }
    let admin = checker.admin(raw.admin);
    let sync = sync(raw.sync);
    let state_location = raw.state_dir.location().unwrap_or(root);
    let state_dir = match (raw.state_dir, source) {
        (Key::Absent, source) if source.is_flags() => None,
        (key, _) => Some(base.join(key.or(Text(FilePath(raw::STATE_DIR.into()))).0.0)),
    };
    if let (None, Some(dir)) = (&admin.token_file, &state_dir) {
        checker.warn_of_open_secret(&dir.join(ADMIN_TOKEN), state_location);
    }
    Some(Config {
        pools,
        providers,
        peers,
        admin,
        sync,
        state_dir,
        warnings: Vec::new(),
        source: ConfigSource::default(),
    })
}

fn sync(sync: Key<RawSync>) -> SyncConfig {
    let RawSync { on_success, on_failure } = sync.or(RawSync::default());
    let url = |key: Key<Text<PingUrl>>| key.value().map(|Text(PingUrl(url))| url);
    SyncConfig { on_success: url(on_success), on_failure: url(on_failure) }
}

/// The check under way.
struct Checker<'a> {
    findings: &'a mut Findings,
    source: ConfigInput,
    base: &'a Path,
}

impl Checker<'_> {
    /// Warns of a name with one label, which resolvers treat apart (RFC 7085, section 3.1).
    fn single_label(&mut self, name: &str, location: Location) {
        if !name.contains('.') {
            let message = format!(
                "{name} has a single label, and many resolvers do not ask for such a name as it stands; a name with a \
                 domain is better, such as {name}.example.org"
            );
            self.findings.warn(location, message);
        }
    }

    fn pools(&mut self, pools: Key<Vec<Key<raw::RawPool>>>, root: Location) -> Vec<PoolConfig> {
        let mut seen: BTreeMap<String, Location> = BTreeMap::new();
        let mut typed = Vec::new();
        for Located { value: raw, location } in self.list(pools, "pools", root, "pool") {
            let name_location = raw.name.location();
            let Some(pool) = self.pool(raw, location) else { continue };
            let name = pool.pool.name.as_str().to_owned();
            self.once(&mut seen, name, name_location.unwrap_or(location), "pool");
            typed.push(pool);
        }
        typed
    }

    fn admin(&mut self, admin: Key<RawAdmin>) -> AdminConfig {
        let raw = admin.or(RawAdmin::default());
        let listen_location = raw.listen.location();
        let Text(ListenText(listen)) = raw.listen.or(Text(ListenText(raw::ADMIN_LISTEN)));
        let metrics_listen = raw.metrics_listen.value().map(|Text(ListenText(address))| address);
        let names = raw.allowed_hosts.or(Vec::new()).into_iter().filter_map(Key::value);
        let allowed_hosts = names.map(|Text(DnsName(name))| name).collect();
        let without_token = matches!(raw.token_file, Key::Absent);
        let token_file = self.secret_file(raw.token_file, files::token);
        if let (true, false, Some(location)) = (without_token, listen.ip().is_loopback(), listen_location) {
            let message = format!(
                "{listen} is open to other hosts, so they can read everything, and can write with the token that \
                 Daymark makes in `stateDir`"
            );
            self.findings.warn(location, message);
        }
        AdminConfig { listen, metrics_listen, freebind: raw.freebind.or(false), allowed_hosts, token_file }
    }

    /// The good elements of a list that needs at least one.
    fn list<T>(&mut self, key: Key<Vec<Key<T>>>, name: &str, parent: Location, noun: &str) -> Vec<Located<T>> {
        match key {
            Key::Absent => self.findings.missing(parent, name, &format!("a list of at least one {noun} is needed")),
            Key::Faulty => {}
            Key::Present(Located { value, location }) if value.is_empty() => {
                let fault = if self.source.is_flags() { "is not given" } else { "is an empty list" };
                self.findings.error(location, format!("{fault}; at least one {noun} is needed"));
            }
            Key::Present(list) => return list.value.into_iter().filter_map(Key::present).collect(),
        }
        Vec::new()
    }

    /// A key that must be there.
    fn required<T: TextForm>(&mut self, key: Key<Text<T>>, name: &str, parent: Location) -> Option<Located<T>> {
        if matches!(key, Key::Absent) {
            self.findings.missing(parent, name, &format!("{} is needed", T::allowed()));
        }
        key.text()
    }

    /// Reports a value that was there before.
    fn once<V: Ord + std::fmt::Display>(
        &mut self,
        seen: &mut BTreeMap<V, Location>,
        value: V,
        location: Location,
        noun: &str,
    ) {
        if let Some(first) = seen.get(&value) {
            let first = self.findings.describe(*first);
            self.findings.error(location, format!("{value} is the same {noun} as {first}; each is allowed once"));
        } else {
            seen.insert(value, location);
        }
    }

    /// A file that must be there and pass its check.
    fn file(&mut self, key: Key<Text<FilePath>>, check: files::Check) -> Option<PathBuf> {
        let Located { value: FilePath(path), location } = key.text()?;
        let path = self.base.join(path);
        if !self.source.is_alone()
            && let Err(error) = check(&path)
        {
            self.findings.error(location, error_chain(&error));
        }
        Some(path)
    }

    /// The same for a file with a secret. One that every user of the host may use is a warning.
    fn secret_file(&mut self, key: Key<Text<FilePath>>, check: files::Check) -> Option<PathBuf> {
        let location = key.location();
        let path = self.file(key, check)?;
        if let Some(location) = location {
            self.warn_of_open_secret(&path, location);
        }
        Some(path)
    }

    fn warn_of_open_secret(&mut self, path: &Path, location: Location) {
        if !self.source.is_alone() && is_open_to_all(path) {
            let path = path.display();
            let message =
                format!("{path} is open to every user of this host, and holds a secret; run `chmod o-rwx {path}`");
            self.findings.warn(location, message);
        }
    }

    /// The same for a file that must be named.
    fn required_file(
        &mut self,
        key: Key<Text<FilePath>>,
        name: &str,
        parent: Location,
        check: files::Check,
    ) -> Option<PathBuf> {
        if matches!(key, Key::Absent) {
            self.findings.missing(parent, name, "the path of a file is needed");
        }
        self.file(key, check)
    }

    /// Reports a duration that is no whole number of seconds.
    fn whole_seconds(&mut self, duration: Duration, location: Location) {
        if duration.subsec_nanos() != 0 {
            let text = duration_text(duration);
            self.findings
                .error(location, format!("{text} is not a whole number of seconds; 1s, 2s and so on are allowed"));
        }
    }

    /// Reports two durations of which the first must not be longer than the second.
    fn in_order(&mut self, low: &Setting, high: &Setting) {
        if low.faulty || high.faulty || low.value <= high.value {
            return;
        }
        let low_text = duration_text(low.value);
        let high_text = duration_text(high.value);
        if let Some(location) = low.location {
            let by = if high.location.is_none() { " by default" } else { "" };
            let message =
                format!("{low_text} is longer than `{}`, {high_text}{by}; at most that is allowed", high.name);
            self.findings.error(location, message);
        } else if let Some(location) = high.location {
            let message =
                format!("{high_text} is shorter than `{}`, {low_text} by default; at least that is allowed", low.name);
            self.findings.error(location, message);
        }
    }
}

/// Returns true if the name is the zone or lies under it.
fn is_in_zone(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// A duration, and its location.
struct Setting {
    name: &'static str,
    value: Duration,
    location: Option<Location>,
    faulty: bool,
}

impl Setting {
    fn new<const MIN: u64, const MAX: u64>(
        name: &'static str,
        key: Key<Text<super::values::BoundedDuration<MIN, MAX>>>,
        default: Duration,
    ) -> Self {
        let location = key.location();
        let faulty = matches!(key, Key::Faulty);
        let value = key.value().map_or(default, |Text(duration)| duration.0);
        Self { name, value, location, faulty }
    }
}
