//! The open connections, and their limits: in all and for each client. It does not know what they carry.
//!
//! A new connection always gets a place. Above a limit another one gives way: an idle one before one that is answering, one
//! of the client with the most connections before others, and the longest idle before others (RFC 7766, section 6.2.3, lets a
//! server close idle connections). So no client that only keeps connections open can keep out another one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::activity::{Activity, ActivityState};
use crate::recurrence::Recurrence;

/// The connections beyond the limit that may be about to end, if the limit is 64 or more. More wait in the queue of the kernel.
const MAX_ENDING_CONNECTIONS: usize = 16;

/// The connections that are compared to find the one that gives way: the oldest. A flood of new ones costs no more with a high
/// limit.
const MAX_COMPARED: usize = 1024;

/// The first bits of an IPv6 address, which name its network.
const NETWORK: Ipv6Addr = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0);

/// The limits of the connections that are open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The limit of all.
    pub all: usize,
    /// The limit of one client: one IPv4 address, or one IPv6 network of 64 bits, in which one host may choose its address.
    pub per_client: usize,
}

impl ConnectionLimits {
    /// The descriptors that the connections use at most, those included that are about to end.
    pub fn descriptors(self) -> usize {
        descriptors(self.all)
    }

    /// The highest limits that use at most this many descriptors, and at least one connection.
    #[must_use]
    pub fn within_descriptors(self, available: usize) -> Self {
        let fits = |all: &usize| descriptors(*all) <= available;
        let least = available.saturating_sub(MAX_ENDING_CONNECTIONS).max(1);
        let all = (least..=available).rev().find(fits).unwrap_or(1).min(self.all);
        Self { all, per_client: self.per_client.min(all) }
    }
}

fn descriptors(connections: usize) -> usize {
    connections.saturating_add((connections / 4).clamp(1, MAX_ENDING_CONNECTIONS))
}

/// A limit that made connections give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReachedLimit {
    /// The limit of all connections.
    All,
    /// The limit of one client.
    PerClient,
}

/// The number of connections, now or since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Those that are open now.
    pub open: usize,
    /// Those that gave way since the start to a new one of any client.
    pub evicted_by_limit: u64,
    /// Those that gave way since the start to a new one of the same client.
    pub evicted_by_client_limit: u64,
    /// The failures to accept one since the start.
    pub accept_failures: u64,
}

/// The open connections of one server, over all its listeners. Clones share them.
#[derive(Clone, Debug)]
pub struct Connections(Arc<ConnectionTable>);

#[derive(Debug)]
struct ConnectionTable {
    limits: ConnectionLimits,
    start: Instant,
    /// One permit for each connection, also for those that are about to end.
    permits: Arc<Semaphore>,
    admitted: Mutex<Admitted>,
    evicted_by_limit: AtomicU64,
    evicted_by_client_limit: AtomicU64,
    accept_failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Admitted {
    next_id: u64,
    /// By age: the oldest has the least id.
    connections: BTreeMap<u64, Connection>,
    /// The connections of each client that has any.
    by_client: HashMap<IpAddr, BTreeSet<u64>>,
    by_limit: Recurrence,
    by_client_limit: Recurrence,
}

#[derive(Debug)]
struct Connection {
    client: IpAddr,
    activity: Activity,
    evicted: CancellationToken,
}

/// The place of one connection. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    id: u64,
    pub(crate) activity: Activity,
    evicted: CancellationToken,
    connections: Connections,
    /// The limit that this connection reached, if none had reached it for some time.
    pub(crate) newly_reached: Option<ReachedLimit>,
}

/// The connections that gave way by one limit, which are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PastEvictions {
    pub(crate) limit: ReachedLimit,
    pub(crate) count: u64,
}

impl Connections {
    /// No connection yet, with these limits.
    pub fn new(limits: ConnectionLimits) -> Self {
        let permits = limits.descriptors().min(Semaphore::MAX_PERMITS);
        Self(Arc::new(ConnectionTable {
            limits,
            start: Instant::now(),
            permits: Arc::new(Semaphore::new(permits)),
            admitted: Mutex::default(),
            evicted_by_limit: AtomicU64::default(),
            evicted_by_client_limit: AtomicU64::default(),
            accept_failures: AtomicU64::default(),
        }))
    }

