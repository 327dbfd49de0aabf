//! Messages that no honest client sends.

use hickory_proto::op::{Message, OpCode, ResponseCode};

use crate::support::{A, POOL, TestQuery, TestServer, addresses, assert_negative, ips, receive, within_timeout};

#[tokio::test]
async fn responses_and_fragments_are_not_answered() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let response = TestQuery::new(POOL, A).flags(0x8000).bytes();
    let malformed_response = &response[..20];
    let update_response = TestQuery::new(POOL, A).flags(0xa800).bytes();
    let fragment = &TestQuery::new(POOL, A).bytes()[..11];
    server.assert_ignores(&[&response, malformed_response, &update_response, fragment, &[], &[0]]).await;
}

#[tokio::test]
async fn a_number_of_questions_other_than_one_is_a_format_error() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let query = TestQuery::new(POOL, A).bytes();
    let question = &query[12..];
    let counted = |count: [u8; 2], body: &[u8]| [&query[..4], &count, &query[6..12], body].concat();
    let two = counted([0, 2], &[question, question].concat());
    let many = counted([0xff, 0xff], question);
    for query in [counted([0, 0], &[]), two, counted([1, 1], question), many] {
        assert_format_error(&server, &query).await;
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_format_error() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let query = TestQuery::new(POOL, A).bytes();
    let header = &query[..12];
    for length in 12..query.len() {
        assert_format_error(&server, &query[..length]).await;
    }
    // A pointer to itself, a pointer into the header, a reserved label type, and noise.
    for body in [&[0xc0, 12, 0, 1, 0, 1][..], &[0xc0, 0, 0, 1, 0, 1], &[0x40, 0, 0, 1, 0, 1], &[0xff; 40]] {
        assert_format_error(&server, &[header, body].concat()).await;
    }
    // The header counts a record that is missing.
    let mut short = query.clone();
    for counter in [7, 9, 11] {
        short[counter] = 1;
        assert_format_error(&server, &short).await;
        short[counter] = 0;
    }
}

async fn assert_format_error(server: &TestServer, query: &[u8]) {
    let response = server.udp(query).await;
    assert_eq!(response[..2], query[..2], "the ID");
    assert_eq!(response[2..12], [0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0], "FORMERR and nothing else, for {query:?}");
    assert_eq!(response.len(), 12);
}

#[tokio::test]
async fn other_operations_are_not_implemented_whatever_their_body() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let query = TestQuery::new(POOL, A).bytes();
    for opcode in 1..16_u8 {
        for body in [&query[12..], &[0xff; 30], &[]] {
            let mut message = [&query[..12], body].concat();
            message[2] = opcode << 3;
            let response = Message::from_vec(&server.udp(&message).await).unwrap();
            assert_eq!(response.metadata.response_code, ResponseCode::NotImp, "opcode {opcode}");
            assert_eq!(response.metadata.op_code, OpCode::from_u8(opcode));
            assert!(!response.metadata.authoritative);
        }
    }
}

#[tokio::test]
async fn bytes_after_the_message_are_ignored() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let query = [&TestQuery::new(POOL, A).bytes()[..], &[7; 100]].concat();
    let response = Message::from_vec(&server.udp(&query).await).unwrap();
    assert_eq!(addresses(&response), ips(&["192.0.2.1"]));
}

/// An OPT record of a response without flags and options.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

#[tokio::test]
async fn an_error_has_an_opt_record_if_the_query_has_one() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let query = TestQuery::new(POOL, A).edns(1232).bytes();
    let question = &TestQuery::new(POOL, A).bytes()[12..];
    let counted = |questions: u8, additionals: u8, body: &[u8]| {
        [&query[..4], &[0, questions, 0, 0, 0, 0, 0, additionals], body].concat()
    };
    let mut not_implemented = query.clone();
    not_implemented[2] = 5 << 3;
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let no_question = counted(0, 1, &[&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12][..], &cookie].concat());
    let two_questions = counted(2, 1, &[question, question, &OPT].concat());
    let two_opts = TestQuery::new(POOL, A).edns(1232).edns(1232).bytes();
    let broken_option = TestQuery::new(POOL, A).opt(1232, 0, 0, &[0, 10, 0, 8, 1]).bytes();
    let mut among_the_answers = query.clone();
    among_the_answers[7] = 1;
    among_the_answers[11] = 0;
    let mut missing_record = query.clone();
    missing_record[11] = 2;
    for (query, code) in [
        (not_implemented, 4),
        (no_question, 1),
        (two_questions, 1),
        (two_opts, 1),
        (broken_option, 1),
        (among_the_answers, 1),
        (missing_record, 1),
    ] {
        let response = server.udp(&query).await;
        assert_eq!(response[3..12], [code, 0, 0, 0, 0, 0, 0, 0, 1], "for {query:?}");
        assert_eq!(response[12..], OPT, "for {query:?}");
    }
}

