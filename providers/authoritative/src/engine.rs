//! Answers a question through the catalog of hickory-server.
//!
//! The catalog chooses the zone, asks its handler ([`ServedZone`]), and builds the message. The engine mends what the catalog
//! cannot express: an alias is followed to its end, and a referral is no authoritative answer.
//! `docs/decisions/0003-dns-engine-and-loops.md` lists every mend with its reason.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::net::NetError;
use hickory_server::net::runtime::TokioTime;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{Catalog, MessageResponse};
use tokio::task::unconstrained;

use crate::members::Draw;
use crate::served::{ServedZone, ZoneContent};

/// The number of CNAME records that a response follows. A longer chain, or a loop, is an error in the zone, and the response
/// ends there.
const MAX_CNAMES: usize = 8;

/// The zones that are served at one time, with the answers of one decision. It never changes.
pub(crate) struct DnsEngine {
    zones: Vec<Arc<ZoneContent>>,
    catalog: Catalog,
    /// The zones that contain another one, by the apex of the inner zone. They answer for its DS records (RFC 4035, section
    /// 3.1.4.1).
    outer: Catalog,
}

/// A question of class IN, with what a response depends on beside it.
#[derive(Clone, Debug)]
pub(crate) struct EngineQuestion {
    /// In lower case.
    pub(crate) name: Name,
    pub(crate) rtype: RecordType,
    /// The client wants DNSSEC records (the DO flag).
    pub(crate) dnssec_ok: bool,
}

impl DnsEngine {
    pub(crate) fn new(zones: &[Arc<ZoneContent>], draw: Draw) -> Self {
        let mut catalog = Catalog::new();
        let mut outer = Catalog::new();
        let handler = |content: &Arc<ZoneContent>| Arc::new(ServedZone { content: Arc::clone(content), draw });
        for zone in zones {
            catalog.upsert(zone.apex().clone(), vec![handler(zone)]);
            let containing =
                zones.iter().filter(|other| other.apex() != zone.apex() && other.apex().zone_of(zone.apex()));
            if let Some(nearest) = containing.max_by_key(|other| other.apex().len()) {
                outer.upsert(zone.apex().clone(), vec![handler(nearest)]);
            }
        }
        Self { zones: zones.to_vec(), catalog, outer }
    }

    /// Answers a question. The message has neither the ID nor the EDNS of a client.
    pub(crate) fn answer(&self, question: &EngineQuestion) -> Message {
        let mut response = self.ask(question);
        let mut alias = question.clone();
        for _ in 0..MAX_CNAMES {
            let Some(target) = alias_target(&response, &alias) else { break };
            let is_loop = response.answers.iter().any(|record| record.name == target);
            // The target may be in another zone. If this server does not serve that zone, the client continues elsewhere.
            if is_loop || self.catalog.find(&LowerName::new(&target)).is_none() {
                break;
            }
            alias.name = target;
            let rest = self.ask(&alias);
            if rest.metadata.response_code == ResponseCode::ServFail {
                return rest;
            }
            // The code is that of the last name (RFC 6604, section 3).
            response.metadata.response_code = rest.metadata.response_code;
            response.answers.extend(rest.answers);
            response.authorities.extend(rest.authorities);
            response.additionals.extend(rest.additionals);
        }
        if is_referral(&response) {
            // After a CNAME record, the response is authoritative for that record (RFC 1034, section 4.3.1).
            response.metadata.authoritative = !response.answers.is_empty();
        }
        response
    }

    /// True if a response has addresses of a last known good answer.
    pub(crate) fn is_stale(&self, response: &Message) -> bool {
        let owners = response.answers.iter().filter(|record| record.record_type().is_ip_addr());
        let mut owners = owners.map(|record| LowerName::new(&record.name));
        owners.any(|owner| {
            let answers = self.zones.iter().filter_map(|zone| zone.pools().get(&owner)?.as_ref());
            answers.into_iter().any(|answer| answer.is_stale)
        })
    }

    /// The zone that answers for a name: the innermost one, or for the DS records of an apex the one around it.
    fn zone_of(&self, name: &LowerName, is_for_outer: bool) -> Option<&ZoneContent> {
        let zones = self.zones.iter().filter(|zone| zone.apex().zone_of(name));
        let zones = zones.filter(|zone| !is_for_outer || zone.apex() != name);
        zones.max_by_key(|zone| zone.apex().num_labels()).map(Arc::as_ref)
    }

    /// Asks the catalog. Its handlers never wait, so the future is ready at once.
    fn ask(&self, question: &EngineQuestion) -> Message {
        let is_for_outer = question.rtype == RecordType::DS && self.outer.contains(&LowerName::new(&question.name));
        let catalog = if is_for_outer { &self.outer } else { &self.catalog };
        let sent = ResponseBytes::default();
        if let Some(request) = request(question) {
            // Without the budget of the task, because a task that has used it up would have to wait.
            unconstrained(catalog.handle_request::<_, TokioTime>(&request, sent.clone())).now_or_never();
        }
        let bytes = std::mem::take(&mut *sent.0.lock().unwrap_or_else(PoisonError::into_inner));
        let response = Message::from_vec(&bytes);
        let mut response = response.unwrap_or_else(|_| Message::error_msg(0, OpCode::Query, ResponseCode::ServFail));
        // The catalog takes the NS records of a zone cut for an answer, if the question is for NS or ANY.
        let first = response.answers.first().filter(|record| record.record_type() == RecordType::NS);
        if first.is_some_and(|record| !self.catalog.contains(&LowerName::new(&record.name))) {
            response.authorities = std::mem::take(&mut response.answers);
        }
        if question.dnssec_ok && response.metadata.response_code != ResponseCode::ServFail {
            let name = LowerName::new(&question.name);
            if let Some(zone) = self.zone_of(&name, is_for_outer) {
                zone.prove(&name, question.rtype, &mut response);
            }
        }
        response
    }
}

/// True if a response refers the client to the nameservers of a zone cut.
pub(crate) fn is_referral(response: &Message) -> bool {
    response.authorities.iter().any(|record| record.record_type() == RecordType::NS)
}

/// The target of the CNAME record that answers a question for another type.
fn alias_target(response: &Message, question: &EngineQuestion) -> Option<Name> {
    if matches!(question.rtype, RecordType::CNAME | RecordType::ANY) {
        return None;
    }
    response.answers.iter().find(|record| record.name == question.name).and_then(|record| match &record.data {
        RData::CNAME(target) => Some(target.0.to_lowercase()),
        _ => None,
    })
}

/// The query that asks the catalog a question.
fn request(question: &EngineQuestion) -> Option<Request> {
    let mut message = Message::query();
    message.add_query(Query::query(question.name.clone(), question.rtype));
    if question.dnssec_ok {
        let mut edns = Edns::new();
        edns.set_dnssec_ok(true);
        message.set_edns(edns);
    }
    let client = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Request::from_bytes(message.to_vec().ok()?, client, Protocol::Udp).ok()
}

/// Takes the bytes of the response that the catalog sends.
#[derive(Clone, Default)]
struct ResponseBytes(Arc<Mutex<Vec<u8>>>);

#[async_trait]
impl ResponseHandler for ResponseBytes {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut bytes = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_max_size(u16::MAX);
        let info = response.destructive_emit(&mut encoder)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        Ok(info)
    }
}
