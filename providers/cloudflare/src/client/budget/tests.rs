use std::iter::repeat_n;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::client::ratelimit::ratelimit;

/// The report of a response with Cloudflare's headers.
fn report(remaining: u32, seconds: u32) -> Ratelimit {
    let mut headers = http::HeaderMap::new();
    headers.insert("ratelimit", format!("\"default\";r={remaining};t={seconds}").parse().unwrap());
    ratelimit(&headers).unwrap()
}

/// Takes this number of permits. Returns the time of each.
async fn permits(budget: &Budget, count: usize) -> Vec<Duration> {
    let start = Instant::now();
    let mut given = Vec::new();
    for _ in 0..count {
        budget.permit().await.unwrap();
        given.push(start.elapsed());
    }
    given
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_window_ever_holds_more_calls_than_the_share(
        share in 1u8..=100,
        pauses in vec(prop_oneof![3 => Just(0), 1 => 0u64..10_000, 1 => 0u64..400_000], 0..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let allowed = 12 * usize::from(share);
        let given = runtime.block_on(async {
            let budget = Budget::new(share);
            let start = Instant::now();
            let mut given = Vec::new();
            // Pauses at first, and then as many calls as it takes to be held back.
            for pause in pauses.into_iter().chain(repeat_n(0, 2 * allowed)) {
                sleep(Duration::from_millis(pause)).await;
                budget.permit().await.unwrap();
                given.push(start.elapsed());
            }
            given
        });
        for (first, past) in given.iter().zip(&given[allowed..]) {
            prop_assert!(*past > *first + WINDOW, "{} calls from {first:?} to {past:?}", allowed + 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_quarter_of_the_share_is_made_at_once_and_the_rest_at_a_rate() {
    let budget = Budget::new(25);
    let given = permits(&budget, 75 + 225).await;
    assert_eq!(given[74], Duration::ZERO, "the burst");
    assert!(given[75] > Duration::from_secs(1), "then one in 1.33 s: {:?}", given[75]);
    assert!(given[299] <= WINDOW + Duration::from_secs(1), "the share is really given: {:?}", given[299]);
}

#[tokio::test(start_paused = true)]
async fn a_share_outside_its_bounds_is_the_nearest_one() {
    for (share, burst) in [(0, 3), (1, 3), (100, 300), (255, 300)] {
        let given = permits(&Budget::new(share), burst + 1).await;
        assert_eq!((given[burst - 1], given[burst] > Duration::ZERO), (Duration::ZERO, true), "{share}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_can_wait_leave_half_of_the_burst_to_writes() {
    let budget = Budget::new(1);
    assert!(budget.has_spare(), "three of three");
    permits(&budget, 1).await;
    assert!(budget.has_spare(), "two of three");
    permits(&budget, 1).await;
    assert!(!budget.has_spare(), "one of three");
    tokio::time::advance(Duration::from_secs(33)).await;
    assert!(!budget.has_spare(), "one comes back in 33.3 s");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(budget.has_spare(), "two of three again");
}

#[tokio::test(start_paused = true)]
async fn passes_are_spread_over_the_window_when_cloudflare_says_that_little_is_left() {
    let budget = Budget::new(100);
    budget.record(report(59, 30));
    assert!(!budget.has_spare());
    assert_eq!(budget.pause(), Duration::from_millis(500));
    tokio::time::advance(Duration::from_millis(400)).await;
    assert_eq!(budget.pause(), Duration::from_millis(100));
    tokio::time::advance(Duration::from_millis(100)).await;
    assert_eq!(budget.pause(), Duration::ZERO);
    assert_eq!(permits(&budget, 3).await, [Duration::ZERO; 3], "a pass that has begun is not held up");
}

#[tokio::test(start_paused = true)]
async fn no_pass_begins_with_fewer_calls_left_than_it_may_take() {
    let budget = Budget::new(100);
    budget.record(report(3, 30));
    assert_eq!(budget.pause(), Duration::from_secs(30), "what is left to all");

    let budget = Budget::new(1);
    permits(&budget, 3).await;
    let pause = budget.pause();
    assert!(
        pause >= Duration::from_secs(99) && pause <= Duration::from_secs(100),
        "the whole burst of three: {pause:?}"
    );
    tokio::time::advance(pause).await;
    assert_eq!(permits(&budget, 3).await, [Duration::ZERO; 3]);
}

#[tokio::test(start_paused = true)]
async fn calls_are_not_spread_while_enough_is_left() {
    let budget = Budget::new(100);
    budget.record(report(61, 30));
    assert!(budget.has_spare());
    assert_eq!(permits(&budget, 100).await, [Duration::ZERO; 100]);
    assert_eq!(budget.remaining(), Some(61));
}

#[tokio::test(start_paused = true)]
async fn nothing_left_permits_no_call_until_the_next_window() {
    let budget = Budget::new(100);
    budget.record(report(0, 30));
    assert_eq!(budget.permit().await.unwrap_err().rest, Duration::from_secs(30));
    assert_eq!(budget.pause(), Duration::from_secs(30));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(permits(&budget, 3).await, [Duration::ZERO; 3], "what was little is forgotten with its window");
    assert!(budget.has_spare());
}

#[tokio::test(start_paused = true)]
async fn a_better_word_of_cloudflare_ends_the_spreading() {
    let budget = Budget::new(100);
    budget.record(report(0, 300));
    budget.record(report(1_000, 300));
    assert_eq!((budget.pause(), permits(&budget, 10).await), (Duration::ZERO, vec![Duration::ZERO; 10]));
}

#[tokio::test(start_paused = true)]
async fn while_cloudflare_refuses_every_call_none_is_permitted_and_none_waits() {
    let budget = Budget::new(100);
    budget.block(Duration::from_mins(1));
    tokio::time::advance(Duration::from_secs(20)).await;
    let start = Instant::now();
    assert_eq!(budget.permit().await.unwrap_err().rest, Duration::from_secs(40));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(!budget.has_spare());
    tokio::time::advance(Duration::from_secs(40)).await;
    budget.permit().await.unwrap();
    assert!(budget.has_spare());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_fails_when_cloudflare_begins_to_refuse_every_call() {
    let budget = Budget::new(1);
    permits(&budget, 3).await;
    let refuse = async {
        sleep(Duration::from_secs(10)).await;
        budget.block(Duration::from_mins(5));
    };
    let (waited, ()) = tokio::join!(budget.permit(), refuse);
    assert!(waited.unwrap_err().rest < Duration::from_secs(290));
}

/// A new run that remembers a block for this much longer by its clock.
fn remembering(seconds: i64) -> Budget {
    let budget = Budget::new(100);
    budget.block_until(Timestamp::now() + jiff::SignedDuration::from_secs(seconds));
    budget
}

#[tokio::test(start_paused = true)]
async fn a_limit_reported_to_an_earlier_run_holds_for_one_window_at_most() {
    let rest = remembering(60).permit().await.unwrap_err().rest;
    assert!(rest > Duration::from_secs(50) && rest <= Duration::from_mins(1), "{rest:?}");
    let rest = remembering(100 * 365 * 86_400).permit().await.unwrap_err().rest;
    assert!(rest > Duration::from_mins(4) && rest <= WINDOW, "{rest:?}");
    for past in [0, -1, -86_400] {
        assert!(remembering(past).permit().await.is_ok(), "{past}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_is_to_be_remembered_until_it_ends_and_so_is_a_share_that_is_used_up() {
    let blocked = Budget::new(100);
    let used_up = Budget::new(100);
    assert_eq!(blocked.blocked_until(), None);
    let until = blocked.block(Duration::from_mins(1)).until;
    assert_eq!(blocked.blocked_until(), Some(until));
    used_up.record(report(0, 60));
    assert!(used_up.blocked_until().is_some());
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!((blocked.blocked_until(), used_up.blocked_until()), (None, None));
}