/// A TSIG record whose name points to the question.
fn tsig(mac_bytes: u8) -> Vec<u8> {
    let algorithm = b"\x0bhmac-sha256\0";
    let mac = vec![7; mac_bytes.into()];
    let data = [&algorithm[..], &[0, 0, 0x65, 0, 0, 0, 1, 44, 0, mac_bytes], &mac, &[0x12, 0x34, 0, 0, 0, 0]].concat();
    [&[0xc0, 12, 0, 250, 0, 255, 0, 0, 0, 0, 0, u8::try_from(data.len()).unwrap()][..], &data].concat()
}

#[tokio::test]
async fn the_key_of_a_signed_query_is_refused() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    for asked in [TestQuery::new(POOL, A), TestQuery::new(POOL, A).edns(1232), TestQuery::new("example.net", 252)] {
        let mut query = [asked.bytes(), tsig(32)].concat();
        query[11] += 1;
        let response = server.udp(&query).await;
        assert_eq!(response[3] & 15, 9, "NOTAUTH");
        // The record repeats the name of the key, the algorithm, the time and the ID, has no MAC, and the error is BADKEY.
        let refused =
            [&b"\x0bhmac-sha256\0"[..], &[0, 0, 0x65, 0, 0, 0, 1, 44, 0, 0, 0x12, 0x34, 0, 17, 0, 0]].concat();
        let name = &asked.name[..];
        let expected =
            [name, &[0, 250, 0, 255, 0, 0, 0, 0, 0, u8::try_from(refused.len()).unwrap()], &refused].concat();
        assert_eq!(response[response.len() - expected.len()..], expected, "unsigned (RFC 8945, section 5.2)");
        assert_eq!(response[6..8], [0, 0], "no answer");
    }
}

#[tokio::test]
async fn the_key_of_another_operation_is_refused_before_the_operation() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let mut notify = [TestQuery::new(POOL, 6).bytes(), tsig(32)].concat();
    notify[11] += 1;
    notify[2] = 4 << 3;
    let response = server.udp(&notify).await;
    assert_eq!((response[2] >> 3 & 15, response[3] & 15, response[11]), (4, 9, 1), "NOTAUTH with a TSIG record");
}

#[tokio::test]
async fn the_refusal_of_a_key_fits_into_the_datagram_of_the_client() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let long =
        |first: u8| [[vec![63], vec![first; 63]].concat().repeat(3), vec![50], vec![first; 50], vec![0]].concat();
    let data = [long(b'h'), [0, 0, 0x65, 0, 0, 0, 1, 44, 0, 0, 0x12, 0x34, 0, 0, 0, 0].to_vec()].concat();
    let [high, low] = u16::try_from(data.len()).unwrap().to_be_bytes();
    let tsig = [long(b'k'), [0, 250, 0, 255, 0, 0, 0, 0, high, low].to_vec(), data].concat();
    let mut query = [TestQuery::new("", A).name(&long(b'q')).bytes(), tsig].concat();
    query[11] = 1;
    let response = server.udp(&query).await;
    assert_eq!((response[3] & 15, response[5]), (9, 0), "NOTAUTH without the question");
    assert!(response.len() <= 540, "{} bytes", response.len());
}

#[tokio::test]
async fn a_sig0_signature_is_ignored() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    // Type SIG, class ANY, TTL 0, at the root; it covers type 0, and its signer is the root (RFC 2931, section 3).
    let data = [&[0, 0, 13, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0x60, 0, 0, 0, 0, 7, 0][..], &[0; 64]].concat();
    let length = u8::try_from(data.len()).unwrap();
    let signature = [&[0, 0, 24, 0, 255, 0, 0, 0, 0, 0, length][..], &data].concat();
    let mut query = [TestQuery::new(POOL, A).bytes(), signature].concat();
    query[11] = 1;
    let response = Message::from_vec(&server.udp(&query).await).unwrap();
    assert_eq!(addresses(&response), ips(&["192.0.2.1"]));
}

