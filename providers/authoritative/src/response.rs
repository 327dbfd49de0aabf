//! Answers a question by the algorithm of RFC 1034, section 4.3.2. The records of a response are borrowed from the catalog.
//!
//! The module knows nothing of bytes, size limits or EDNS. Those are in [`responder`](crate::responder).

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

use crate::catalog::{Catalog, NoAnswerYet, ServedZone};
use crate::name::{WireName, name_key};
use crate::rrset::{Owner, ResponseRrSet};
use crate::zone::{Lookup, ZoneNode};

/// The number of CNAME records that a response follows. A longer chain, or a loop, is an error in the zone, and the response
/// ends there.
const MAX_CNAMES: usize = 8;

/// The response code, the flags and the sections of a response.
#[derive(Debug)]
pub(crate) struct Response<'a> {
    pub(crate) code: ResponseCode,
    /// The AA flag: the response is of a zone that this server serves.
    pub(crate) authoritative: bool,
    /// `true` if the additional records must not be left out. A referral is useless without its glue (RFC 9471, section 3).
    pub(crate) needs_additionals: bool,
    pub(crate) answers: Vec<ResponseRrSet<'a>>,
    pub(crate) authorities: Vec<ResponseRrSet<'a>>,
    pub(crate) additionals: Vec<ResponseRrSet<'a>>,
}

impl Response<'_> {
    /// A response without records.
    pub(crate) fn without_records(code: ResponseCode) -> Self {
        Self {
            code,
            authoritative: false,
            needs_additionals: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
        }
    }
}

/// Answers a question of class IN.
///
/// ANY gets one `RRset` (RFC 8482, section 4.1). For a pool, these are its IPv4 addresses if it has some, and otherwise its
/// IPv6 addresses.
pub(crate) fn answer<'a>(catalog: &'a Catalog, name: &WireName, rtype: RecordType) -> Response<'a> {
    let Some(zone) = catalog.zone_of(name) else {
        return Response::without_records(ResponseCode::Refused);
    };
    let mut builder = ResponseBuilder { zone, rtype, response: Response::without_records(ResponseCode::NoError) };
    builder.response.authoritative = true;
    let mut next = builder.add_name(name, Owner::Question);
    for _ in 0..MAX_CNAMES {
        let Some(target) = next else { break };
        let Some(wire) = WireName::read(&name_key(target)) else { break };
        // The target may be in another zone. If this server does not serve that zone, the client continues elsewhere.
        let Some(zone) = catalog.zone_of(&wire) else { break };
        builder.zone = zone;
        next = builder.add_name(&wire, Owner::Name(target));
    }
    builder.response
}

/// A response that is being built.
struct ResponseBuilder<'a> {
    /// The zone of the name that is added next.
    zone: &'a ServedZone,
    rtype: RecordType,
    response: Response<'a>,
}

impl<'a> ResponseBuilder<'a> {
    /// Adds the records of one name. If the name is an alias, returns its target, which is to be added next.
    fn add_name(&mut self, name: &WireName, owner: Owner<'a>) -> Option<&'a Name> {
        match self.zone.zone().lookup(name, self.rtype) {
            Lookup::Node(node) => return self.add_node(node, name, owner),
            Lookup::ZoneCut(node) => self.add_referral(node),
            Lookup::NoSuchName => {
                // After a CNAME record, the code is that of the last name (RFC 6604, section 3).
                self.response.code = ResponseCode::NXDomain;
                self.add_soa(name, owner);
            }
        }
        None
    }

    fn add_node(&mut self, node: &'a ZoneNode, name: &WireName, owner: Owner<'a>) -> Option<&'a Name> {
        if let Some(pool) = node.pool {
            match self.zone.addresses(pool, self.rtype) {
                Err(NoAnswerYet) => {
                    self.response = Response::without_records(ResponseCode::ServFail);
                    return None;
                }
                Ok(Some(addresses)) => {
                    let set = ResponseRrSet { owner, rtype: addresses.rtype, ttl: addresses.ttl, data: addresses.data };
                    self.response.answers.push(set);
                    return None;
                }
                Ok(None) => {}
            }
        }
        if let Some(alias) = node.alias() {
            if self.response.answers.iter().any(|answer| answer.borrows(alias.cname)) {
                return None;
            }
            self.response.answers.push(alias.cname.for_owner(owner));
            return (!matches!(self.rtype, RecordType::CNAME | RecordType::ANY)).then_some(alias.target);
        }
        let is_apex = name.labels() == self.zone.zone().labels();
        let set = match self.rtype {
            RecordType::SOA if is_apex => Some(self.zone.soa()),
            RecordType::ANY => node.addresses().next().or(node.sets.first()),
            rtype => node.set(rtype),
        };
        match set {
            Some(set) => {
                self.response.answers.push(set.for_owner(owner));
                if set.rtype == RecordType::NS {
                    self.add_nameserver_addresses(node);
                }
            }
            None => self.add_soa(name, owner),
        }
        None
    }

    /// Adds a referral to the nameservers of a zone cut.
    fn add_referral(&mut self, node: &'a ZoneNode) {
        // After a CNAME record, the response is authoritative for that record (RFC 1034, section 4.3.1).
        self.response.authoritative = !self.response.answers.is_empty();
        self.response.needs_additionals = true;
        let set = node.set(RecordType::NS);
        self.response.authorities.extend(set.map(|set| set.for_owner(Owner::Name(&node.name))));
        self.add_nameserver_addresses(node);
    }

    /// Adds the addresses of a node's nameservers that are in the zone. Below a zone cut they are glue.
    fn add_nameserver_addresses(&mut self, node: &'a ZoneNode) {
        let zone = self.zone.zone();
        for server in node.nameservers().iter().filter_map(|key| zone.node(key)) {
            let sets = server.addresses().map(|set| set.for_owner(Owner::Name(&server.name)));
            self.response.additionals.extend(sets);
        }
    }

    /// Adds the SOA record to the authority section. Its TTL is the time to cache a negative answer (RFC 2308, section 3).
    fn add_soa(&mut self, name: &WireName, owner: Owner<'a>) {
        let zone = self.zone.zone();
        let owner = if name.labels() == zone.labels() { owner } else { Owner::Name(zone.apex()) };
        self.response.authorities.push(self.zone.soa().for_owner(owner));
    }
}
