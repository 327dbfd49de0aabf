//! Limits the responses that one network gets by UDP (response rate limiting).
//!
//! A query with a forged sender makes this server send its response to somebody else. So the responses of each kind to
//! each network are limited. A response above the limit is dropped, or sent truncated and empty (it *slips*): a client that was
//! there asks again by TCP, which cannot be forged. BIND, NSD and Knot limit responses in the same way.
//!
//! The limit is governor's GCRA (a leaky bucket), by a table of fixed size. Two networks that share a cell of it share a limit. A
//! check takes no lock, allocates nothing and reads no clock: the caller says the time, once for each batch of datagrams.

mod cells;
mod response;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tracing::warn;

use self::cells::{CellIndex, Cells};
pub(crate) use self::response::ResponseKind;

/// The shortest time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// The networks of loopback addresses. Nobody can forge them from elsewhere, so they are exempt by default.
pub const LOOPBACK: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

/// The settings of the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// The effect of the limit.
    pub mode: RateLimitMode,
    /// The responses of one kind that one network gets in a second, and the most that it gets at once.
    pub responses_per_second: NonZeroU32,
    /// Each `slip`th withheld response is sent truncated. 0 sends none.
    pub slip: u8,
    /// The networks without a limit.
    pub exempt: Vec<IpNet>,
    /// The number of bits of an IPv4 address that make its network. At most 32.
    pub ipv4_prefix_length: u8,
    /// The number of bits of an IPv6 address that make its network. At most 128.
    pub ipv6_prefix_length: u8,
}

/// The effect of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitMode {
    /// Responses above the limit are withheld.
    Enforce,
    /// Responses above the limit are counted and logged, and sent.
    LogOnly,
    /// There is no limit.
    Disabled,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        Self {
            mode: RateLimitMode::Enforce,
            responses_per_second: NonZeroU32::MIN.saturating_add(199),
            slip: 2,
            exempt: LOOPBACK.to_vec(),
            ipv4_prefix_length: 24,
            ipv6_prefix_length: 56,
        }
    }
}

/// The numbers of responses above the limit since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitCounts {
    /// Those that were not sent.
    pub dropped: u64,
    /// Those that were sent truncated, and the errors that were sent in their place.
    pub slipped: u64,
    /// Those that were sent because the mode is [`RateLimitMode::LogOnly`].
    pub log_only: u64,
}

/// The treatment of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It is sent.
    Send,
    /// It is sent truncated and empty.
    Truncate,
    /// It is not sent.
    Drop,
}

/// The limit of all sockets.
pub(crate) struct ResponseRateLimit {
    settings: ArcSwap<RateLimitSettings>,
    cells: Cells,
    /// The time from which the cells count.
    started: Instant,
    counters: Counters,
    warnings: Warnings,
}

#[derive(Default)]
struct Counters {
    dropped: AtomicU64,
    slipped: AtomicU64,
    log_only: AtomicU64,
}

impl ResponseRateLimit {
    /// A limit that counts from a moment.
    pub(crate) fn new(settings: RateLimitSettings, started: Instant) -> Self {
        Self {
            settings: ArcSwap::new(Arc::new(settings)),
            cells: Cells::new(),
            started,
            counters: Counters::default(),
            warnings: Warnings::default(),
        }
    }

    /// Replaces the settings. The responses that each network has had still count.
    pub(crate) fn configure(&self, settings: RateLimitSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// The limit for the responses to a batch of datagrams that were received at `now`.
    pub(crate) fn at(&self, now: Instant) -> RateLimitAt<'_> {
        let settings = self.settings.load();
        let rate = settings.responses_per_second;
        let now = now.saturating_duration_since(self.started);
        let clock = BatchClock(Cell::new(Duration::ZERO));
        let limiter = RateLimiter::new(Quota::per_second(rate).allow_burst(rate), &self.cells, clock);
        limiter.clock().0.set(now);
        RateLimitAt { limit: self, settings, limiter, now }
    }

    /// The numbers of responses above the limit since the start.
    pub(crate) fn counts(&self) -> RateLimitCounts {
        let Counters { dropped, slipped, log_only } = &self.counters;
        RateLimitCounts {
            dropped: dropped.load(Ordering::Relaxed),
            slipped: slipped.load(Ordering::Relaxed),
            log_only: log_only.load(Ordering::Relaxed),
        }
    }
}

/// The limit at one moment.
pub(crate) struct RateLimitAt<'a> {
    limit: &'a ResponseRateLimit,
    settings: Guard<Arc<RateLimitSettings>>,
    limiter: RateLimiter<CellIndex, &'a Cells, BatchClock, NoOpMiddleware<Duration>>,
    /// The time since the cells count.
    now: Duration,
}

