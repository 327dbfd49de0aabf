//! The providers, and how they fit the names of the pools.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::cloudflare::Taken;
use super::{Stage, files};
use crate::config::findings::Place;
use crate::config::raw::{self, RawAuthoritative, RawNameserver, RawProvider};
use crate::config::reader::Key;
use crate::config::values::{DnsName, HostAddress, ServeAddress, Text, Whole};
use crate::config::{AuthoritativeConfig, Nameserver, PeerAddress, PeersConfig, PoolConfig, ProviderConfig};

/// What a provider may need of the rest of the configuration.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a> {
    pub(super) pools: &'a [PoolConfig],
    /// `None` where there are none, or too little of them is good.
    pub(super) peers: Option<&'a PeersConfig>,
    pub(super) has_peers: bool,
}

impl Stage<'_> {
    /// The providers of these pools.
    pub(super) fn providers(
        &mut self,
        providers: Key<Vec<Key<RawProvider>>>,
        root: Place,
        rest: Rest<'_>,
    ) -> Vec<ProviderConfig> {
        let mut taken = Taken::default();
        let mut typed = Vec::new();
        let mut first = None;
        for (provider, place) in self.list(providers, "providers", root, "provider") {
            let raw = match provider {
                RawProvider::Authoritative(raw) => raw,
                RawProvider::Cloudflare(raw) => {
                    typed.extend(self.cloudflare(raw, place, rest.pools, &mut taken).map(ProviderConfig::Cloudflare));
                    continue;
                }
            };
            typed.push(ProviderConfig::Authoritative(self.authoritative(raw, place, rest)));
            if let Some(first) = first {
                let first = self.findings.describe(first);
                let sentence = format!("is authoritative like {first}; one provider of this type is allowed");
                self.findings.error(place, sentence);
            } else {
                first = Some(place);
            }
        }
        typed
    }

    fn authoritative(&mut self, raw: RawAuthoritative, place: Place, rest: Rest<'_>) -> AuthoritativeConfig {
        let pools: Vec<&str> = rest.pools.iter().map(|pool| pool.pool.name.as_str()).collect();
        let zone_unset = matches!(raw.zone, Key::Absent);
        let zone = raw.zone.given().map(|(Text(DnsName(zone)), place)| (zone, place));
        if let Some((zone, place)) = &zone {
            self.zone(zone, *place, &pools);
        }
        if let (true, Some(place)) = (zone_unset, raw.zone_file.place()) {
            self.findings.error(place, "needs `zone`, the zone that the file is for");
        }
        let zone = zone.map(|(zone, _)| zone);
        let zones = zone.as_deref().map_or(pools.clone(), |zone| vec![zone]);
        AuthoritativeConfig {
            listen: self.listen(raw.listen, place, rest),
            nameservers: self.nameservers(raw.nameservers, place, &pools, &zones),
            zone_file: self.file(raw.zone_file, files::readable),
            max_tcp_connections: raw.max_tcp_connections.or(Whole(raw::MAX_TCP_CONNECTIONS)).0,
            zone,
        }
    }

    fn zone(&mut self, zone: &str, place: Place, pools: &[&str]) {
        for pool in pools.iter().filter(|pool| **pool == zone || !lies_in(pool, zone)) {
            self.findings
                .error(place, format!("the pool {pool} does not lie under {zone}; a parent of every pool is allowed"));
        }
    }

    fn listen(
        &mut self,
        listen: Key<Vec<Key<Text<ServeAddress>>>>,
        provider: Place,
        rest: Rest<'_>,
    ) -> Vec<SocketAddr> {
        if matches!(listen, Key::Absent) {
            return raw::DNS_LISTEN.to_vec();
        }
        let mut seen = BTreeMap::new();
        let mut typed = Vec::new();
        for (Text(address), place) in self.list(listen, "listen", provider, "address") {
            let address = match address {
                ServeAddress::At(address) => Some(address),
                ServeAddress::Own(port) => self.own_address(port, place, rest),
            };
            let Some(address) = address else { continue };
            self.once(&mut seen, address, place, "address");
            typed.push(address);
        }
        typed
    }

    /// The address of this host among the members, at this port.
    fn own_address(&mut self, port: u16, place: Place, rest: Rest<'_>) -> Option<SocketAddr> {
        let sentence = match rest.peers.map(|peers| peers.addresses.get(&peers.membership.own)) {
            Some(Some(PeerAddress::Ip(address))) => return Some(SocketAddr::new(address.ip(), port)),
            Some(Some(PeerAddress::Name(name, _))) => {
                format!("among the members this host has the name {name}; `self` needs an IP address there")
            }
            None if !rest.has_peers => {
                "`self` is the address of this host among `peers.members`, and there are no peers".to_owned()
            }
            // What is wrong with the peers is said there.
            Some(None) | None => return None,
        };
        self.findings.error(place, sentence);
        None
    }

    fn nameservers(
        &mut self,
        nameservers: Key<Vec<Key<RawNameserver>>>,
        provider: Place,
        pools: &[&str],
        zones: &[&str],
    ) -> Vec<Nameserver> {
        let mut seen = BTreeMap::new();
        let mut typed = Vec::new();
        for (raw, place) in self.list(nameservers, "nameservers", provider, "nameserver") {
            let (unset, addresses_place) = (matches!(raw.addresses, Key::Absent), raw.addresses.place());
            let mut addresses = Vec::new();
            let mut seen_addresses = BTreeMap::new();
            let given = raw.addresses.given().map(|(list, _)| list).unwrap_or_default();
            let empty = unset || (addresses_place.is_some() && given.is_empty());
            for (Text(HostAddress(address)), place) in given.into_iter().filter_map(Key::given) {
                self.once(&mut seen_addresses, address, place, "address");
                addresses.push(address);
            }
            let Some((DnsName(name), name_place)) = self.required(raw.name, "name", place) else { continue };
            self.once(&mut seen, name.clone(), name_place, "nameserver");
            if pools.contains(&name.as_str()) {
                let sentence = format!("{name} is the name of a pool; another name is needed, such as ns1.{name}");
                self.findings.error(name_place, sentence);
            } else if let (true, Some(zone)) = (empty, zones.iter().find(|zone| lies_in(&name, zone))) {
                let sentence =
                    format!("{name} lies in the served zone {zone}; at least one address is needed, as glue");
                self.findings.error(addresses_place.unwrap_or(place), sentence);
            }
            typed.push(Nameserver { name, addresses });
        }
        typed
    }
}

/// Is the name the zone or under it?
pub(super) fn lies_in(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
