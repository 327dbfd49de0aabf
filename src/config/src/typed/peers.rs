//! The peers: which hosts there are, which of them this one is, and where each is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv6Addr, SocketAddr};

use daymark_decision::{HostName, Membership, Pool};
use daymark_gossip::{host_names_overflow, override_overflow};

use super::{Checker, ConfigInput, files};
use crate::findings::Location;
use crate::key::{Key, Located};
use crate::raw::{self, MEMBERS, RawMember, RawPeers};
use crate::values::{ClusterName, ListenText, Text};
use crate::{PeerAddress, PeersConfig, PoolConfig};

impl Checker<'_> {
    /// The peers; `None` if there are none, or too few of their keys are valid.
    pub(super) fn peers(&mut self, peers: Key<RawPeers>, pools: &[PoolConfig]) -> Option<PeersConfig> {
        let Located { value: raw, location } = peers.present()?;
        if matches!(raw.own, Key::Absent) {
            let message = "the name of this host among the members is needed, here or by --self or DAYMARK_SELF";
            self.findings.missing(location, "self", message);
        }
        let own = raw.own.text();
        let listen = raw.listen.or(Text(ListenText(raw::PEERS_LISTEN))).0.0;
        let members = self.members(raw.members, location, own.as_ref());
        for (host, address) in &members {
            self.reached_from(listen, own.as_ref().is_some_and(|own| own.value == *host), address);
        }
        let key_check: files::Check =
            if self.source == ConfigInput::FileWithoutKeys { |_| Ok(()) } else { files::gossip_keys };
        let key_file = self.required_file(raw.key_file, "keyFile", location, key_check);
        let names = members.keys().cloned().collect();
        self.names_fit(&names, pools, location);
        let own = own?.value;
        Some(PeersConfig {
            membership: Membership { own, members: names, can_write: false },
            listen,
            freebind: raw.freebind.or(false),
            cluster: raw.cluster.or(Text(ClusterName(raw::CLUSTER.to_owned()))).0.0,
            addresses: members.into_iter().map(|(host, address)| (host, address.value)).collect(),
            key_file: key_file?,
        })
    }

    /// Reports an address that cannot be reached from the socket of this host, or that leads elsewhere.
    fn reached_from(&mut self, listen: SocketAddr, is_own: bool, address: &Located<PeerAddress>) {
        let Located { value: address, location } = address;
        let port = match address {
            PeerAddress::Ip(address) => {
                // The unspecified address of IPv6 stands for both families.
                if address.is_ipv4() != listen.is_ipv4() && listen.ip() != Ipv6Addr::UNSPECIFIED {
                    let (family, other) = if listen.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
                    let message = format!(
                        "{address} is {other}, but `listen` {listen} allows only {family}; an address of that family, \
                         or `listen: \"[::]:{}\"` for both, is needed",
                        listen.port()
                    );
                    self.findings.error(*location, message);
                }
                address.port()
            }
            PeerAddress::Name { port, .. } => *port,
        };
        if is_own && port != listen.port() {
            let message = format!(
                "the other hosts send to port {port} of this host, but it listens on port {}; this works only if \
                 something between them translates the port",
                listen.port()
            );
            self.findings.warn(*location, message);
        }
    }

    /// Reports names that are too long: with them, the digest of the hosts or a drain would not fit into one datagram.
    fn names_fit(&mut self, members: &BTreeSet<HostName>, pools: &[PoolConfig], location: Location) {
        if let Some(surplus_bytes) = host_names_overflow(members) {
            let message = format!(
                "the names of the members are {surplus_bytes} bytes too long for one gossip datagram; shorter ones are needed"
            );
            return self.findings.error(location, message);
        }
        for Pool { name, nodes, .. } in pools.iter().map(|config| &config.pool) {
            let longest = nodes.iter().map(|node| &node.name).max_by_key(|name| name.as_str().len());
            let Some((node, surplus_bytes)) =
                longest.and_then(|node| Some((node, override_overflow(members, name, node, nodes.len())?)))
            else {
                continue;
            };
            let message = format!(
                "a drain of {node} of {name} may be {surplus_bytes} bytes too long for one gossip datagram; shorter names of the \
                 hosts, the pool or its nodes are needed"
            );
            self.findings.error(location, message);
        }
    }

    fn members(
        &mut self,
        members: Key<Vec<Key<RawMember>>>,
        peers: Location,
        own: Option<&Located<HostName>>,
    ) -> BTreeMap<HostName, Located<PeerAddress>> {
        if matches!(members, Key::Absent) {
            let message = format!("a list of {} to {} members is needed", MEMBERS.start(), MEMBERS.end());
            self.findings.missing(peers, "members", &message);
        }
        let Some(Located { value: list, location }) = members.present() else { return BTreeMap::new() };
        self.number_of_members(list.len(), location);
        let mut names = BTreeMap::new();
        let mut seen = BTreeMap::new();
        let mut typed = BTreeMap::new();
        let mut unnamed = list.len();
        for Located { value: raw, location } in list.into_iter().filter_map(Key::present) {
            let name = self.required(raw.name, "name", location);
            let address = self.required(raw.address, "address", location);
            if let Some(Located { value: name, location }) = &name {
                unnamed -= 1;
                self.once(&mut names, name.clone(), *location, "host");
            }
            if let Some(Located { value: address, location }) = &address {
                self.once(&mut seen, address.clone(), *location, "address");
            }
            typed.extend(name.map(|name| name.value).zip(address));
        }
        // A member whose name cannot be read may be the one.
        if let Some(Located { value: own, location }) = own
            && unnamed == 0
            && !names.is_empty()
            && !names.contains_key(own)
        {
            let known: Vec<_> = names.keys().map(HostName::as_str).collect();
            self.findings.error(*location, format!("{own} is not a member; one of {} is allowed", known.join(", ")));
        }
        typed
    }

    fn number_of_members(&mut self, number: usize, location: Location) {
        let (least, most) = MEMBERS.into_inner();
        let message = match number {
            0 => format!("is an empty list; {least} to {most} members are needed"),
            1 => format!("one host alone has no peers; leave out `peers`, or list {least} to {most} members"),
            _ if number > most => format!("{number} members are too many; {least} to {most} are allowed"),
            _ if number.is_multiple_of(2) => {
                let fewer = number - 1;
                let message =
                    format!("{number} hosts survive no more failures than {fewer}, because more than half must remain");
                return self.findings.warn(location, message);
            }
            _ => return,
        };
        self.findings.error(location, message);
    }
}
