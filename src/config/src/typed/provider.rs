//! The providers, and how they fit the names of the pools.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use daymark_authoritative::{LOOPBACK, RateLimitSettings};
use std::num::NonZeroUsize;

use super::cloudflare::Taken;
use super::{Checker, files, is_in_zone};
use crate::findings::Location;
use crate::key::{Key, Located};
use crate::raw::{self, RawAuthoritative, RawNameserver, RawProvider, RawRateLimit};
use crate::values::{DnsName, HostAddress, NetworkText, ServeAddress, Text, Whole};
use crate::{AuthoritativeConfig, NameserverConfig, PeerAddress, PeersConfig, PoolConfig, ProviderConfig};

/// The parts of the configuration that a provider depends on.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a> {
    pub(super) pools: &'a [PoolConfig],
    /// `None` if there are none, or too few of their keys are valid.
    pub(super) peers: Option<&'a PeersConfig>,
    pub(super) has_peers: bool,
}

impl Checker<'_> {
    /// The providers of these pools.
    pub(super) fn providers(
        &mut self,
        providers: Key<Vec<Key<RawProvider>>>,
        root: Location,
        rest: Rest<'_>,
    ) -> Vec<ProviderConfig> {
        let mut taken = Taken::default();
        let mut typed = Vec::new();
        let mut first = None;
        for Located { value: provider, location } in self.list(providers, "providers", root, "provider") {
            let raw = match provider {
                RawProvider::Authoritative(raw) => raw,
                RawProvider::Cloudflare(raw) => {
                    typed
                        .extend(self.cloudflare(raw, location, rest.pools, &mut taken).map(ProviderConfig::Cloudflare));
                    continue;
                }
            };
            typed.push(ProviderConfig::Authoritative(self.authoritative(raw, location, rest)));
            if let Some(first) = first {
                let first = self.findings.describe(first);
                let message = format!("is authoritative like {first}; one provider of this type is allowed");
                self.findings.error(location, message);
            } else {
                first = Some(location);
            }
        }
        typed
    }

    fn authoritative(&mut self, raw: RawAuthoritative, location: Location, rest: Rest<'_>) -> AuthoritativeConfig {
        let pools: Vec<&str> = rest.pools.iter().map(|pool| pool.pool.name.as_str()).collect();
        let zone_unset = matches!(raw.zone, Key::Absent);
        let zone = raw.zone.text().map(|zone| zone.map(|DnsName(zone)| zone));
        if let Some(Located { value, location }) = &zone {
            self.zone(value, *location, &pools);
        }
        if let (true, Some(location)) = (zone_unset, raw.zone_file.location()) {
            self.findings.error(location, "needs `zone`, the zone of the records in the file");
        }
        let zone = zone.map(|zone| zone.value);
        let zones = zone.as_deref().map_or(pools.clone(), |zone| vec![zone]);
        AuthoritativeConfig {
            listen: self.listen(raw.listen, location, rest),
            freebind: raw.freebind.or(false),
            nameservers: self.nameservers(raw.nameservers, location, &pools, &zones),
            zone_file: self.file(raw.zone_file, files::readable),
            max_tcp_connections: raw.max_tcp_connections.or(Whole(raw::MAX_TCP_CONNECTIONS)).0,
            max_tcp_connections_per_client: raw
                .max_tcp_connections_per_client
                .or(Whole(raw::MAX_TCP_CONNECTIONS_PER_CLIENT))
                .0,
            rate_limit: self.rate_limit(raw.rate_limit),
            udp_workers: raw.udp_workers.value().and_then(|Whole(workers)| NonZeroUsize::new(workers)),
            identity: raw.identity.text().map(|identity| identity.value),
            nsid: raw.nsid.or(true),
            chaos: raw.chaos.or(false),
            dnssec: self.dnssec(raw.dnssec),
            zone,
        }
    }

    fn rate_limit(&mut self, key: Key<RawRateLimit>) -> RateLimitSettings {
        let raw = key.or(RawRateLimit::default());
        let default = RateLimitSettings::default();
        let mut seen = BTreeMap::new();
        let mut exempt = LOOPBACK.to_vec();
        let listed = raw.exempt.or(Vec::new()).into_iter().filter_map(Key::present);
        for Located { value: Text(NetworkText(network)), location } in listed {
            self.once(&mut seen, network, location, "network");
            exempt.push(network);
        }
        let rate = raw.responses_per_second.or(Whole(default.responses_per_second.get())).0;
        RateLimitSettings {
            mode: raw.mode.or(Text(default.mode)).0,
            responses_per_second: NonZeroU32::new(rate).unwrap_or(default.responses_per_second),
            slip: raw.slip.or(Whole(default.slip)).0,
            exempt,
            ipv4_prefix_length: raw.ipv4_prefix_length.or(Whole(default.ipv4_prefix_length)).0,
            ipv6_prefix_length: raw.ipv6_prefix_length.or(Whole(default.ipv6_prefix_length)).0,
        }
    }

    fn zone(&mut self, zone: &str, location: Location, pools: &[&str]) {
        for pool in pools.iter().filter(|pool| **pool == zone || !is_in_zone(pool, zone)) {
            self.findings.error(
                location,
                format!("the pool {pool} does not lie under {zone}; a parent of every pool is allowed"),
            );
        }
    }

    fn listen(
        &mut self,
        listen: Key<Vec<Key<Text<ServeAddress>>>>,
        provider: Location,
        rest: Rest<'_>,
    ) -> Vec<SocketAddr> {
        if matches!(listen, Key::Absent) {
            return raw::DNS_LISTEN.to_vec();
        }
        let mut seen = BTreeMap::new();
        let mut typed = Vec::new();
        for Located { value: Text(address), location } in self.list(listen, "listen", provider, "address") {
            let address = match address {
                ServeAddress::At(address) => Some(address),
                ServeAddress::Own(port) => self.own_address(port, location, rest),
            };
            let Some(address) = address else { continue };
            self.once(&mut seen, address, location, "address");
            typed.push(address);
        }
        typed
    }

    /// The address of this host among the members, at this port.
    fn own_address(&mut self, port: u16, location: Location, rest: Rest<'_>) -> Option<SocketAddr> {
        let message = match rest.peers.map(|peers| peers.addresses.get(&peers.membership.own)) {
            Some(Some(PeerAddress::Ip(address))) => return Some(SocketAddr::new(address.ip(), port)),
            Some(Some(PeerAddress::Name { host, .. })) => {
                format!(
                    "the address of this host in `peers.members` is the name {host}; `self` needs an IP address there"
                )
            }
            None if !rest.has_peers => {
                "`self` is the address of this host in `peers.members`, but there is no `peers`; an IP address is \
                 needed"
                    .to_owned()
            }
            // The errors of the peers are reported there.
            Some(None) | None => return None,
        };
        self.findings.error(location, message);
        None
    }

    fn nameservers(
        &mut self,
        nameservers: Key<Vec<Key<RawNameserver>>>,
        provider: Location,
        pools: &[&str],
        zones: &[&str],
    ) -> Vec<NameserverConfig> {
        let mut seen = BTreeMap::new();
        let mut typed = Vec::new();
        for Located { value: raw, location } in self.list(nameservers, "nameservers", provider, "nameserver") {
            let unset = matches!(raw.addresses, Key::Absent);
            let addresses_location = raw.addresses.location();
            let mut addresses = Vec::new();
            let mut seen_addresses = BTreeMap::new();
            let given = raw.addresses.or(Vec::new());
            let empty = unset || (addresses_location.is_some() && given.is_empty());
            for Located { value: HostAddress(address), location } in given.into_iter().filter_map(Key::text) {
                self.once(&mut seen_addresses, address, location, "address");
                addresses.push(address);
            }
            let Some(given_name) = self.required(raw.name, "name", location) else { continue };
            let Located { value: DnsName(name), location: name_location } = given_name;
            self.single_label(&name, name_location);
            self.once(&mut seen, name.clone(), name_location, "nameserver");
            if pools.contains(&name.as_str()) {
                let message = format!("{name} is the name of a pool; another name is needed, such as ns1.{name}");
                self.findings.error(name_location, message);
            } else if let (true, Some(zone)) = (empty, zones.iter().find(|zone| is_in_zone(&name, zone))) {
                let message = format!("{name} lies in the served zone {zone}; at least one address is needed, as glue");
                self.findings.error(addresses_location.unwrap_or(location), message);
            }
            typed.push(NameserverConfig { name, addresses });
        }
        typed
    }
}
