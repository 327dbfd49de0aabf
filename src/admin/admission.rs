//! Bounds the open connections, in all and per client. It does not know what they carry.
//!
//! A new connection always gets a place: above a bound the oldest connection of the busiest client is ended. So no client that
//! only keeps connections open can keep out another, such as the kubelet that asks `/livez`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The most open connections.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// The most open connections of one client: one IPv4 address, or one IPv6 network of 64 bits, which one host may own.
const MAX_CONNECTIONS_PER_CLIENT: usize = 16;
/// The first bits of an IPv6 address, which name its network.
const NETWORK: Ipv6Addr = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0);

/// The open connections of one listener. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Admissions(Arc<Mutex<Admitted>>);

#[derive(Default)]
struct Admitted {
    next_id: u64,
    /// By age: the oldest has the least id.
    connections: BTreeMap<u64, Connection>,
}

struct Connection {
    client: IpAddr,
    evicted: CancellationToken,
}

/// The place of one connection. It is free again when this is dropped.
pub(super) struct Admission {
    id: u64,
    evicted: CancellationToken,
    admissions: Admissions,
}

impl Admissions {
    /// Gives a new connection a place, and ends another one for it above a bound.
    pub(super) fn admit(&self, address: IpAddr) -> Admission {
        let client = client(address);
        let evicted = CancellationToken::new();
        let mut admitted = self.0.lock();
        admitted.make_room_for(client);
        let id = admitted.next_id;
        admitted.next_id += 1;
        admitted.connections.insert(id, Connection { client, evicted: evicted.clone() });
        Admission { id, evicted, admissions: self.clone() }
    }
}

impl Admitted {
    fn make_room_for(&mut self, newcomer: IpAddr) {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for connection in self.connections.values() {
            *counts.entry(connection.client).or_default() += 1;
        }
        let is_above_own = counts.get(&newcomer).is_some_and(|count| *count >= MAX_CONNECTIONS_PER_CLIENT);
        if !is_above_own && self.connections.len() < MAX_CONNECTIONS {
            return;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        let oldest = self.connections.iter().find(|(_, connection)| {
            if is_above_own { connection.client == newcomer } else { counts.get(&connection.client) == Some(&most) }
        });
        if let Some(id) = oldest.map(|(id, _)| *id)
            && let Some(connection) = self.connections.remove(&id)
        {
            connection.evicted.cancel();
        }
    }
}

impl Admission {
    /// Waits until the connection has to end in favour of a new one.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.admissions.0.lock().connections.remove(&self.id);
    }
}

/// The client behind an address. One host may choose the last 64 bits of an IPv6 address at will.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6(address & NETWORK),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(admission: &Admission) -> bool {
        admission.evicted.is_cancelled()
    }

    fn from(last: usize) -> IpAddr {
        IpAddr::from([192, 0, 2, u8::try_from(last).unwrap()])
    }

    #[test]
    fn a_client_above_its_bound_loses_its_own_oldest_connection() {
        let admissions = Admissions::default();
        let other = admissions.admit(from(1));
        let own: Vec<_> = (0..MAX_CONNECTIONS_PER_CLIENT).map(|_| admissions.admit(from(2))).collect();
        assert!(!own.iter().any(is_evicted));
        let newest = admissions.admit(from(2));
        let evicted: Vec<bool> = own.iter().map(is_evicted).collect();
        assert!(evicted[0] && !evicted[1..].contains(&true), "{evicted:?}");
        assert!(!is_evicted(&other) && !is_evicted(&newest));
    }

    #[test]
    fn above_the_bound_in_all_the_busiest_client_loses_its_oldest_connection() {
        let admissions = Admissions::default();
        let single = admissions.admit(from(0));
        let twice = [admissions.admit(from(200)), admissions.admit(from(200))];
        let others: Vec<_> = (3..MAX_CONNECTIONS).map(|last| admissions.admit(from(last))).collect();
        let newest = admissions.admit(from(201));
        assert!(is_evicted(&twice[0]) && !is_evicted(&twice[1]));
        let _next = admissions.admit(from(202));
        assert!(is_evicted(&single), "all have one, so it is the oldest");
        assert!(!others.iter().any(is_evicted) && !is_evicted(&newest));
    }

    #[test]
    fn an_ended_connection_frees_its_place() {
        let admissions = Admissions::default();
        let first = admissions.admit(from(1));
        for _ in 0..MAX_CONNECTIONS * 2 {
            drop(admissions.admit(from(1)));
        }
        assert!(!is_evicted(&first));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let is_one = |one: &str, other: &str| client(one.parse().unwrap()) == client(other.parse().unwrap());
        assert!(is_one("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!is_one("2001:db8::1", "2001:db8:0:1::1"));
        assert!(is_one("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!is_one("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    }
}
