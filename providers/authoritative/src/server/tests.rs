use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use daymark_connections::ConnectionLimits;
use daymark_decision::fixtures::pool_name;
use daymark_provider::contract;
use socket2::SockRef;

use super::*;
use crate::dnssec::{DenialOfExistence, KeyRole, SigningSettings};
use crate::responder::tests::signing;
use crate::settings::ServerIdentity;

fn bind_server() -> Authoritative {
    bind_server_of(Vec::new())
}

fn bind_server_of(zones: Vec<ZoneSettings>) -> Authoritative {
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let settings = ServerSettings {
        listen,
        freebind: false,
        zones,
        tcp_connections: ConnectionLimits { all: 1, per_client: 1 },
        tcp_idle_timeout: Duration::from_secs(1),
        udp_workers: NonZeroUsize::MIN,
        identity: ServerIdentity {
            name: "dns-1".to_owned(),
            version: "daymark test".to_owned(),
            nsid: true,
            chaos: false,
        },
        rate_limit: RateLimitSettings::default(),
    };
    Authoritative::bind(&settings, &mut InheritedSockets::default()).unwrap()
}

#[tokio::test]
async fn a_failed_socket_ends_the_server_with_an_error() {
    let server = bind_server();
    let address = server.sockets[1].address;
    // A listener that is shut down never accepts again.
    SockRef::from(&server.sockets[1].tcp).shutdown(std::net::Shutdown::Both).unwrap();
    let ended = tokio::time::timeout(Duration::from_mins(1), server.serve(CancellationToken::new())).await.unwrap();
    let Err(ServeError::Socket { address: failed, transport: DnsTransport::Tcp, .. }) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(failed, address);
}

#[tokio::test]
async fn a_stopped_server_ends_without_an_error() {
    let server = bind_server();
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(server.serve(stop).await.is_ok());
    // Its sockets stay bound, so it can serve again.
    assert_eq!(server.local_addrs().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_timer_renews_signatures_in_time_one_by_one_and_after_a_jump_of_the_clock() {
    const DAY: Duration = Duration::from_hours(24);
    let nameservers = [Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() }];
    let pool = pool_name("lb.example.org");
    let signing = Some(signing(DenialOfExistence::Nsec));
    let server = bind_server_of(vec![ZoneSettings { signing, ..ZoneSettings::for_pool(&pool, &nameservers) }]);
    server.publish(&contract::decision(&pool, 7, &["192.0.2.1", "2001:db8::1"])).unwrap();
    let start = SystemTime::now();
    let began = tokio::time::Instant::now();
    let jump = Mutex::new(Duration::ZERO);
    let clock = || start + began.elapsed() + *jump.lock().unwrap();
    let first_end = || server.signatures()[0].expires_at;
    let watch = async {
        let mut ends = BTreeSet::new();
        for _ in 0..30 * 24 {
            tokio::time::sleep(Duration::from_hours(1)).await;
            let left = first_end().duration_since(clock()).unwrap();
            assert!(left > 2 * DAY && left <= 7 * DAY, "{left:?}");
            ends.insert(first_end());
        }
        // Each of the sets ends at another moment, so more than the six periods are seen.
        assert!(ends.len() > 12, "{ends:?}");
        for days in [40, 35, 0] {
            *jump.lock().unwrap() = days * DAY;
            tokio::time::sleep(Duration::from_secs(11)).await;
            let left = first_end().duration_since(clock()).unwrap();
            assert!(left > 6 * DAY && left <= 7 * DAY, "{days} {left:?}");
        }
    };
    tokio::select! {
        () = watch => {}
        () = server.keep_signatures(clock) => panic!("the timer has ended"),
    }
}

#[test]
fn the_lines_of_signing_are_those_of_the_keys_and_the_proofs() {
    let nameservers = [Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() }];
    let lines = |pools: &[&str], signing: &SigningSettings| {
        let zone = |pool: &&str| ZoneSettings {
            signing: Some(signing.clone()),
            ..ZoneSettings::for_pool(&pool_name(pool), &nameservers)
        };
        PreparedZones::build(&pools.iter().map(zone).collect::<Vec<_>>()).unwrap().signing_lines()
    };
    let mut keys = signing(DenialOfExistence::Nsec);
    keys.keys.extend(signing(DenialOfExistence::Nsec).keys);
    let same = lines(&["a.example.org"], &keys);
    assert_eq!(same.len(), 2);
    keys.keys.reverse();
    assert_eq!(lines(&["a.example.org", "b.example.org"], &keys), same, "neither the order nor the zones count");
    let lines_after = |change: &dyn Fn(&mut SigningSettings)| {
        let mut keys = keys.clone();
        change(&mut keys);
        lines(&["a.example.org"], &keys)
    };
    let changes: [&dyn Fn(&mut SigningSettings); 4] = [
        &|keys| keys.denial = DenialOfExistence::Nsec3,
        &|keys| keys.keys[0].is_active = false,
        &|keys| keys.keys[0].role = KeyRole::ZoneSigning,
        &|keys| keys.keys.truncate(1),
    ];
    for change in changes {
        assert_ne!(lines_after(change), same);
    }
}