    /// The numbers of this moment.
    pub fn counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            open: self.0.admitted.lock().connections.len(),
            evicted_by_limit: self.0.evicted_by_limit.load(Ordering::Relaxed),
            evicted_by_client_limit: self.0.evicted_by_client_limit.load(Ordering::Relaxed),
            accept_failures: self.0.accept_failures.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn limits(&self) -> ConnectionLimits {
        self.0.limits
    }

    pub(crate) fn permits(&self) -> &Arc<Semaphore> {
        &self.0.permits
    }

    pub(crate) fn count_accept_failure(&self) {
        self.0.accept_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a new connection a place, and ends another one for it above a limit.
    pub(crate) fn admit(&self, address: IpAddr) -> Admission {
        let client = client(address);
        let activity = Activity::new(self.0.start);
        let evicted = CancellationToken::new();
        let mut admitted = self.0.admitted.lock();
        let reached = admitted.make_room_for(client, self.0.limits);
        let id = admitted.next_id;
        admitted.next_id += 1;
        admitted.by_client.entry(client).or_default().insert(id);
        let connection = Connection { client, activity: activity.clone(), evicted: evicted.clone() };
        admitted.connections.insert(id, connection);
        let newly_reached = reached.filter(|limit| admitted.recurrence(*limit).begin(Instant::now()));
        drop(admitted);
        if let Some(limit) = reached {
            self.evictions(limit).fetch_add(1, Ordering::Relaxed);
        }
        Admission { id, activity, evicted, connections: self.clone(), newly_reached }
    }

    /// The earliest moment at which evictions are over if no more come. `None` if there are none.
    pub(crate) fn evictions_over_at(&self) -> Option<Instant> {
        let admitted = self.0.admitted.lock();
        admitted.by_limit.over_at().into_iter().chain(admitted.by_client_limit.over_at()).min()
    }

    /// The evictions that are over now, each reported once.
    pub(crate) fn past_evictions(&self) -> Vec<PastEvictions> {
        let now = Instant::now();
        let mut admitted = self.0.admitted.lock();
        let limits = [ReachedLimit::All, ReachedLimit::PerClient].into_iter();
        limits
            .filter_map(|limit| admitted.recurrence(limit).end(now).map(|count| PastEvictions { limit, count }))
            .collect()
    }

    fn evictions(&self, limit: ReachedLimit) -> &AtomicU64 {
        match limit {
            ReachedLimit::All => &self.0.evicted_by_limit,
            ReachedLimit::PerClient => &self.0.evicted_by_client_limit,
        }
    }
}

/// The order in which connections give way: the least first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct EvictionRank {
    is_answering: bool,
    connections_of_client: Reverse<usize>,
    since: u64,
}

impl Admitted {
    /// Ends a connection if the newcomer is above a limit. Returns that limit.
    fn make_room_for(&mut self, newcomer: IpAddr, limits: ConnectionLimits) -> Option<ReachedLimit> {
        let own = self.by_client.get(&newcomer);
        if let Some(own) = own.filter(|own| own.len() >= limits.per_client) {
            self.end(self.first_to_go(own.iter())?)?;
            return Some(ReachedLimit::PerClient);
        }
        if self.connections.len() >= limits.all {
            self.end(self.first_to_go(self.connections.keys())?)?;
            return Some(ReachedLimit::All);
        }
        None
    }

    /// The connection that gives way before the others of these.
    fn first_to_go<'a>(&self, ids: impl Iterator<Item = &'a u64>) -> Option<u64> {
        let compared = ids.take(MAX_COMPARED).filter_map(|id| Some((*id, self.connections.get(id)?)));
        let first = compared.min_by_key(|(_, connection)| {
            let ActivityState { is_answering, since } = connection.activity.state();
            let count = self.by_client.get(&connection.client).map_or(0, BTreeSet::len);
            EvictionRank { is_answering, connections_of_client: Reverse(count), since }
        });
        first.map(|(id, _)| id)
    }

    fn end(&mut self, id: u64) -> Option<()> {
        self.remove(id)?.evicted.cancel();
        Some(())
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if let Some(ids) = self.by_client.get_mut(&connection.client) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_client.remove(&connection.client);
            }
        }
        Some(connection)
    }

    fn recurrence(&mut self, limit: ReachedLimit) -> &mut Recurrence {
        match limit {
            ReachedLimit::All => &mut self.by_limit,
            ReachedLimit::PerClient => &mut self.by_client_limit,
        }
    }
}

impl Admission {
    /// Waits until the connection has to end in favour of a new one.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.connections.0.admitted.lock().remove(self.id);
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
mod tests;
