//! A client that resolves the name before each request, as a Kubernetes client does for each new connection.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use daymark_fake_apiserver::Behaviour;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::dns::look_up;
use crate::support::nodes::Nodes;
use crate::support::{Daymark, POOL, addresses_in, is_published, until};

const REQUESTS: usize = 200;
/// The time after which the client leaves a silent node for the next address.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

struct Client {
    tls: Arc<ClientConfig>,
    port: u16,
}

impl Client {
    fn new(nodes: &Nodes) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(nodes.authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(tls.with_root_certificates(roots).with_no_client_auth());
        Self { tls, port: nodes.port() }
    }

    /// Sends one request; true if the node answers that it is ready.
    fn request(&self, to: IpAddr) -> io::Result<bool> {
        let stream = TcpStream::connect_timeout(&SocketAddr::new(to, self.port), NODE_TIMEOUT)?;
        stream.set_read_timeout(Some(NODE_TIMEOUT))?;
        let session = ClientConnection::new(Arc::clone(&self.tls), POOL.try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {POOL}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200 "))
    }
}

/// The client's requests, by their outcome.
#[derive(Debug, Default)]
struct Tally {
    /// Served by the first address of the answer.
    at_once: usize,
    /// Served by a later address of the answer.
    by_another: usize,
    failed: usize,
}

/// Reads the addresses that are out of the published answer, and those that are in the decided one.
fn known(daymark: &Daymark, out_before: &BTreeSet<IpAddr>) -> (BTreeSet<IpAddr>, BTreeSet<IpAddr>) {
    let status = daymark.json("/api/v1/status");
    let pool = &status["pools"][0];
    let within = addresses_in(&pool["addresses"]);
    let targets = pool["targets"].as_array().unwrap().iter();
    let out: BTreeSet<IpAddr> = targets.map(|target| target["address"].as_str().unwrap().parse().unwrap()).collect();
    let out: BTreeSet<IpAddr> = out.difference(&within).copied().collect();
    // A decision that is not published yet proves nothing. An address that was out before and still is stays out.
    let out = if is_published(&status) { out } else { out.intersection(out_before).copied().collect() };
    (out, within)
}

fn ask_until(stop: &AtomicBool, done: &AtomicUsize, daymark: &Daymark, client: &Client) -> Tally {
    let mut tally = Tally::default();
    let mut out = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        out = known(daymark, &out).0;
        let answer = look_up(daymark.dns);
        let wrong: Vec<_> = answer.intersection(&out).collect();
        if !wrong.is_empty() {
            // An address that came back between the two queries is right.
            let (_, within) = known(daymark, &out);
            assert!(wrong.iter().all(|address| within.contains(address)), "{answer:?}, though {out:?} were known out");
        }
        let tries = answer.iter().position(|&address| client.request(address).unwrap_or(false));
        match tries {
            Some(0) => tally.at_once += 1,
            Some(_) => tally.by_another += 1,
            None => tally.failed += 1,
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    tally
}

/// Stops the client when it is dropped, even if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_client_is_sent_to_a_node_that_is_known_to_be_out() {
    let nodes = Nodes::start(5);
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    let client = Client::new(&nodes);
    let all = nodes.addresses();
    daymark.answers(&all, "ready");
    let not_ready = Behaviour::NotReady { failing: vec!["etcd".to_owned()] };
    let faults = [Behaviour::Dead, not_ready, Behaviour::ShuttingDown, Behaviour::Reset, Behaviour::Expired];
    let stop = AtomicBool::new(false);
    let done = AtomicUsize::new(0);
    let tally = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(&stop, &done, &daymark, &client));
        let guard = Stop(&stop);
        let goes_on = |steps: usize| {
            let from = done.load(Ordering::Relaxed);
            until("the client has asked more", || {
                assert!(!asking.is_finished(), "the client goes on");
                (done.load(Ordering::Relaxed) >= from + steps).then_some(())
            });
        };
        let share = REQUESTS / faults.len() / 2;
        for (index, fault) in faults.into_iter().enumerate() {
            nodes.set(index, fault);
            let others: Vec<IpAddr> = all.iter().copied().filter(|address| *address != all[index]).collect();
            daymark.answers(&others, "ready");
            goes_on(share);
            nodes.set(index, Behaviour::Ready);
            daymark.answers(&all, "ready");
            goes_on(share);
        }
        drop(guard);
        asking.join().unwrap()
    });
    println!("of {} requests {tally:?}", done.load(Ordering::Relaxed));
    assert!(done.load(Ordering::Relaxed) >= REQUESTS);
    assert_eq!(tally.failed, 0, "one node is broken at a time, so another address always answers: {tally:?}");
}
