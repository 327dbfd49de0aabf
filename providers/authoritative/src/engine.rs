//! Answers a question through the catalog of hickory-server.
//!
//! The catalog chooses the zone, asks its handler ([`ServedZone`]), and builds the message. The engine mends what the catalog
//! cannot express: an alias is followed to its end, and a referral is no authoritative answer.
//! `docs/decisions/0003-dns-engine-and-loops.md` lists every mend with its reason.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use hickory_server::net::NetError;
use hickory_server::net::runtime::TokioTime;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{Catalog, MessageResponse};
use tokio::task::unconstrained;

use crate::members::Draw;
use crate::query::{OPT_WITH_DO, query_message};
use crate::records::decode;
use crate::served::{ServedZone, ZoneContent};

/// The number of CNAME records that a response follows. A longer chain, or a loop, is an error in the zone, and the response
/// ends there.
const MAX_CNAMES: usize = 8;

/// The zones that are served at one time, with the answers of one decision. It never changes.
pub(crate) struct DnsEngine {
    /// By the apex.
    zones: HashMap<LowerName, Arc<ZoneContent>>,
    catalog: Catalog,
    /// The zones that contain another one, by the apex of the inner zone. They answer for its DS records (RFC 4035, section
    /// 3.1.4.1).
    outer: Catalog,
    /// The number of labels of the longest name in the zones.
    max_labels: usize,
    /// True if a pool has a last known good answer.
    has_stale_answer: bool,
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
        let by_apex: HashMap<LowerName, Arc<ZoneContent>> =
            zones.iter().map(|zone| (zone.apex().clone(), Arc::clone(zone))).collect();
        for zone in zones {
            catalog.upsert(zone.apex().clone(), vec![handler(zone)]);
            if let Some(nearest) = innermost(&by_apex, &zone.apex().base_name()) {
                outer.upsert(zone.apex().clone(), vec![handler(nearest)]);
            }
        }
        let max_labels = zones.iter().map(|zone| zone.max_labels()).max().unwrap_or_default();
        let mut answers = zones.iter().flat_map(|zone| zone.pools().values().flatten());
        let has_stale_answer = answers.any(|answer| answer.is_stale);
        Self { zones: by_apex, catalog, outer, max_labels, has_stale_answer }
    }

    /// Answers a question. The message has neither the ID nor the EDNS of a client.
    pub(crate) fn answer(&self, question: &EngineQuestion) -> Message {
        let mut response = self.ask(question);
        let mut alias = question.clone();
        for _ in 0..MAX_CNAMES {
            let Some(target) = alias_target(&response, &alias) else { break };
            let is_loop = response.answers.iter().any(|record| record.name == target);
            // The target may be in another zone. If this server does not serve that zone, the client continues elsewhere.
            if is_loop || innermost(&self.zones, &LowerName::new(&self.shortened(&target))).is_none() {
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
        let mut owners = response.answers.iter().filter(|record| record.record_type().is_ip_addr());
        self.has_stale_answer
            && owners.any(|record| {
                let owner = LowerName::new(&record.name);
                let zone = innermost(&self.zones, &owner);
                zone.and_then(|zone| zone.pools().get(&owner)?.as_ref()).is_some_and(|answer| answer.is_stale)
            })
    }

    /// The end of a name, if the name has at least two labels more than any name of the zones.
    ///
    /// Neither the name nor its end exists then, and both have the same closest encloser. So they have the same response.
    fn shortened(&self, name: &Name) -> Name {
        name.trim_to(self.max_labels + 1)
    }

    /// Answers a question without following an alias. The catalog takes a time that grows with the square of the labels, so it is
    /// asked for the end of a long name.
    fn ask(&self, question: &EngineQuestion) -> Message {
        let shortened = EngineQuestion { name: self.shortened(&question.name), ..question.clone() };
        let mut response = self.ask_catalog(&shortened);
        if shortened.name != question.name {
            let Message { queries, answers, authorities, additionals, .. } = &mut response;
            *queries = vec![Query::query(question.name.clone(), question.rtype)];
            let records = [answers, authorities, additionals].into_iter().flatten();
            for record in records.filter(|record| record.name == shortened.name) {
                record.name = question.name.clone();
            }
        }
        response
    }

    /// Asks the catalog. Its handlers never wait, so the future is ready at once.
    fn ask_catalog(&self, question: &EngineQuestion) -> Message {
        let is_for_outer = question.rtype == RecordType::DS && self.outer.contains(&LowerName::new(&question.name));
        let catalog = if is_for_outer { &self.outer } else { &self.catalog };
        let sent = ResponseBytes::default();
        if let Some(request) = request(question) {
            // Without the budget of the task, because a task that has used it up would have to wait.
            unconstrained(catalog.handle_request::<_, TokioTime>(&request, sent.clone())).now_or_never();
        }
        let bytes = std::mem::take(&mut *sent.0.lock().unwrap_or_else(PoisonError::into_inner));
        let response = decode(bytes);
        let mut response = response.unwrap_or_else(|| Message::error_msg(0, OpCode::Query, ResponseCode::ServFail));
        // The catalog takes the NS records of a zone cut for an answer, if the question is for NS or ANY.
        let first = response.answers.first().filter(|record| record.record_type() == RecordType::NS);
        if first.is_some_and(|record| !self.catalog.contains(&LowerName::new(&record.name))) {
            response.authorities = std::mem::take(&mut response.answers);
        }
        if question.dnssec_ok && response.metadata.response_code != ResponseCode::ServFail {
            let name = LowerName::new(&question.name);
            let inside = if is_for_outer { name.base_name() } else { name.clone() };
            if let Some(zone) = innermost(&self.zones, &inside) {
                zone.prove(&name, question.rtype, &mut response);
            }
        }
        response
    }
}

/// The zone that answers for a name: the innermost one.
fn innermost<'a>(zones: &'a HashMap<LowerName, Arc<ZoneContent>>, name: &LowerName) -> Option<&'a Arc<ZoneContent>> {
    let mut apex = name.clone();
    loop {
        if let Some(zone) = zones.get(&apex) {
            return Some(zone);
        }
        if apex.is_root() {
            return None;
        }
        apex = apex.base_name();
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
    let opt = if question.dnssec_ok { OPT_WITH_DO } else { &[] };
    let message = query_message(&question.name.to_bytes().ok()?, question.rtype.into(), opt);
    let client = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Request::from_bytes(message, client, Protocol::Udp).ok()
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
