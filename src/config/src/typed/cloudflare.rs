//! A Cloudflare provider: which keys belong to which mode, and what it may publish.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use daymark_cloudflare::{
    BALANCER_TTL, CallSettings, CloudflareSettings, Manage, PublishMode, RECORD_TTL_ENTERPRISE, Served, TokenSource,
    is_id,
};
use daymark_decision::{Mode, PoolName};

use super::{Checker, files, is_in_zone, seconds};
use crate::PoolConfig;
use crate::budget::{self, PoolReport};
use crate::findings::Location;
use crate::key::{Key, Located};
use crate::raw::{self, RawCloudflare, RawServed};
use crate::values::{
    ApiBase, BoundedDuration, CloudflareManage, CloudflareMode, DnsName, FilePath, HexId, OwnerText, PoolText,
    ProviderName, Text, TextForm as _, Variable, Whole, ZoneText, duration_text,
};

/// The names and records that providers have taken so far, each with its location.
#[derive(Default)]
pub(super) struct Taken {
    /// The names of all providers.
    pub(super) names: BTreeMap<String, Location>,
    /// The number of Cloudflare providers.
    cloudflares: usize,
    written: BTreeMap<Written, Location>,
    written_names: Vec<WrittenName>,
}

/// A name at Cloudflare that a provider writes.
struct WrittenName {
    api: String,
    pool: PoolName,
    /// The zone that is given, by name or ID.
    zone: Option<String>,
    location: Location,
}

/// Something at Cloudflare that only one provider may write.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    api: String,
    what: String,
}

/// The mode with what only it has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Records,
    Origins,
    Full,
}

/// One published pool, its location in the file, and the Cloudflare pool behind it.
struct Chosen<'a> {
    config: &'a PoolConfig,
    location: Location,
    cloudflare_pool: String,
}

