//! The peers: which hosts there are, which of them this one is, and where each is reached.

use std::collections::BTreeMap;

use daymark_decision::{HostName, Membership};

use super::{Stage, files};
use crate::config::findings::Place;
use crate::config::raw::{self, MEMBERS, RawMember, RawPeers};
use crate::config::reader::Key;
use crate::config::values::{ClusterName, ListenAddress, Text};
use crate::config::{PeerAddress, PeersConfig};

impl Stage<'_> {
    /// The peers; `None` where there are none, or too little of them is good.
    pub(super) fn peers(&mut self, peers: Key<RawPeers>) -> Option<PeersConfig> {
        let (raw, place) = peers.given()?;
        if matches!(raw.own, Key::Absent) {
            let sentence = "the name of this host among the members is needed, here or by --self or DAYMARK_SELF";
            self.findings.missing(place, "self", sentence);
        }
        let own = raw.own.given().map(|(Text(own), place)| (own, place));
        let addresses = self.members(raw.members, place, own.as_ref());
        let key_file = self.required_file(raw.key_file, "keyFile", place, files::gossip_keys);
        let (own, _) = own?;
        Some(PeersConfig {
            membership: Membership { own, members: addresses.keys().cloned().collect() },
            listen: raw.listen.or(Text(ListenAddress(raw::PEERS_LISTEN))).0.0,
            cluster: raw.cluster.or(Text(ClusterName(raw::CLUSTER.to_owned()))).0.0,
            addresses,
            key_file: key_file?,
        })
    }

    fn members(
        &mut self,
        members: Key<Vec<Key<RawMember>>>,
        peers: Place,
        own: Option<&(HostName, Place)>,
    ) -> BTreeMap<HostName, PeerAddress> {
        if matches!(members, Key::Absent) {
            let sentence = format!("a list of {} to {} members is needed", MEMBERS.start(), MEMBERS.end());
            self.findings.missing(peers, "members", &sentence);
        }
        let Some((list, place)) = members.given() else { return BTreeMap::new() };
        self.number_of_members(list.len(), place);
        let (mut names, mut seen, mut typed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut unnamed = list.len();
        for (raw, place) in list.into_iter().filter_map(Key::given) {
            let name = self.required(raw.name, "name", place);
            let address = self.required(raw.address, "address", place);
            if let Some((name, place)) = &name {
                unnamed -= 1;
                self.once(&mut names, name.clone(), *place, "host");
            }
            if let Some((address, place)) = &address {
                self.once(&mut seen, address.clone(), *place, "address");
            }
            typed.extend(name.zip(address).map(|((name, _), (address, _))| (name, address)));
        }
        // A member whose name cannot be read may be the one.
        if let Some((own, place)) = own
            && unnamed == 0
            && !names.is_empty()
            && !names.contains_key(own)
        {
            let known: Vec<_> = names.keys().map(HostName::as_str).collect();
            self.findings.error(*place, format!("{own} is no member; one of {} is allowed", known.join(", ")));
        }
        typed
    }

    fn number_of_members(&mut self, number: usize, place: Place) {
        let (least, most) = MEMBERS.into_inner();
        let sentence = match number {
            0 => format!("is an empty list; {least} to {most} members are needed"),
            1 => format!("one host alone has no peers; leave out `peers`, or list {least} to {most} members"),
            _ if number > most => format!("{number} members are too many; {least} to {most} are allowed"),
            _ if number.is_multiple_of(2) => {
                let fewer = number - 1;
                let sentence = format!("{number} hosts stand no more losses than {fewer}: more than half must be left");
                return self.findings.warn(place, sentence);
            }
            _ => return,
        };
        self.findings.error(place, sentence);
    }
}
