//! The budget of calls: when the next call may be made. It makes no call; its time is tokio's.
//!
//! Three limits hold calls back: the provider's share, of which a quarter may be used at once and the rest as it is
//! replenished; Cloudflare's report that few calls are left; and a refusal of all calls, during which none is made. A pass
//! waits for all of them before it begins, so that it begins with the newest answer. Only a used-up share can hold it back in
//! the middle.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::ratelimit::{QUOTA, Ratelimit, WINDOW};

/// The calls that a change usually takes. A pass does not begin with fewer left.
const CALLS_PER_PASS: u32 = 4;

type Limiter = RateLimiter<NotKeyed, InMemoryState, Elapsed, StateInformationMiddleware>;

/// Decides when the next call may be made.
pub(super) struct Budget {
    limiter: Limiter,
    quota: Quota,
    state: Mutex<BudgetState>,
}

struct BudgetState {
    /// The calls that could be made at once, after the last one.
    left: CallsLeft,
    /// The calls that Cloudflare still allows, as it last said.
    remaining: Option<u32>,
    /// The end of the window in which few calls are left, as Cloudflare reports.
    low_until: Option<Instant>,
    /// The time when the next pass may begin, while few calls are left.
    not_before: Instant,
    block: Option<BlockUntil>,
}

/// A number of calls at a time.
#[derive(Clone, Copy)]
struct CallsLeft {
    calls: u32,
    at: Instant,
}

/// The end of a refusal of every call, by both clocks.
#[derive(Clone, Copy)]
struct BlockUntil {
    end: Instant,
    until: Timestamp,
}

/// Cloudflare refuses every call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The rest of the refusal.
    pub(super) rest: Duration,
    /// The end of the refusal, by the wall clock.
    pub(super) until: Timestamp,
}

/// Tokio's time as governor's clock, so that it stands still when tokio's does.
struct Elapsed(Instant);

impl Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Budget {
    /// A budget of `share` percent of the calls that Cloudflare allows.
    pub(super) fn new(share: u8) -> Self {
        let quota = quota(share);
        let now = Instant::now();
        let state = BudgetState {
            left: CallsLeft { calls: quota.burst_size().get(), at: now },
            remaining: None,
            low_until: None,
            not_before: now,
            block: None,
        };
        let limiter = RateLimiter::direct_with_clock(quota, Elapsed(now)).with_middleware();
        Self { limiter, quota, state: Mutex::new(state) }
    }

    /// Waits until a call may be made, and takes it from the share. Fails at once while Cloudflare refuses every call.
    pub(super) async fn permit(&self) -> Result<(), Block> {
        while let Some(pause) = self.take()? {
            sleep(pause).await;
        }
        Ok(())
    }

    /// Takes one call from the share. If there is none, returns the pause until there is.
    fn take(&self) -> Result<Option<Duration>, Block> {
        let mut state = self.state.lock();
        let now = Instant::now();
        if let Some(block) = state.block(now) {
            return Err(block);
        }
        match self.limiter.check() {
            Ok(snapshot) => {
                state.left = CallsLeft { calls: snapshot.remaining_burst_capacity(), at: now };
                Ok(None)
            }
            Err(early) => Ok(Some(early.wait_time_from(self.limiter.clock().now()))),
        }
    }

    /// The pause before a pass, which makes several calls.
    pub(super) fn pause(&self) -> Duration {
        let state = self.state.lock();
        let now = Instant::now();
        let theirs = match state.low_until(now) {
            Some(end) if state.remaining.is_some_and(|left| left < CALLS_PER_PASS) => end - now,
            Some(_) => state.not_before.saturating_duration_since(now),
            None => Duration::ZERO,
        };
        let missing = self.quota.burst_size().get().min(CALLS_PER_PASS).saturating_sub(self.left(&state, now));
        theirs.max(self.quota.replenish_interval() * missing)
    }

    /// The calls of the share that could be made at once.
    fn left(&self, state: &BudgetState, now: Instant) -> u32 {
        let CallsLeft { calls, at } = state.left;
        let replenished = (now - at).as_nanos() / self.quota.replenish_interval().as_nanos();
        calls.saturating_add(u32::try_from(replenished).unwrap_or(u32::MAX)).min(self.quota.burst_size().get())
    }

    /// Records the calls that are left, as a response reports them.
    pub(super) fn record(&self, report: Ratelimit) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.remaining = Some(report.remaining);
        state.low_until = report.low.map(|low| now + low.rest);
        state.not_before = now + report.low.map_or(Duration::ZERO, |low| low.spacing);
    }

    /// Refuses every call for this time.
    pub(super) fn block(&self, rest: Duration) -> Block {
        let until = Timestamp::now() + rest;
        self.state.lock().block = Some(BlockUntil { end: Instant::now() + rest, until });
        Block { rest, until }
    }

    /// The time until which Cloudflare refuses every call, by the wall clock. `None` if it refuses none.
    pub(super) fn blocked_until(&self) -> Option<Timestamp> {
        self.state.lock().block(Instant::now()).map(|block| block.until)
    }

    /// Continues a refusal that an earlier run received, but for no longer than a window: its clock may have been wrong.
    pub(super) fn block_until(&self, until: Timestamp) {
        let now = Timestamp::now();
        let until = until.min(now + WINDOW);
        if let Ok(rest) = Duration::try_from(until.duration_since(now)) {
            self.state.lock().block = Some(BlockUntil { end: Instant::now() + rest, until });
        }
    }

    /// Returns true if at least half of the burst is left, and Cloudflare does not report that few calls are left.
    pub(super) fn has_spare(&self) -> bool {
        let state = self.state.lock();
        let now = Instant::now();
        let is_blocked = state.block.is_some_and(|block| block.end > now);
        let half = self.quota.burst_size().get().div_ceil(2);
        !is_blocked && state.low_until(now).is_none() && self.left(&state, now) >= half
    }

    /// The calls that Cloudflare still allows in this window, as it last said.
    pub(super) fn remaining(&self) -> Option<u32> {
        self.state.lock().remaining
    }
}

impl BudgetState {
    fn block(&self, now: Instant) -> Option<Block> {
        let refusal = self.block.filter(|block| block.end > now);
        if let Some(BlockUntil { end, until }) = refusal {
            return Some(Block { rest: end - now, until });
        }
        let used_up_until = self.low_until(now).filter(|_| self.remaining == Some(0))?;
        let rest = used_up_until - now;
        Some(Block { rest, until: Timestamp::now() + rest })
    }

    fn low_until(&self, now: Instant) -> Option<Instant> {
        self.low_until.filter(|end| *end > now)
    }
}

/// A quota that allows at most the share in any window: one burst, and the calls that are replenished within the window.
#[expect(clippy::expect_used, reason = "the least share is twelve calls: neither the pause nor the burst is nothing")]
fn quota(share: u8) -> Quota {
    let calls = QUOTA * u32::from(share.clamp(1, 100)) / 100;
    let burst = calls / 4;
    let pause = WINDOW / (calls - burst);
    let quota = Quota::with_period(pause).expect("a pause");
    quota.allow_burst(NonZeroU32::new(burst).expect("a burst"))
}

#[cfg(test)]
mod tests;