impl Checker<'_> {
    /// One Cloudflare provider; `None` if too few of its keys are valid.
    pub(super) fn cloudflare(
        &mut self,
        raw: RawCloudflare,
        location: Location,
        pools: &[PoolConfig],
        taken: &mut Taken,
    ) -> Option<CloudflareSettings> {
        let way = self.way(&raw, location);
        let name = self.provider_name(raw.name, location, taken);
        let source = self.token_source(raw.token_file, raw.token_variable, location);
        let zone = raw.zone.text().map(|zone| zone.map(|ZoneText(zone)| zone));
        let chosen = self.chosen(raw.pools, way, location, pools);
        let way = way?;
        if let Some(Located { value, location }) = &zone {
            self.chosen_lie_in(&chosen, value, *location);
        }
        let ttl = self.cloudflare_ttl(raw.ttl, way);
        let account = raw.account.value().map(|Text(HexId(id))| id);
        let mode = mode(way, zone.map(|zone| zone.value), account, ttl, &chosen);
        if let (Way::Origins, Some(location)) = (way, raw.owner.location()) {
            let message =
                "`owner` has no effect with `manage: origins`, because Daymark creates nothing there; leave it out";
            self.findings.warn(location, message);
        }
        let owner = raw.owner.value().map(|Text(OwnerText(owner))| owner);
        let settings = CloudflareSettings {
            name,
            calls: CallSettings {
                api: raw.api.or(Text(ApiBase(daymark_cloudflare::API.to_owned()))).0.0,
                token: source?,
                timeout: raw.timeout.or(Text(BoundedDuration(raw::CALL_TIMEOUT))).0.0,
                share: raw.call_share.or(Whole(raw::CALL_SHARE)).0,
            },
            owner,
            drift_interval: raw.drift_interval.or(Text(BoundedDuration(raw::DRIFT_INTERVAL))).0.0,
            pools: chosen.iter().map(|chosen| served(chosen.config)).collect(),
            mode: mode?,
        };
        for chosen in &chosen {
            self.doubts(chosen, &settings);
        }
        self.written_once(&chosen, &settings, taken);
        Some(settings)
    }

    fn provider_name(&mut self, name: Key<Text<ProviderName>>, provider: Location, taken: &mut Taken) -> String {
        taken.cloudflares += 1;
        let default = match taken.cloudflares {
            1 => "cloudflare".to_owned(),
            n => format!("cloudflare-{n}"),
        };
        let default = Located { value: ProviderName(default), location: provider };
        let Located { value: ProviderName(name), location } = name.text().unwrap_or(default);
        self.once(&mut taken.names, name.clone(), location, "provider");
        name
    }

    fn token_source(
        &mut self,
        file: Key<Text<FilePath>>,
        variable: Key<Text<Variable>>,
        provider: Location,
    ) -> Option<TokenSource> {
        let message = match (&file, &variable) {
            (Key::Absent, Key::Absent) => "has no API token; one of tokenFile, tokenVariable is needed",
            (_, Key::Absent) => return self.secret_file(file, files::token).map(TokenSource::File),
            (Key::Absent, _) => {
                return variable.value().map(|Text(Variable(name))| TokenSource::Environment(name));
            }
            _ => "tokenFile and tokenVariable exclude each other; one of the two is allowed",
        };
        self.findings.error(provider, message);
        None
    }

    /// The mode, with the keys that it needs and those that it has no use for; `None` if it is not known.
    fn way(&mut self, raw: &RawCloudflare, provider: Location) -> Option<Way> {
        let way = match (&raw.mode, &raw.manage) {
            (Key::Absent, _) => {
                self.findings.missing(provider, "mode", &format!("{} is needed", CloudflareMode::allowed()));
                return None;
            }
            (Key::Faulty, _) | (_, Key::Faulty) => return None,
            (Key::Present(Located { value: Text(CloudflareMode::Records), .. }), _) => Way::Records,
            (_, Key::Present(Located { value: Text(CloudflareManage::Full), .. })) => Way::Full,
            _ => Way::Origins,
        };
        if way == Way::Records {
            self.other_mode(raw.account.location(), "account", "loadBalancing");
            self.other_mode(raw.manage.location(), "manage", "loadBalancing");
        } else if matches!(raw.account, Key::Absent) {
            self.findings.missing(provider, "account", &format!("{} is needed", HexId::allowed()));
        }
        if let (Way::Origins, Some(location)) = (way, raw.ttl.location()) {
            let message = "`ttl` is not allowed with `manage: origins`, because the balancer at Cloudflare has its own \
                           TTL; leave it out";
            self.findings.error(location, message);
        }
        Some(way)
    }

    fn other_mode(&mut self, location: Option<Location>, key: &str, mode: &str) {
        if let Some(location) = location {
            self.findings.error(location, format!("`{key}` is allowed only with `mode: {mode}`; leave it out"));
        }
    }

    fn chosen<'a>(
        &mut self,
        list: Key<Vec<Key<RawServed>>>,
        way: Option<Way>,
        provider: Location,
        pools: &'a [PoolConfig],
    ) -> Vec<Chosen<'a>> {
        if matches!(list, Key::Absent) && way != Some(Way::Origins) {
            let all = pools.iter();
            return all
                .map(|config| Chosen { config, location: provider, cloudflare_pool: default_pool(config) })
                .collect();
        }
        let mut seen = BTreeMap::new();
        let mut chosen = Vec::new();
        let noun = if way == Some(Way::Origins) { "pool with its cloudflarePool" } else { "pool" };
        for Located { value: raw, location: served } in self.list(list, "pools", provider, noun) {
            let cloudflare_pool = self.cloudflare_pool(raw.cloudflare_pool, way, served);
            let Some(name) = self.required(raw.name, "name", served) else { continue };
            let Located { value: DnsName(name), location } = name;
            self.once(&mut seen, name.clone(), location, "pool");
            let Some(config) = pools.iter().find(|pool| pool.pool.name.as_str() == name) else {
                let known: Vec<&str> = pools.iter().map(|pool| pool.pool.name.as_str()).collect();
                self.findings
                    .error(location, format!("{name} is not a pool of this file; the pools are {}", known.join(", ")));
                continue;
            };
            let cloudflare_pool = cloudflare_pool.unwrap_or_else(|| default_pool(config));
            chosen.push(Chosen { config, location, cloudflare_pool });
        }
        chosen
    }

    fn cloudflare_pool(&mut self, key: Key<Text<PoolText>>, way: Option<Way>, served: Location) -> Option<String> {
        match (way, &key) {
            (Some(Way::Records), Key::Present(..)) => {
                self.other_mode(key.location(), "cloudflarePool", "loadBalancing");
            }
            (Some(Way::Origins), Key::Absent) => {
                self.findings.missing(served, "cloudflarePool", &format!("{} is needed", PoolText::allowed()));
            }
            _ => {}
        }
        key.value().map(|Text(PoolText(pool))| pool)
    }

    fn chosen_lie_in(&mut self, chosen: &[Chosen<'_>], zone: &str, location: Location) {
        let names = chosen.iter().map(|chosen| chosen.config.pool.name.as_str());
        for pool in names.filter(|pool| !is_id(zone) && !is_in_zone(pool, zone)) {
            self.findings
                .error(location, format!("the pool {pool} does not lie in {zone}; the zone of every pool is needed"));
        }
    }

    fn cloudflare_ttl(&mut self, ttl: Key<Text<raw::CloudflareTtl>>, way: Way) -> Option<u32> {
        let Located { value: BoundedDuration(ttl), location } = ttl.text()?;
        self.whole_seconds(ttl, location);
        if way == Way::Records && ttl < Duration::from_secs(RECORD_TTL_ENTERPRISE.into()) {
            let text = duration_text(ttl);
            let message = format!("{text} is too short for records; at least {RECORD_TTL_ENTERPRISE}s is allowed");
            self.findings.error(location, message);
        }
        Some(seconds(ttl))
    }

    /// Warns of settings that work and may yet surprise.
    fn doubts(&mut self, chosen: &Chosen<'_>, settings: &CloudflareSettings) {
        let Chosen { config: PoolConfig { pool, .. }, location, .. } = chosen;
        if let Some(message) = PoolReport::new(chosen.config).cloudflare_warning(&settings.mode) {
            self.findings.warn(*location, message);
        }
        if pool.steering.mode == Mode::Weighted {
            let message =
                format!("the weights of {} have no effect at Cloudflare, where every address counts alike", pool.name);
            self.findings.warn(*location, message);
        }
        let mut addresses = pool.nodes.iter().flat_map(|node| &node.addresses);
        let is_full = matches!(settings.mode, PublishMode::LoadBalancing { manage: Manage::Full { .. }, .. });
        if let (true, Some(address)) = (is_full, addresses.find(|address| !daymark_cloudflare::is_public(**address))) {
            let message = format!(
                "{}: {address} is not public; Cloudflare refuses such an origin if a monitor is attached",
                pool.name
            );
            self.findings.warn(*location, message);
        }
    }

    fn written_once(&mut self, chosen: &[Chosen<'_>], settings: &CloudflareSettings, taken: &mut Taken) {
        for (index, Chosen { config, location, cloudflare_pool }) in chosen.iter().enumerate() {
            let is_like = |other: &&Chosen<'_>| {
                other.cloudflare_pool == *cloudflare_pool && other.config.pool.name != config.pool.name
            };
            let is_balanced = matches!(settings.mode, PublishMode::LoadBalancing { .. });
            if let Some(other) = chosen[..index].iter().find(is_like).filter(|_| is_balanced) {
                let names = format!("{} and {}", other.config.pool.name, config.pool.name);
                let message = format!(
                    "the pools {names} both have the Cloudflare pool {cloudflare_pool}; give one of them another with \
                     `cloudflarePool`"
                );
                self.findings.error(*location, message);
                continue;
            }
            let (zone, account) = match &settings.mode {
                PublishMode::Records { zone, .. } => (Some(zone), None),
                PublishMode::LoadBalancing { account, zone, manage: Manage::Full { .. }, .. } => {
                    (Some(zone), Some(account))
                }
                PublishMode::LoadBalancing { account, .. } => (None, Some(account)),
            };
            let api = || settings.calls.api.clone();
            if let Some(zone) = zone.cloned() {
                let name = WrittenName { api: api(), pool: config.pool.name.clone(), zone, location: *location };
                self.name_once(name, taken);
            }
            if let Some(account) = account {
                let what = format!("the Cloudflare pool {cloudflare_pool} of the account {account}");
                self.once(&mut taken.written, Written { api: api(), what }, *location, "target of writing");
            }
        }
    }

    /// Reports a name that two providers would write.
    fn name_once(&mut self, name: WrittenName, taken: &mut Taken) {
        if let Some(first) = taken.written_names.iter().find(|other| other.may_be(&name)) {
            let first = self.findings.describe(first.location);
            let message = format!("{name} is the same target of writing as {first}; each is allowed once");
            self.findings.error(name.location, message);
        } else {
            taken.written_names.push(name);
        }
    }
}