/// The responses that share a limit.
#[derive(Hash)]
struct LimitKey {
    /// The upper bits of the client's address.
    network: u128,
    is_ipv4: bool,
    kind: ResponseKind,
}

/// A clock that shows the time of the batch.
struct BatchClock(Cell<Duration>);

impl Clock for BatchClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.get()
    }
}

impl RateLimitAt<'_> {
    /// Limits a response: truncates it if need be. Returns the number of its bytes to send, and 0 if it is not sent.
    pub(crate) fn limit(&self, client: IpAddr, response: &mut [u8]) -> usize {
        match self.check(client, ResponseKind::of(response)) {
            Treatment::Send => response.len(),
            Treatment::Truncate => response::truncate(response),
            Treatment::Drop => 0,
        }
    }

    /// Counts a response of a kind to a client. Returns its treatment.
    pub(crate) fn check(&self, client: IpAddr, kind: ResponseKind) -> Treatment {
        let client = client.to_canonical();
        if self.settings.mode == RateLimitMode::Disabled || self.is_exempt(client) {
            return Treatment::Send;
        }
        let cell = self.limit.cells.index(self.key(client, kind));
        match self.limiter.check_key(&cell) {
            Ok(()) => Treatment::Send,
            Err(_) => self.withhold(client, kind, cell),
        }
    }

    fn is_exempt(&self, client: IpAddr) -> bool {
        self.settings.exempt.iter().any(|network| network.contains(&client))
    }

    /// The number of bits of a client's address that make its network.
    fn prefix_length(&self, client: IpAddr) -> u8 {
        if client.is_ipv4() { self.settings.ipv4_prefix_length } else { self.settings.ipv6_prefix_length }
    }

    fn key(&self, client: IpAddr, kind: ResponseKind) -> LimitKey {
        let bits = match client {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let network = upper_bits(bits, self.prefix_length(client));
        LimitKey { network, is_ipv4: client.is_ipv4(), kind }
    }

    /// The treatment of a response above the limit.
    #[cold]
    fn withhold(&self, client: IpAddr, kind: ResponseKind, cell: CellIndex) -> Treatment {
        let Counters { dropped, slipped, log_only } = &self.limit.counters;
        self.warn(client, kind);
        let (counter, verdict) = match self.settings.mode {
            RateLimitMode::LogOnly | RateLimitMode::Disabled => (log_only, Treatment::Send),
            RateLimitMode::Enforce if !self.limit.cells.slips(cell, self.settings.slip) => (dropped, Treatment::Drop),
            // TCP would give the same error, so a truncated one is of no use.
            RateLimitMode::Enforce if kind == ResponseKind::Error => (slipped, Treatment::Send),
            RateLimitMode::Enforce => (slipped, Treatment::Truncate),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        verdict
    }

    fn warn(&self, client: IpAddr, kind: ResponseKind) {
        let Some(count) = self.limit.warnings.count(self.now) else { return };
        let network = IpNet::new(client, self.prefix_length(client)).map_or(client.into(), |network| network.trunc());
        let rate = self.settings.responses_per_second;
        let kinds = kind.plural();
        let state = match self.settings.mode {
            RateLimitMode::Enforce => "are limited",
            RateLimitMode::LogOnly | RateLimitMode::Disabled => "are above the limit, and sent by `mode: logOnly`",
        };
        let responses = if count == 1 { "response" } else { "responses" };
        warn!(
            "DNS responses to {network} {state}: it asks for more than {rate} {kinds} a second by UDP; {count} {responses} to \
             all networks above the limit since the last such line; if it is no attack, list the network in \
             `rateLimit.exempt`"
        );
    }
}

/// The upper bits of a number, and zeros below them.
fn upper_bits(bits: u128, length: u8) -> u128 {
    bits & !u128::MAX.checked_shr(length.into()).unwrap_or(0)
}

/// Counts the responses above the limit until the next warning.
#[derive(Default)]
struct Warnings {
    responses: AtomicU64,
    /// The time of the next warning, in milliseconds.
    next: AtomicU64,
}

impl Warnings {
    /// Counts a response. Returns the number since the last warning if one is due.
    fn count(&self, now: Duration) -> Option<u64> {
        self.responses.fetch_add(1, Ordering::Relaxed);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let is_due = millis(now) >= next
            && self
                .next
                .compare_exchange(next, millis(now + WARNING_INTERVAL), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_due.then(|| self.responses.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
