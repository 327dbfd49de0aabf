//! What the answer to a question is (RFC 1034, section 4.3.2), as borrowed records.
//!
//! It knows nothing of bytes, limits or EDNS: those are in [`respond`](crate::respond).

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

use crate::content::{Content, Served};
use crate::dice::Dice;
use crate::name::{WireName, key};
use crate::records::{Found, Owner};
use crate::zone::{Node, Place};

/// How many aliases are followed. More are the zone's fault, and the response ends there; so it does where they close a
/// ring.
const MOST_ALIASES: usize = 8;

/// The sections of a response.
#[derive(Debug)]
pub(crate) struct Response<'a> {
    /// The response code.
    pub(crate) code: ResponseCode,
    /// Whether it is of our own zone (AA).
    pub(crate) authoritative: bool,
    /// Whether it is of no use without its additional records: a referral without glue (RFC 9471, section 3).
    pub(crate) needs_additionals: bool,
    pub(crate) answers: Vec<Found<'a>>,
    pub(crate) authorities: Vec<Found<'a>>,
    pub(crate) additionals: Vec<Found<'a>>,
}

impl Response<'_> {
    /// A response without records.
    pub(crate) fn bare(code: ResponseCode) -> Self {
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

/// The response to a question of class IN.
///
/// ANY gets one set of records (RFC 8482, section 4.1): of a pool its IPv4 addresses, or its IPv6 addresses where it has
/// no others.
pub(crate) fn lookup<'a>(content: &'a Content, name: &WireName, rtype: RecordType, dice: &Dice) -> Response<'a> {
    let Some(served) = content.zone_of(name) else {
        return Response::bare(ResponseCode::Refused);
    };
    let mut search = Search { served, rtype, dice, response: Response::bare(ResponseCode::NoError) };
    search.response.authoritative = true;
    let mut next = search.step(name, Owner::Question);
    for _ in 0..MOST_ALIASES {
        let Some((target, wire)) = next.and_then(|target| Some((target, WireName::read(&key(target))?))) else { break };
        // The zone of an alias may not be that of its target. Where it is nobody's, the client goes on by itself.
        let Some(served) = content.zone_of(&wire) else { break };
        search.served = served;
        next = search.step(&wire, Owner::Name(target));
    }
    search.response
}

/// A search under way.
struct Search<'a, 'd> {
    served: &'a Served,
    rtype: RecordType,
    dice: &'d Dice,
    response: Response<'a>,
}

impl<'a> Search<'a, '_> {
    /// Adds what one name has; gives the name to go on with where it is an alias.
    fn step(&mut self, name: &WireName, owner: Owner<'a>) -> Option<&'a Name> {
        match self.served.zone().place(name, self.rtype) {
            Place::Node(node) => return self.at(node, name, owner),
            Place::Cut(node) => self.refer(node),
            Place::Absent => {
                // Of the last name where there were aliases (RFC 6604, section 3).
                self.response.code = ResponseCode::NXDomain;
                self.negative(name, owner);
            }
        }
        None
    }

    fn at(&mut self, node: &'a Node, name: &WireName, owner: Owner<'a>) -> Option<&'a Name> {
        if let Some(pool) = node.pool {
            match self.served.addresses(pool, self.rtype, self.dice) {
                Err(_unknown) => {
                    self.response = Response::bare(ResponseCode::ServFail);
                    return None;
                }
                Ok(Some(found)) => {
                    let found = Found { owner, rtype: found.rtype, ttl: found.ttl, data: found.data };
                    self.response.answers.push(found);
                    return None;
                }
                Ok(None) => {}
            }
        }
        if let Some((alias, target)) = node.alias() {
            if self.response.answers.iter().any(|found| found.are(alias)) {
                return None;
            }
            self.response.answers.push(alias.found(owner));
            return (!matches!(self.rtype, RecordType::CNAME | RecordType::ANY)).then_some(target);
        }
        let is_apex = name.labels() == self.served.zone().labels();
        let set = match self.rtype {
            RecordType::SOA if is_apex => Some(self.served.soa()),
            RecordType::ANY => node.addresses().next().or(node.sets.first()),
            rtype => node.set(rtype),
        };
        match set {
            Some(set) => {
                self.response.answers.push(set.found(owner));
                if set.rtype == RecordType::NS {
                    self.add_glue(node);
                }
            }
            None => self.negative(name, owner),
        }
        None
    }

    /// Refers to the servers below a zone cut.
    fn refer(&mut self, node: &'a Node) {
        // With an alias before it, the response is authoritative for that alias (RFC 1034, section 4.3.1).
        self.response.authoritative = !self.response.answers.is_empty();
        self.response.needs_additionals = true;
        let set = node.set(RecordType::NS);
        self.response.authorities.extend(set.map(|set| set.found(Owner::Name(&node.name))));
        self.add_glue(node);
    }

    /// Adds the addresses of a node's nameservers.
    fn add_glue(&mut self, node: &'a Node) {
        let zone = self.served.zone();
        for server in node.glue().iter().filter_map(|key| zone.node(key)) {
            self.response.additionals.extend(server.addresses().map(|set| set.found(Owner::Name(&server.name))));
        }
    }

    /// Adds the SOA record, which says for how long the absence may be kept (RFC 2308, section 3).
    fn negative(&mut self, name: &WireName, owner: Owner<'a>) {
        let zone = self.served.zone();
        let owner = if name.labels() == zone.labels() { owner } else { Owner::Name(zone.apex()) };
        self.response.authorities.push(self.served.soa().found(owner));
    }
}
