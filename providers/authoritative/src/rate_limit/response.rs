//! The kind of a response by its bytes, and the truncation of a response.

use hickory_proto::op::ResponseCode;

/// The length of the header in bytes.
const HEADER_BYTES: usize = 12;
/// The length of a record after its name and before its data, in bytes.
const FIXED_RECORD_BYTES: usize = 10;
/// The length of an OPT record without options, in bytes. Its name is the root.
const OPT_BYTES: usize = 11;
const OPT: u16 = 41;

/// The kind of a response. Each kind has a limit of its own, so a flood of one kind withholds no response of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ResponseKind {
    /// It has an answer, or would have one if it were not truncated.
    Answer,
    /// The name has no record of the type.
    NoData,
    /// The name does not exist.
    NoSuchName,
    /// Other servers have the name.
    Referral,
    /// Any other code.
    Error,
}

impl ResponseKind {
    /// The kind of a response, by its header alone.
    pub(crate) fn of(response: &[u8]) -> Self {
        let Some(&[_, _, third, fourth, _, _, answers_high, answers_low, ..]) = response.first_chunk::<HEADER_BYTES>()
        else {
            return Self::Error;
        };
        let is_authoritative = third & 0x04 != 0;
        let is_truncated = third & 0x02 != 0;
        let has_authorities = response[8..10] != [0, 0];
        match ResponseCode::from_low(fourth & 0x0f) {
            ResponseCode::NXDomain => Self::NoSuchName,
            ResponseCode::NoError if is_truncated || [answers_high, answers_low] != [0, 0] => Self::Answer,
            ResponseCode::NoError if !is_authoritative && has_authorities => Self::Referral,
            ResponseCode::NoError => Self::NoData,
            _ => Self::Error,
        }
    }

    /// The kind in the plural, for the log.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Answer => "answers",
            Self::NoData => "responses without data",
            Self::NoSuchName => "NXDOMAIN responses",
            Self::Referral => "referrals",
            Self::Error => "errors",
        }
    }
}

/// Turns a response into one that is truncated and empty, so that its receiver asks again by TCP. Returns its length.
///
/// Its header, its question and its OPT record stay, the latter without options (RFC 6891, section 6.1.1). NXDOMAIN becomes
/// NOERROR, because an empty response proves nothing.
pub(super) fn truncate(response: &mut [u8]) -> usize {
    if response.len() < HEADER_BYTES {
        return 0;
    }
    let sections = Sections::find(response).unwrap_or(Sections { question_end: HEADER_BYTES, opt: None });
    let Sections { question_end, opt } = sections;
    response[2] |= 0x02;
    if ResponseCode::from_low(response[3] & 0x0f) == ResponseCode::NXDomain {
        response[3] &= 0xf0;
    }
    if question_end == HEADER_BYTES {
        response[4..6].fill(0);
    }
    response[6..HEADER_BYTES].fill(0);
    let Some(opt) = opt else { return question_end };
    response[HEADER_BYTES - 1] = 1;
    response.copy_within(opt..opt + OPT_BYTES, question_end);
    let end = question_end + OPT_BYTES;
    response[end - 2..end].fill(0);
    end
}

/// The offsets of what stays in a truncated response.
struct Sections {
    question_end: usize,
    opt: Option<usize>,
}

