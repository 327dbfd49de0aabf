use std::time::Duration;

use super::*;

const ALL: usize = 64;
const PER_CLIENT: usize = 16;

fn connections() -> Connections {
    Connections::new(ConnectionLimits { all: ALL, per_client: PER_CLIENT })
}

fn is_evicted(admission: &Admission) -> bool {
    admission.evicted.is_cancelled()
}

fn from(last: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, u8::try_from(last).unwrap()])
}

/// Admits a connection one millisecond after the one before.
async fn admit(connections: &Connections, last: usize) -> Admission {
    tokio::time::advance(Duration::from_millis(1)).await;
    connections.admit(from(last))
}

async fn admit_many(connections: &Connections, count: usize, last: usize) -> Vec<Admission> {
    let mut admitted = Vec::new();
    for _ in 0..count {
        admitted.push(admit(connections, last).await);
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn a_client_above_its_limit_loses_its_own_longest_idle_connection() {
    let connections = connections();
    let other = admit(&connections, 1).await;
    let own = admit_many(&connections, PER_CLIENT, 2).await;
    assert!(!own.iter().any(is_evicted));
    tokio::time::advance(Duration::from_millis(1)).await;
    own[0].activity.set_answering();
    own[0].activity.set_idle();
    let newest = admit(&connections, 2).await;
    let evicted: Vec<bool> = own.iter().map(is_evicted).collect();
    assert!(evicted[1] && !evicted[0] && !evicted[2..].contains(&true), "{evicted:?}");
    assert!(!is_evicted(&other) && !is_evicted(&newest));
}

#[tokio::test(start_paused = true)]
async fn above_the_limit_of_all_the_busiest_client_loses_its_longest_idle_connection() {
    let connections = connections();
    let single = admit(&connections, 0).await;
    let twice = admit_many(&connections, 2, 200).await;
    let mut others = Vec::new();
    for last in 3..ALL {
        others.push(admit(&connections, last).await);
    }
    let newest = admit(&connections, 201).await;
    assert!(is_evicted(&twice[0]) && !is_evicted(&twice[1]));
    let _next = admit(&connections, 202).await;
    assert!(is_evicted(&single), "all have one, so it is the longest idle");
    assert!(!others.iter().any(is_evicted) && !is_evicted(&newest));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_gives_way_before_one_that_is_answering() {
    let connections = connections();
    let busy = admit_many(&connections, PER_CLIENT - 1, 1).await;
    for admission in &busy {
        admission.activity.set_answering();
    }
    let idle = admit(&connections, 1).await;
    let newest = admit(&connections, 1).await;
    assert!(is_evicted(&idle) && !is_evicted(&newest));
    newest.activity.set_answering();
    let _next = admit(&connections, 1).await;
    assert!(is_evicted(&busy[0]), "all of them are answering, so it is the one that has been for longest");
    assert!(!busy[1..].iter().any(is_evicted) && !is_evicted(&newest));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answers_protects_its_connections_for_a_second() {
    let connections = connections();
    let unread = admit_many(&connections, PER_CLIENT, 1).await;
    for admission in &unread {
        admission.activity.set_answering();
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    unread[0].activity.set_idle();
    let _newest = admit(&connections, 1).await;
    assert!(is_evicted(&unread[1]), "it gives way like an idle one, and is so for longer than the first");
    assert!(!is_evicted(&unread[0]));
}

#[tokio::test(start_paused = true)]
async fn an_ended_connection_frees_its_place() {
    let connections = connections();
    let first = connections.admit(from(1));
    for _ in 0..ALL * 2 {
        drop(connections.admit(from(1)));
    }
    assert!(!is_evicted(&first));
    assert_eq!(connections.counts(), ConnectionCounts { open: 1, ..ConnectionCounts::default() });
}

#[tokio::test(start_paused = true)]
async fn evictions_are_counted_by_their_limit() {
    let connections = connections();
    let _own = admit_many(&connections, PER_CLIENT + 3, 200).await;
    let mut others = Vec::new();
    for last in 0..=ALL - PER_CLIENT {
        others.push(admit(&connections, last).await);
    }
    let counts = connections.counts();
    assert_eq!((counts.open, counts.evicted_by_client_limit, counts.evicted_by_limit), (ALL, 3, 1));
}

#[tokio::test(start_paused = true)]
async fn evictions_are_reported_when_they_begin_and_when_they_are_over() {
    let connections = connections();
    let own = admit_many(&connections, PER_CLIENT + 5, 1).await;
    let reached: Vec<_> = own.iter().filter_map(|admission| admission.newly_reached).collect();
    assert_eq!(reached, [ReachedLimit::PerClient]);
    assert_eq!(connections.past_evictions(), []);
    tokio::time::sleep_until(connections.evictions_over_at().unwrap()).await;
    assert_eq!(connections.past_evictions(), [PastEvictions { limit: ReachedLimit::PerClient, count: 5 }]);
    assert_eq!((connections.past_evictions(), connections.evictions_over_at()), (Vec::new(), None));
    assert_eq!(admit(&connections, 1).await.newly_reached, Some(ReachedLimit::PerClient), "they begin anew");
}

#[test]
fn the_addresses_of_one_ipv6_network_are_one_client() {
    let is_one = |one: &str, other: &str| client(one.parse().unwrap()) == client(other.parse().unwrap());
    assert!(is_one("2001:db8::1", "2001:db8::ffff:1"));
    assert!(!is_one("2001:db8::1", "2001:db8:0:1::1"));
    assert!(is_one("::ffff:192.0.2.1", "192.0.2.1"));
    assert!(!is_one("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
}

#[test]
fn the_limits_within_some_descriptors_use_no_more_of_them_and_leave_none_that_is_of_use() {
    let wanted = ConnectionLimits { all: 256, per_client: 32 };
    assert_eq!(wanted.descriptors(), 272);
    for (available, all) in
        [(272, 256), (271, 255), (100, 84), (80, 64), (79, 63), (20, 16), (5, 4), (4, 3), (2, 1), (0, 1)]
    {
        let limits = wanted.within_descriptors(available);
        assert_eq!(limits, ConnectionLimits { all, per_client: all.min(32) }, "{available}");
        assert!(limits.descriptors() <= available.max(2), "{available}");
    }
    assert_eq!(wanted.within_descriptors(usize::MAX), wanted);
}

#[tokio::test(start_paused = true)]
async fn with_a_high_limit_the_longest_idle_of_the_oldest_connections_gives_way() {
    let connections = Connections::new(ConnectionLimits { all: 65_535, per_client: 65_535 });
    let admitted: Vec<_> = (0..65_535).map(|_| connections.admit(from(1))).collect();
    tokio::time::advance(Duration::from_millis(1)).await;
    for admission in &admitted[..MAX_COMPARED - 1] {
        admission.activity.set_idle();
    }
    let _newest = connections.admit(from(2));
    let evicted: Vec<_> = admitted.iter().enumerate().filter(|(_, admission)| is_evicted(admission)).collect();
    assert_eq!(evicted.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [MAX_COMPARED - 1]);
}
