//! A worker allocates nothing for a query that the table answers. The allocator counts for the whole process, so the test has a binary
//! of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::alloc::System;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::{Authoritative, InheritedSockets, Nameserver, ZoneSettings};
use daymark_decision::fixtures::pool_name;
use daymark_provider::{Provider, contract};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio_util::sync::CancellationToken;

use self::common::server_settings;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The number of queries that are counted.
const QUERIES: usize = 1000;
/// A question for the addresses of the pool.
const QUERY: &[u8] = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x02lb\x07kube-cp\x03com\0\0\x01\0\x01";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_copied_response_allocates_nothing() {
    let nameserver = Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() };
    let pool = pool_name("lb.kube-cp.com");
    for listen in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let zone = ZoneSettings::for_pool(&pool, std::slice::from_ref(&nameserver));
        let settings = server_settings(listen, vec![zone], 9);
        let server = Arc::new(Authoritative::bind(&settings, &mut InheritedSockets::default()).unwrap());
        server.publish(&contract::decision(&pool, 7, &["192.0.2.1", "192.0.2.2", "192.0.2.3"])).unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let serving = Arc::clone(&server);
        let serving = tokio::spawn(async move { serving.serve(stopped).await });
        let bound = server.local_addrs()[0];
        let ip = if bound.is_ipv6() { "::1".parse() } else { "127.0.0.1".parse() };
        let client = UdpSocket::bind((bound.ip(), 0)).unwrap();
        client.connect(SocketAddr::new(ip.unwrap(), bound.port())).unwrap();
        client.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        ask(&client, QUERIES);
        let region = Region::new(ALLOCATOR);
        ask(&client, QUERIES);
        let allocations = region.change().allocations;
        assert!(server.copied_responses() >= 2 * QUERIES as u64);
        assert_eq!(allocations, 0, "on {listen}");
        stop.cancel();
        serving.await.unwrap().unwrap();
    }
}

/// Sends queries one after the other, and waits for each response.
fn ask(client: &UdpSocket, count: usize) {
    let mut response = [0; 512];
    for _ in 0..count {
        client.send(QUERY).unwrap();
        let length = client.recv(&mut response).unwrap();
        assert_eq!((length, response[7]), (QUERY.len() + 3 * 16, 3));
    }
}