impl Sections {
    /// Finds them. `None` if the response is malformed.
    fn find(response: &[u8]) -> Option<Self> {
        let count = |at: usize| Some(usize::from(u16_at(response, at)?));
        let mut question_end = HEADER_BYTES;
        for _ in 0..count(4)? {
            question_end = name_end(response, question_end)? + 4;
        }
        let mut at = question_end;
        let mut opt = None;
        for _ in 0..count(6)? + count(8)? + count(10)? {
            let fixed = name_end(response, at)?;
            if u16_at(response, fixed)? == OPT && fixed + FIXED_RECORD_BYTES == at + OPT_BYTES {
                opt = Some(at);
            }
            at = fixed + FIXED_RECORD_BYTES + count(fixed + FIXED_RECORD_BYTES - 2)?;
        }
        (at <= response.len()).then_some(Self { question_end, opt })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The end of a name: a root label or a compression pointer (RFC 1035, section 4.1.4).
fn name_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
    use hickory_proto::rr::rdata::opt::EdnsOption;
    use hickory_proto::rr::rdata::{A, NS, SOA};
    use hickory_proto::rr::{Name, RData, Record, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn name() -> Name {
        Name::from_ascii("lb.example.org.").unwrap()
    }

    /// A response to a query for the name, with a code.
    fn response(code: ResponseCode) -> Message {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        message.metadata.response_code = code;
        message.add_query(Query::query(name(), RecordType::A));
        message
    }

    fn address() -> Record {
        Record::from_rdata(name(), 5, RData::A(A::new(192, 0, 2, 1)))
    }

    fn soa() -> Record {
        Record::from_rdata(name(), 5, RData::SOA(SOA::new(name(), name(), 1, 1, 1, 1, 1)))
    }

    fn edns() -> Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        edns.options_mut().insert(EdnsOption::Unknown(3, b"ns1".to_vec()));
        edns
    }

    fn kind_of(message: &Message) -> ResponseKind {
        ResponseKind::of(&message.to_vec().unwrap())
    }

    #[test]
    fn a_response_is_of_the_kind_that_its_header_says() {
        let mut answer = response(ResponseCode::NoError);
        answer.add_answer(address());
        assert_eq!(kind_of(&answer), ResponseKind::Answer);
        let mut no_data = response(ResponseCode::NoError);
        no_data.add_authority(soa());
        assert_eq!(kind_of(&no_data), ResponseKind::NoData);
        let mut referral = response(ResponseCode::NoError);
        referral.metadata.authoritative = false;
        referral.add_authority(Record::from_rdata(name(), 5, RData::NS(NS(name()))));
        assert_eq!(kind_of(&referral), ResponseKind::Referral);
        let mut truncated = response(ResponseCode::NoError);
        truncated.metadata.truncation = true;
        assert_eq!(kind_of(&truncated), ResponseKind::Answer);
        assert_eq!(kind_of(&response(ResponseCode::NXDomain)), ResponseKind::NoSuchName);
        for code in [ResponseCode::Refused, ResponseCode::ServFail, ResponseCode::FormErr, ResponseCode::NotImp] {
            assert_eq!(kind_of(&response(code)), ResponseKind::Error);
        }
        assert_eq!(ResponseKind::of(&[0; 11]), ResponseKind::Error);
    }

    #[test]
    fn a_truncated_response_has_its_question_and_its_opt_record_and_nothing_else() {
        for edns in [None, Some(edns())] {
            let mut full = response(ResponseCode::NXDomain);
            full.add_authority(soa());
            full.add_additional(address());
            full.edns = edns.clone();
            let mut bytes = full.to_vec().unwrap();
            let length = truncate(&mut bytes);
            let truncated = Message::from_vec(&bytes[..length]).unwrap();
            assert!(truncated.metadata.truncation);
            assert!(truncated.metadata.authoritative);
            assert_eq!(truncated.metadata.id, 7);
            assert_eq!(truncated.metadata.response_code, ResponseCode::NoError);
            assert_eq!(truncated.queries, full.queries);
            let records = truncated.answers.len() + truncated.authorities.len() + truncated.additionals.len();
            assert_eq!(records, 0);
            assert_eq!(truncated.edns.as_ref().map(Edns::max_payload), edns.as_ref().map(Edns::max_payload));
            assert!(truncated.edns.is_none_or(|edns| edns.options().as_ref().is_empty()));
        }
    }

    #[test]
    fn a_response_without_a_question_stays_a_header() {
        let mut bytes = Message::new(7, MessageType::Response, OpCode::Query).to_vec().unwrap();
        assert_eq!(truncate(&mut bytes), HEADER_BYTES);
        assert_eq!(truncate(&mut [0; 11]), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_become_no_longer(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let length = bytes.len();
            prop_assert!(truncate(&mut bytes) <= length);
            let _ = ResponseKind::of(&bytes);
        }
    }
}
