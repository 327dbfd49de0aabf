//! Answers any query, by way of the engine.
//!
//! The query is parsed, and refused if it must not reach the engine. What the response has beside the records of a zone is
//! added here: EDNS options, extended errors, and the refusal of a TSIG key.

use std::sync::Arc;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::{TSIG, TsigError};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable};

use crate::counters::DnsTransport;
use crate::engine::{DnsEngine, EngineQuestion};
use crate::query::{CLASS_IN, Edns, NSID, ParsedMessage, Query, RejectedMessage, TCP_KEEPALIVE, parse};
use crate::response::{ResponseFrame, size_limit, write};
use crate::settings::ServerIdentity;

const CLASS_CHAOS: u16 = 3;

// Extended errors (RFC 8914, section 4).
const STALE_ANSWER: u16 = 3;
const NOT_READY: u16 = 14;
const NOT_AUTHORITATIVE: u16 = 20;
const NOT_SUPPORTED: u16 = 21;

/// The code of the option that explains an error.
const EXTENDED_ERROR: u16 = 15;

/// Answers any query from the zones and the decision of one moment.
pub(crate) struct EngineResponder {
    pub(crate) engine: DnsEngine,
    pub(crate) properties: Properties,
}

/// The properties of the server that its responses have.
#[derive(Clone, Debug)]
pub(crate) struct Properties {
    pub(crate) identity: Arc<ServerIdentity>,
    /// The time an idle TCP connection stays open, in units of 100 ms (RFC 7828, section 3.1).
    pub(crate) keepalive: u16,
}

/// A response with its extended error.
struct Answered {
    response: Message,
    error: Option<u16>,
}

impl EngineResponder {
    /// Writes the response to a message into `out`, and returns its code. `None` means that the message gets no response.
    pub(crate) fn respond(&self, message: &[u8], transport: DnsTransport, out: &mut Vec<u8>) -> Option<ResponseCode> {
        match parse(message) {
            ParsedMessage::Ignored => None,
            ParsedMessage::Rejected(RejectedMessage { header, edns, is_signed: true, code: ResponseCode::NotImp }) => {
                let frame = ResponseFrame { header, question: &[], edns, options: Vec::new(), tsig: Vec::new() };
                Some(refuse_key(message, frame, size_limit(transport, edns), out))
            }
            ParsedMessage::Rejected(RejectedMessage { header, code, edns, .. }) => {
                let frame = ResponseFrame { header, question: &[], edns, options: Vec::new(), tsig: Vec::new() };
                write(&without_records(code), &frame, size_limit(transport, edns), out);
                Some(code)
            }
            ParsedMessage::Query(query) => Some(self.answer(message, &query, transport, out)),
        }
    }

    fn answer(&self, message: &[u8], query: &Query<'_>, transport: DnsTransport, out: &mut Vec<u8>) -> ResponseCode {
        let Query { header, question, edns, is_signed, .. } = *query;
        let limit = size_limit(transport, edns);
        let mut frame = ResponseFrame { header, question, edns, options: Vec::new(), tsig: Vec::new() };
        if is_signed {
            return refuse_key(message, frame, limit, out);
        }
        let Answered { response, error } = self.response_to(query);
        frame.options = edns.map(|edns| self.options(edns, transport, error)).unwrap_or_default();
        write(&response, &frame, limit, out);
        response.metadata.response_code
    }

    fn response_to(&self, query: &Query<'_>) -> Answered {
        let code = match query {
            Query { edns: Some(Edns { version: 1.., .. }), .. } => ResponseCode::BADVERS,
            Query { class: CLASS_CHAOS, .. } => return self.identify(query),
            Query { class, .. } if *class != CLASS_IN => ResponseCode::Refused,
            Query { rtype, .. } => match rtype {
                // IXFR and AXFR.
                251 | 252 => ResponseCode::Refused,
                // MAILB and MAILA, which are obsolete.
                253 | 254 => ResponseCode::NotImp,
                // OPT, and the other types that must not be in a question (RFC 6895, section 3.1).
                41 | 128..=250 => ResponseCode::FormErr,
                _ => return self.ask_engine(query),
            },
        };
        Answered { response: without_records(code), error: (code == ResponseCode::Refused).then_some(NOT_SUPPORTED) }
    }