#[tokio::test]
async fn a_tsig_record_that_is_twice_elsewhere_or_broken_is_a_format_error() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let query = TestQuery::new(POOL, A).bytes();
    let opt = &TestQuery::new(POOL, A).edns(1232).bytes()[query.len()..];
    let with = |counts: [u8; 3], records: &[&[u8]]| {
        let mut query = [&query[..], &records.concat()].concat();
        [query[7], query[9], query[11]] = counts;
        query
    };
    let valid = tsig(32);
    let mut of_the_internet = tsig(32);
    of_the_internet[5] = 1;
    let mut lasting = tsig(32);
    lasting[9] = 1;
    let mut cut = tsig(32);
    cut[11] -= 40;
    cut.truncate(cut.len() - 40);
    for query in [
        with([0, 0, 2], &[&valid, &valid]),
        with([0, 0, 2], &[&valid, opt]),
        with([1, 0, 0], &[&valid]),
        with([0, 1, 1], &[&valid, opt]),
        with([0, 0, 1], &[&cut]),
        // The class is ANY, and the TTL is 0 (RFC 8945, section 4.2).
        with([0, 0, 1], &[&of_the_internet]),
        with([0, 0, 1], &[&lasting]),
    ] {
        let response = Message::from_vec(&server.udp(&query).await).unwrap();
        assert_eq!(response.metadata.response_code, ResponseCode::FormErr, "{query:?}");
        assert!(response.answers.is_empty());
    }
}

#[tokio::test]
async fn the_longest_names_and_labels_of_any_bytes_are_valid() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let apex = TestQuery::new(POOL, A).name;
    let label = |length: u8, byte: u8| [vec![length], vec![byte; length.into()]].concat();
    // 239 bytes before the 16 of the apex.
    let long = [label(63, 1), label(63, b'.'), label(63, 0xff), label(46, b'A'), apex.clone()].concat();
    assert_eq!(long.len(), 255);
    let many = [label(1, 0).repeat(119), label(0, 0)[..0].to_vec(), apex.clone()].concat();
    let binary = [vec![4, 0, b'.', 0xc0, 12], apex.clone()].concat();
    for name in [long, many, binary] {
        let query = TestQuery::new("", A).name(&name);
        let response = server.udp(&query.bytes()).await;
        assert_eq!(response[12..12 + name.len()], name[..], "the question, byte by byte");
        assert_negative(&Message::from_vec(&response).unwrap(), ResponseCode::NXDomain, POOL, 1);
    }
    let too_long = [label(63, 1), label(63, 1), label(63, 1), label(47, 1), apex].concat();
    assert_format_error(&server, &TestQuery::new("", A).name(&too_long).bytes()).await;
}

#[tokio::test]
async fn ten_thousand_mutated_queries_do_no_harm() {
    let server = TestServer::with_addresses(&["192.0.2.1", "2001:db8::1"]);
    let client = server.client().await;
    let seeds = [
        TestQuery::new(POOL, A).edns(1232).bytes(),
        TestQuery::new("a.b.ns1.lb.example.org", 255).opt(512, 0, 0x8000, &[0, 10, 0, 2, 1, 2]).bytes(),
        TestQuery::new("lb.example.org", 6).bytes(),
    ];
    let mut random = Random(0x5eed);
    for round in 0..10_000_u32 {
        let mut query = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            random.mutate(&mut query);
        }
        client.send(&query).await.unwrap();
        // Wait often enough that the kernel does not drop queries.
        if round % 50 == 0 {
            sync(&client, &round.to_be_bytes()[2..]).await;
        }
    }
    sync(&client, &[0xff, 0xff]).await;
    assert_eq!(addresses(&server.connect().await.query(&TestQuery::new(POOL, A)).await), ips(&["192.0.2.1"]));
    assert!(server.stop().await.is_ok());
}

/// Sends a query and waits for its response. Ignores other responses.
async fn sync(client: &tokio::net::UdpSocket, id: &[u8]) {
    // No mutation produces this question.
    let query = TestQuery::new("sync.lb.example.org", 16).id(u16::from_be_bytes([id[0], id[1]])).bytes();
    client.send(&query).await.unwrap();
    within_timeout(async { while receive(client).await.get(12..query.len()) != Some(&query[12..]) {} }).await;
}

/// A random number generator (xorshift) with the same sequence in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn mutate(&mut self, query: &mut Vec<u8>) {
        let byte = u8::try_from(self.below(256)).unwrap();
        match self.below(5) {
            0 => query.truncate(self.below(query.len() + 1)),
            1 => query.insert(self.below(query.len() + 1), byte),
            2 => query.extend_from_within(self.below(query.len() + 1)..),
            _ if query.is_empty() => query.push(byte),
            3 => {
                let at = self.below(query.len());
                query[at] = byte;
            }
            _ => {
                let at = self.below(query.len());
                query[at] ^= 1 << self.below(8);
            }
        }
    }
}