impl WrittenName {
    /// Returns true if both may be the same name in the same zone. A zone that is found by the name, or given by its ID, may be
    /// any zone of the name.
    fn may_be(&self, other: &Self) -> bool {
        let is_same_zone = match (&self.zone, &other.zone) {
            (Some(zone), Some(other)) => zone == other || is_id(zone) != is_id(other),
            _ => true,
        };
        self.api == other.api && self.pool == other.pool && is_same_zone
    }
}

impl fmt::Display for WrittenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name {}", self.pool)?;
        self.zone.iter().try_for_each(|zone| write!(f, " in the zone {zone}"))
    }
}

fn mode(
    way: Way,
    zone: Option<String>,
    account: Option<String>,
    ttl: Option<u32>,
    chosen: &[Chosen<'_>],
) -> Option<PublishMode> {
    let manage = match way {
        Way::Records => return Some(PublishMode::Records { zone, ttl }),
        Way::Origins => Manage::Origins,
        Way::Full => Manage::Full { ttl: ttl.unwrap_or(BALANCER_TTL) },
    };
    let cloudflare_pools = chosen.iter().map(|chosen| chosen.cloudflare_pool.clone()).collect();
    Some(PublishMode::LoadBalancing { account: account?, zone, cloudflare_pools, manage })
}

fn served(PoolConfig { pool, probe, .. }: &PoolConfig) -> Served {
    let detection = budget::longest(probe);
    Served { pool: pool.name.clone(), port: probe.port, detection }
}

/// The name of a Cloudflare pool that Daymark makes.
fn default_pool(config: &PoolConfig) -> String {
    format!("daymark-{}", config.pool.name.as_str().replace('.', "-"))
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
