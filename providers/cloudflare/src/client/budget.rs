//! The share of calls that is ours, and how quickly it may be used. It makes no call; its time is tokio's.
//!
//! Three things hold calls back: the share, of which a quarter may be used at once and the rest as it comes; what
//! Cloudflare says is left, when that is little; and a refusal of all calls, during which none is made. All but a lack of the
//! share in the middle of a pass is told before the pass begins, so that it begins with the newest answer.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::ratelimit::{Low, QUOTA, Ratelimit, WINDOW};

/// How many calls a change usually takes. A pass does not begin with fewer left.
const PASS: u32 = 4;

type Limiter = RateLimiter<NotKeyed, InMemoryState, Elapsed, StateInformationMiddleware>;

/// Says when the next call may be made.
pub(super) struct Budget {
    limiter: Limiter,
    quota: Quota,
    state: Mutex<State>,
}

struct State {
    /// How many calls could be made at once after the last one, and when that was.
    left: (u32, Instant),
    /// How many calls Cloudflare still allows, as it last said.
    remaining: Option<u32>,
    /// Little is left, until then.
    low: Option<(Low, Instant)>,
    /// When the next pass may begin, while little is left.
    not_before: Instant,
    block: Option<(Instant, Timestamp)>,
}

/// Cloudflare refuses every call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// How much longer.
    pub(super) rest: Duration,
    /// Until when, by the clock on the wall.
    pub(super) until: Timestamp,
}

/// Tokio's time as governor's, so that it stands still where that does.
struct Elapsed(Instant);

impl Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Budget {
    /// A budget of so many hundredths of the calls that Cloudflare allows.
    pub(super) fn new(share: u8) -> Self {
        let quota = quota(share);
        let now = Instant::now();
        let state =
            State { left: (quota.burst_size().get(), now), remaining: None, low: None, not_before: now, block: None };
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

    /// Takes one call from the share, or says how long to wait.
    fn take(&self) -> Result<Option<Duration>, Block> {
        let mut state = self.state.lock();
        let now = Instant::now();
        if let Some(block) = state.block(now) {
            return Err(block);
        }
        match self.limiter.check() {
            Ok(snapshot) => {
                state.left = (snapshot.remaining_burst_capacity(), now);
                Ok(None)
            }
            Err(early) => Ok(Some(early.wait_time_from(self.limiter.clock().now()))),
        }
    }

    /// How long to wait before several calls are begun that belong together.
    pub(super) fn pause(&self) -> Duration {
        let state = self.state.lock();
        let now = Instant::now();
        let theirs = match state.low(now) {
            Some((_, end)) if state.remaining.is_some_and(|left| left < PASS) => end - now,
            Some(_) => state.not_before.saturating_duration_since(now),
            None => Duration::ZERO,
        };
        let missing = self.quota.burst_size().get().min(PASS).saturating_sub(self.left(&state, now));
        theirs.max(self.quota.replenish_interval() * missing)
    }

    /// How many calls of the share could be made at once.
    fn left(&self, state: &State, now: Instant) -> u32 {
        let (left, since) = state.left;
        let regained = (now - since).as_nanos() / self.quota.replenish_interval().as_nanos();
        left.saturating_add(u32::try_from(regained).unwrap_or(u32::MAX)).min(self.quota.burst_size().get())
    }

    /// Takes in what an answer says is left.
    pub(super) fn heed(&self, said: Ratelimit) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.remaining = Some(said.remaining);
        state.low = said.low.map(|low| (low, now + low.rest));
        state.not_before = now + said.low.map_or(Duration::ZERO, |low| low.spacing);
    }

    /// Refuses every call from now on for so long.
    pub(super) fn block(&self, rest: Duration) -> Block {
        let until = Timestamp::now() + rest;
        self.state.lock().block = Some((Instant::now() + rest, until));
        Block { rest, until }
    }

    /// Until when Cloudflare refuses every call, by the clock on the wall; `None` where it does not.
    pub(super) fn blocked_until(&self) -> Option<Timestamp> {
        self.state.lock().block(Instant::now()).map(|block| block.until)
    }

    /// Goes on with what an earlier run was told, but for no longer than a window: the clock may have been wrong then.
    pub(super) fn block_until(&self, until: Timestamp) {
        let now = Timestamp::now();
        let until = until.min(now + WINDOW);
        if let Ok(rest) = Duration::try_from(until.duration_since(now)) {
            self.state.lock().block = Some((Instant::now() + rest, until));
        }
    }

    /// Whether at least half of what may be used at once is left, and Cloudflare does not say that little is.
    pub(super) fn has_spare(&self) -> bool {
        let state = self.state.lock();
        let now = Instant::now();
        let is_blocked = state.block.is_some_and(|(end, _)| end > now);
        let half = self.quota.burst_size().get().div_ceil(2);
        !is_blocked && state.low(now).is_none() && self.left(&state, now) >= half
    }

    /// How many calls Cloudflare still allows in this window, as it last said.
    pub(super) fn remaining(&self) -> Option<u32> {
        self.state.lock().remaining
    }
}

impl State {
    fn block(&self, now: Instant) -> Option<Block> {
        let refused = self.block.filter(|(end, _)| *end > now).map(|(end, until)| Block { rest: end - now, until });
        let used_up = || self.low(now).filter(|_| self.remaining == Some(0)).map(|(_, end)| end - now);
        refused.or_else(|| used_up().map(|rest| Block { rest, until: Timestamp::now() + rest }))
    }

    fn low(&self, now: Instant) -> Option<(Low, Instant)> {
        self.low.filter(|(_, end)| *end > now)
    }
}

/// In any window, no more than a burst and what comes back within it: together the share.
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