    fn ask_engine(&self, query: &Query<'_>) -> Answered {
        let Ok(name) = Name::read(&mut BinDecoder::new(query.name.as_bytes())) else {
            return Answered { response: without_records(ResponseCode::FormErr), error: None };
        };
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        let response = self.engine.answer(&EngineQuestion { name, rtype: query.rtype.into(), dnssec_ok });
        let error = match response.metadata.response_code {
            ResponseCode::Refused => Some(NOT_AUTHORITATIVE),
            ResponseCode::ServFail => Some(NOT_READY),
            _ if self.engine.is_stale(&response) => Some(STALE_ANSWER),
            _ => None,
        };
        Answered { response, error }
    }

    /// Answers a question of class CHAOS, by which an operator learns which server answers (RFC 4892).
    fn identify(&self, query: &Query<'_>) -> Answered {
        let text = match query.name.as_bytes() {
            b"\x02id\x06server\0" | b"\x08hostname\x04bind\0" => Some(&self.properties.identity.name),
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" => Some(&self.properties.identity.version),
            _ => None,
        };
        let is_asked = matches!(RecordType::from(query.rtype), RecordType::TXT | RecordType::ANY);
        let text = text.filter(|_| self.properties.identity.chaos && is_asked);
        let name = Name::read(&mut BinDecoder::new(query.name.as_bytes())).ok();
        let Some((name, text)) = name.zip(text) else {
            return Answered { response: without_records(ResponseCode::Refused), error: Some(NOT_SUPPORTED) };
        };
        let mut response = without_records(ResponseCode::NoError);
        response.metadata.authoritative = true;
        let mut record = Record::from_rdata(name, 0, RData::TXT(TXT::new(vec![text.clone()])));
        record.dns_class = DNSClass::CH;
        response.add_answer(record);
        Answered { response, error: None }
    }

    /// The options of a response's OPT record, encoded (RFC 6891, section 6.1.2).
    fn options(&self, edns: Edns, transport: DnsTransport, error: Option<u16>) -> Vec<u8> {
        let mut options = Vec::new();
        if edns.wants_nsid && self.properties.identity.nsid {
            push_option(&mut options, NSID, self.properties.identity.name.as_bytes());
        }
        if edns.wants_keepalive && transport == DnsTransport::Tcp {
            push_option(&mut options, TCP_KEEPALIVE, &self.properties.keepalive.to_be_bytes());
        }
        if let Some(error) = error {
            push_option(&mut options, EXTENDED_ERROR, &error.to_be_bytes());
        }
        options
    }
}

fn push_option(options: &mut Vec<u8>, code: u16, data: &[u8]) {
    options.extend_from_slice(&code.to_be_bytes());
    options.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    options.extend_from_slice(data);
}

fn without_records(code: ResponseCode) -> Message {
    Message::error_msg(0, OpCode::Query, code)
}

/// Writes the response to a message that is signed with a key. No key is known (RFC 8945, section 5.2.1). Returns its code.
fn refuse_key(message: &[u8], mut frame: ResponseFrame<'_>, limit: u16, out: &mut Vec<u8>) -> ResponseCode {
    let Some(tsig) = bad_key(message) else {
        frame.question = &[];
        write(&without_records(ResponseCode::FormErr), &frame, limit, out);
        return ResponseCode::FormErr;
    };
    frame.tsig = tsig;
    write(&without_records(ResponseCode::NotAuth), &frame, limit, out);
    if out.len() > usize::from(limit) {
        // The names of the key, of the algorithm and of the question together are too long.
        frame.question = &[];
        write(&without_records(ResponseCode::NotAuth), &frame, limit, out);
    }
    ResponseCode::NotAuth
}

/// The TSIG record that refuses the key of a message, encoded. It is not signed (RFC 8945, section 5.2). Returns `None` if the TSIG
/// record of the message is malformed.
fn bad_key(message: &[u8]) -> Option<Vec<u8>> {
    let signature = Message::from_vec(message).ok()?.signature?;
    let TSIG { algorithm, time, fudge, oid, .. } = signature.data.clone();
    let refused = TSIG::new(algorithm, time, fudge, Vec::new(), oid, Some(TsigError::BadKey), Vec::new());
    let mut record = Record::from_rdata(signature.name.clone(), 0, refused);
    record.dns_class = DNSClass::ANY;
    record.to_bytes().ok()
}
