//! Converts the bytes of a query into the bytes of its response. It never blocks.
//!
//! The [`ResponseTable`] answers what it can. The [`EngineResponder`], which has filled the table, answers everything else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use daymark_decision::Decision;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::LowerName;

use crate::counters::{DnsTransport, Responded, ResponseCounters};
use crate::dnssec::SignatureTimes;
use crate::engine::DnsEngine;
use crate::engine_responder::{EngineResponder, Properties};
use crate::members::Draw;
use crate::rate_limit::ResponseRateLimit;
use crate::served::ZoneContent;
use crate::table::ResponseTable;
use crate::zone::Zone;

/// Answers queries from the current zones and decision.
pub(crate) struct Responder {
    pub(crate) served: ArcSwap<ServedState>,
    pub(crate) counters: ResponseCounters,
    /// The limit of the responses by UDP.
    pub(crate) rate_limit: ResponseRateLimit,
}

/// The zones and the decision of one moment.
pub(crate) struct ServedState {
    pub(crate) table: ResponseTable,
    pub(crate) engine: EngineResponder,
    zones: Vec<Arc<ZoneContent>>,
}

impl ServedState {
    /// Combines zones with the answers of a decision. `None` means that there is no decision yet. `now` is in seconds since the
    /// Unix epoch.
    pub(crate) fn new(zones: &[Arc<Zone>], decision: Option<&Decision>, properties: &Properties, now: u64) -> Self {
        let contents = zones.iter().map(|zone| Arc::new(ZoneContent::new(zone, decision, now)));
        let contents: Vec<Arc<ZoneContent>> = contents.collect();
        let responder =
            |draw| EngineResponder { engine: DnsEngine::new(&contents, draw), properties: properties.clone() };
        // One for each draw, because an engine has every zone.
        let responders = RefCell::new(HashMap::new());
        let table = ResponseTable::new(&contents, |draw, query| {
            let mut response = Vec::new();
            let mut responders = responders.borrow_mut();
            let responder = responders.entry(draw).or_insert_with(|| responder(draw));
            responder.respond(query, DnsTransport::Tcp, &mut response);
            response
        });
        Self { table, engine: responder(Draw::Random), zones: contents.clone() }
    }

    /// The times of a zone's signatures, if it is signed.
    pub(crate) fn signature_times(&self, apex: &LowerName) -> Option<SignatureTimes> {
        self.zones.iter().find(|zone| zone.apex() == apex)?.signature_times()
    }

    /// True if a signature is due for renewal. `now` is in seconds since the Unix epoch.
    pub(crate) fn needs_renewal(&self, now: u64) -> bool {
        self.zones.iter().filter_map(|zone| zone.signature_times()).any(|times| !times.is_fresh(now))
    }

    /// Writes the response to a message into `out`. Returns `None` if the message gets no response.
    pub(crate) fn respond(&self, message: &[u8], transport: DnsTransport, out: &mut Vec<u8>) -> Option<Responded> {
        if self.table.respond(message, transport, out) {
            return Some(Responded { code: ResponseCode::NoError, is_copied: true });
        }
        let code = self.engine.respond(message, transport, out)?;
        Some(Responded { code, is_copied: false })
    }
}

#[cfg(test)]
pub(crate) mod tests;
