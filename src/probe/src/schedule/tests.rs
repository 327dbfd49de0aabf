//! The schedule played against targets in made-up time.

use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The defaults, but one in 4 fresh.
fn pacing() -> Pacing {
    let count = |n| NonZeroU32::new(n).unwrap();
    Pacing {
        interval: ms(1000),
        confirm_interval: ms(100),
        late_after: ms(1000),
        tls_timeout: ms(1000),
        fresh_every: count(4),
        thresholds: Thresholds { rise: count(2), fall: count(3) },
    }
}

/// A schedule, the probes under way with their ends, and what happened, in words.
struct Play<T> {
    schedule: Schedule,
    origin: Instant,
    now: u64,
    under_way: Vec<(u64, u64, Kind)>,
    target: T,
    log: Vec<String>,
    /// The draw for each pause after a refusal.
    spread: f64,
    /// The end of a stop: a handshake that lasts until then succeeds.
    goes_on: u64,
}

/// `target` says of a probe started at a time, fresh or not, how long it takes and what it finds.
impl<T: Fn(u64, bool) -> (u64, Kind)> Play<T> {
    fn new(pacing: Pacing, first: u64, target: T) -> Self {
        let origin = Instant::now();
        let schedule = Schedule::new(pacing, origin, ms(first), ms(first));
        Self {
            schedule,
            origin,
            now: 0,
            under_way: Vec::new(),
            target,
            log: Vec::new(),
            spread: 0.0,
            goes_on: u64::MAX,
        }
    }

    /// Plays up to and including `end`, and tells what happened since the last time.
    fn until(&mut self, end: u64) -> Vec<String> {
        loop {
            let result = self.under_way.iter().map(|(at, ..)| *at).min();
            let due = self.schedule.due().map(|due| self.millis(due).max(self.now));
            match (result, due) {
                (Some(at), due) if at <= end && due.is_none_or(|due| at <= due) => self.finish(at),
                (_, Some(at)) if at <= end => self.start(at),
                _ => break,
            }
        }
        self.now = end;
        std::mem::take(&mut self.log)
    }

    fn start(&mut self, at: u64) {
        self.now = at;
        let start = self.schedule.start(self.origin + ms(at));
        let (takes, kind) = (self.target)(at, start.fresh);
        let end = at + takes;
        let until = start.handshake_until.map(|until| self.millis(until));
        let result = match kind {
            Kind::TlsStall if self.goes_on < until.unwrap_or(0).max(end) => (self.goes_on, start.id, Kind::Ready),
            Kind::TlsStall => (until.unwrap_or(0).max(end), start.id, kind),
            _ => (end, start.id, kind),
        };
        self.under_way.push(result);
        self.log.push(format!("{at} {}", if start.fresh { "fresh" } else { "kept" }));
    }

    fn finish(&mut self, at: u64) {
        self.now = at;
        let first = (0..self.under_way.len()).min_by_key(|&i| self.under_way[i].0).unwrap();
        let (_, id, kind) = self.under_way.remove(first);
        let clear = self.schedule.finish(id, &kind, self.origin + ms(at), self.spread);
        let observed = kind.label();
        let called_off = if clear { std::mem::take(&mut self.under_way).len() } else { 0 };
        self.log.push(match (clear, called_off) {
            (false, _) => format!("{at} observed {observed}"),
            (true, 0) => format!("{at} observed {observed}, clear"),
            (true, _) => format!("{at} observed {observed}, clear, {called_off} called off"),
        });
    }

    fn kept_has_ended(&mut self) {
        self.schedule.kept_has_ended(self.origin + ms(self.now));
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.origin).as_millis()).unwrap()
    }
}

fn local_error() -> Kind {
    Kind::LocalError { detail: String::new() }
}

fn ready(_: u64, _: bool) -> (u64, Kind) {
    (5, Kind::Ready)
}

#[test]
fn at_the_start_probes_hurry_until_the_verdict_is_clear_and_then_keep_the_interval() {
    let mut play = Play::new(pacing(), 250, ready);
    assert_eq!(play.until(400), ["250 fresh", "255 observed ready", "350 fresh", "355 observed ready, clear"]);
    assert_eq!(
        play.until(2400),
        ["1250 kept", "1255 observed ready, clear", "2250 kept", "2255 observed ready, clear"]
    );
}

#[test]
fn one_probe_of_fresh_every_is_fresh() {
    let mut play = Play::new(pacing(), 0, ready);
    play.until(900);
    let starts = |log: Vec<String>| log.into_iter().filter(|line| !line.contains("observed")).collect::<Vec<_>>();
    assert_eq!(starts(play.until(5200)), ["1000 kept", "2000 kept", "3000 kept", "4000 fresh", "5000 kept"]);
}

#[test]
fn targets_spread_over_the_interval_spread_their_fresh_connections_over_the_round() {
    let phases = |offsets: [u64; 4]| offsets.map(|offset| pacing().phase(ms(offset)));
    assert_eq!(phases([0, 250, 500, 750]), [0, 1, 2, 3]);
    assert_eq!(phases([249, 999, 1000, 5250]), [0, 3, 0, 1]);
    let starts = |log: Vec<String>| log.into_iter().filter(|line| !line.contains("observed")).collect::<Vec<_>>();
    let mut play = Play::new(pacing(), 500, ready);
    play.until(1000);
    assert_eq!(starts(play.until(4000)), ["1500 kept", "2500 fresh", "3500 kept"]);
}

#[test]
fn with_one_in_one_every_probe_is_fresh() {
    let mut play = Play::new(Pacing { fresh_every: NonZeroU32::MIN, ..pacing() }, 0, ready);
    assert!(play.until(5000).iter().all(|line| !line.contains("kept")));
}

#[test]
fn a_target_that_refuses_is_confirmed_quickly_and_then_left_at_the_interval() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Kind::Ready),
        _ => (1, Kind::Refused),
    });
    play.until(999);
    assert_eq!(
        play.until(3400),
        [
            "1000 kept",
            "1001 observed refused",
            "1012 fresh",
            "1013 observed refused",
            "1024 fresh",
            "1025 observed refused, clear",
            "2000 kept",
            "2001 observed refused, clear",
            "3000 kept",
            "3001 observed refused, clear",
        ]
    );
}

/// The starts of the probes of a target that refuses from 1 s on.
fn starts_of_a_refusal(pacing: Pacing, takes: u64, spread: f64) -> Vec<u64> {
    let starts = std::cell::RefCell::new(Vec::new());
    let mut play = Play::new(pacing, 0, |at, _| {
        if at < 1000 {
            return (5, Kind::Ready);
        }
        starts.borrow_mut().push(at);
        (takes, Kind::Refused)
    });
    play.spread = spread;
    play.until(1900);
    assert_eq!(play.schedule.verdict.grade(), Grade::Down);
    drop(play);
    starts.into_inner()
}

#[test]
fn the_pauses_after_a_refusal_are_spread_by_a_third() {
    assert_eq!(starts_of_a_refusal(pacing(), 1, 0.999), [1000, 1015, 1030]);
    assert_eq!(starts_of_a_refusal(pacing(), 1, 0.4), [1000, 1013, 1026]);
}

#[test]
fn a_refusal_takes_at_least_24_milliseconds_to_prove_and_ten_between_two_probes() {
    let with_fall = |fall| {
        let thresholds = Thresholds { fall: NonZeroU32::new(fall).unwrap(), ..pacing().thresholds };
        starts_of_a_refusal(Pacing { thresholds, ..pacing() }, 1, 0.0)
    };
    assert_eq!(with_fall(2), [1000, 1024]);
    assert_eq!(with_fall(5), [1000, 1010, 1020, 1030, 1040]);
}

#[test]
fn no_pause_after_a_refusal_is_longer_than_the_confirm_interval() {
    assert_eq!(starts_of_a_refusal(Pacing { confirm_interval: ms(11), ..pacing() }, 1, 0.999), [1000, 1011, 1022]);
}

#[test]
fn a_refusal_over_a_long_path_is_confirmed_as_soon_as_it_is_seen() {
    assert_eq!(starts_of_a_refusal(pacing(), 50, 0.0), [1000, 1050, 1062]);
}

#[test]
fn a_reset_connection_is_confirmed_like_a_refused_one_and_silence_is_not() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Kind::Ready),
        1000..1012 => (1, Kind::Reset),
        _ => (1, Kind::Unreachable),
    });
    play.until(999);
    let starts = |log: Vec<String>| log.into_iter().filter(|line| !line.contains("observed")).collect::<Vec<_>>();
    assert_eq!(starts(play.until(1900)), ["1000 kept", "1012 fresh", "1112 fresh"]);
}

#[test]
fn at_the_start_a_refusal_is_proved_as_quickly() {
    let mut play = Play::new(pacing(), 0, |_, _| (1, Kind::Refused));
    play.until(40);
    assert_eq!(play.schedule.verdict.grade(), Grade::Down);
}

#[test]
fn a_silent_target_costs_about_one_time_out_and_no_more_probes_than_prove_it() {
    // The kept request is silent for the time-out of a probe, a fresh one for that of a connection.
    let mut play = Play::new(pacing(), 0, |at, fresh| match (at, fresh) {
        (0..1000, _) => (5, Kind::Ready),
        (_, false) => (5000, Kind::Refused),
        (_, true) => (1000, Kind::Refused),
    });
    play.until(999);
    assert_eq!(
        play.until(2450),
        [
            "1000 kept",
            "1105 fresh",
            "1205 fresh",
            "1305 fresh",
            "2105 observed refused",
            "2205 observed refused",
            "2305 observed refused, clear, 1 called off",
            "2305 kept",
        ]
    );
}

#[test]
fn a_settled_silent_target_has_one_probe_at_a_time() {
    let mut play = Play::new(pacing(), 0, |_, _| (1500, Kind::Refused));
    assert_eq!(
        play.until(1699),
        ["0 fresh", "100 fresh", "200 fresh", "1500 observed refused", "1600 observed refused"]
    );
    // One ends later than the next is due: that one starts at once, and none is made up for.
    assert_eq!(
        play.until(5000),
        [
            "1700 observed refused, clear",
            "1700 kept",
            "3200 observed refused, clear",
            "3200 kept",
            "4700 observed refused, clear",
            "4700 kept",
        ]
    );
}

#[test]
fn a_slow_answer_is_waited_for_and_counts() {
    // etcd hangs: every 500 takes 4 s.
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Kind::Ready),
        _ => (4000, Kind::Overloaded),
    });
    play.until(999);
    assert_eq!(
        play.until(5300),
        [
            "1000 kept",
            "1105 fresh",
            "1205 fresh",
            "1305 fresh",
            "5000 observed overloaded",
            "5105 observed overloaded",
            "5205 observed overloaded, clear, 1 called off",
            "5205 kept",
        ]
    );
}

#[test]
fn a_ready_answer_that_came_late_ends_the_suspicion() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        1000 => (150, Kind::Ready),
        1105 => (500, Kind::Refused),
        _ => (5, Kind::Ready),
    });
    play.until(999);
    assert_eq!(play.until(1500), ["1000 kept", "1105 fresh", "1150 observed ready, clear, 1 called off"]);
}

#[test]
fn one_failure_between_ready_answers_is_confirmed_away() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        1000 => (5, Kind::Refused),
        _ => (5, Kind::Ready),
    });
    play.until(999);
    assert_eq!(
        play.until(2300),
        [
            "1000 kept",
            "1005 observed refused",
            "1012 fresh",
            "1017 observed ready, clear",
            "2000 kept",
            "2005 observed ready, clear"
        ]
    );
}

#[test]
fn a_target_comes_back_at_the_interval() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Kind::Refused),
        _ => (5, Kind::Ready),
    });
    play.until(999);
    assert_eq!(
        play.until(2300),
        ["1000 kept", "1005 observed ready, clear", "2000 kept", "2005 observed ready, clear"]
    );
    // Ready again: from here on a failure is confirmed again.
    assert_eq!(play.schedule.verdict.grade(), Grade::Ready);
}

/// Ready for a second, then live with answers that take so long.
fn live(takes: u64) -> impl Fn(u64, bool) -> (u64, Kind) {
    move |at, _| match at {
        0..1000 => (5, Kind::Ready),
        _ => (takes, Kind::Overloaded),
    }
}

/// Like another one until a time, and from then on without a word: packets go nowhere (`connects` false), or only a TCP
/// stack is left. Answers under way then do not come either.
fn falls_silent(
    at: u64,
    connects: bool,
    before: impl Fn(u64, bool) -> (u64, Kind),
) -> impl Fn(u64, bool) -> (u64, Kind) {
    move |start, fresh| match before(start, fresh) {
        answer if start + answer.0 <= at => answer,
        _ if start > at && fresh && !connects => (1000, Kind::ConnectTimeout),
        _ => (5000, Kind::AnswerTimeout),
    }
}

/// Answers each probe in `takes`, until it is stopped from `at` until `goes_on`, or for good: then it accepts and says nothing.
fn stopped(takes: u64, at: u64, goes_on: u64) -> Play<impl Fn(u64, bool) -> (u64, Kind)> {
    let mut play = Play::new(pacing(), 0, move |start, fresh| match start {
        _ if start + takes <= at || start >= goes_on => (takes, Kind::Ready),
        _ if start > at && fresh => (1000, Kind::TlsStall),
        _ if goes_on - start < 5000 => (goes_on - start, Kind::Ready),
        _ => (5000, Kind::AnswerTimeout),
    });
    play.goes_on = goes_on;
    play
}

#[test]
fn a_hung_target_is_down_when_its_answer_is_late_and_no_handshake_has_ended_since() {
    let mut play = stopped(5, 1500, u64::MAX);
    play.until(1500);
    assert_eq!(
        play.until(5900),
        [
            "2000 kept",
            "2105 fresh",
            "2205 fresh",
            "2305 fresh",
            "4005 observed tlsStall",
            "4005 observed tlsStall",
            "4005 observed tlsStall, clear, 1 called off",
            "4005 kept",
        ]
    );
}

#[test]
fn a_hung_target_is_down_as_soon_if_the_probe_of_the_interval_is_fresh() {
    let mut play = stopped(5, 3500, u64::MAX);
    play.until(3500);
    assert_eq!(play.until(6004), ["4000 fresh", "4105 fresh", "4205 fresh", "4305 fresh", "5000 observed tlsStall"]);
    assert_eq!(play.until(6005)[..2], ["6005 observed tlsStall", "6005 observed tlsStall, clear, 1 called off"]);
}

#[test]
fn a_target_that_was_never_up_needs_no_patience() {
    let mut play = Play::new(pacing(), 0, |_, _| (1000, Kind::TlsStall));
    play.until(1200);
    assert_eq!(play.schedule.verdict.grade(), Grade::Down);
}

#[test]
fn a_failure_of_another_kind_just_before_a_stop_shortens_no_handshake() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..2000 => (5, Kind::Ready),
        2000 => (5, Kind::Refused),
        _ => (1000, Kind::TlsStall),
    });
    play.goes_on = 3900;
    play.until(3990);
    assert_eq!(play.schedule.verdict.grade(), Grade::Ready);
}

#[test]
fn long_pauses_between_confirmations_put_the_end_off() {
    let mut play = Play::new(Pacing { confirm_interval: ms(600), ..pacing() }, 0, |at, _| match at {
        0..2000 => (5, Kind::Ready),
        2000 => (5000, Kind::AnswerTimeout),
        _ => (1000, Kind::TlsStall),
    });
    play.until(2000 + 5 + 3 * 600 + 999);
    assert_eq!(play.schedule.verdict.grade(), Grade::Ready);
    play.until(2000 + 5 + 3 * 600 + 1000);
    assert_eq!(play.schedule.verdict.grade(), Grade::Down);
}

#[test]
fn a_live_target_that_falls_silent_is_confirmed_like_a_ready_one() {
    let mut play = Play::new(pacing(), 0, falls_silent(4500, false, live(5)));
    play.until(4500);
    assert_eq!(
        play.until(6999),
        [
            "5000 kept",
            "5105 fresh",
            "5205 fresh",
            "5305 fresh",
            "6105 observed connectTimeout",
            "6205 observed connectTimeout",
            "6305 observed connectTimeout, clear, 1 called off",
            "6305 kept",
        ]
    );
    assert_eq!(play.schedule.verdict.grade(), Grade::Down);
}

#[test]
fn a_live_target_that_refuses_is_confirmed_quickly() {
    let mut play = Play::new(pacing(), 0, |at, fresh| match at {
        0..2000 => live(5)(at, fresh),
        _ => (1, Kind::Refused),
    });
    play.until(1999);
    assert_eq!(
        play.until(3100),
        [
            "2000 kept",
            "2001 observed refused",
            "2012 fresh",
            "2013 observed refused",
            "2024 fresh",
            "2025 observed refused, clear",
            "3000 kept",
            "3001 observed refused, clear",
        ]
    );
}

#[test]
fn a_live_target_gets_better_at_the_interval() {
    let mut play = Play::new(pacing(), 0, |at, fresh| match at {
        0..2000 => live(5)(at, fresh),
        _ => ready(at, fresh),
    });
    play.until(1999);
    assert_eq!(
        play.until(3900),
        ["2000 kept", "2005 observed ready, clear", "3000 kept", "3005 observed ready, clear"]
    );
    assert_eq!(play.schedule.verdict.grade(), Grade::Ready);
}

#[test]
fn a_target_whose_answers_are_slow_as_a_rule_has_company_only_while_that_is_new() {
    let mut play = Play::new(pacing(), 0, live(600));
    play.until(2000);
    assert_eq!(play.until(3999), ["2600 observed overloaded, clear", "3000 kept", "3600 observed overloaded, clear"]);
    let mut play = Play::new(pacing(), 0, |_, _| (600, Kind::Ready));
    play.until(999);
    assert_eq!(play.until(2500), ["1000 kept", "1600 observed ready, clear", "2000 kept"]);
}

#[test]
fn a_live_target_that_answers_slower_than_the_interval_has_as_many_more_as_would_prove_it_down() {
    let mut play = Play::new(pacing(), 0, live(4000));
    play.until(9205);
    assert_eq!(
        play.until(13205),
        ["10305 fresh", "10405 fresh", "10505 fresh", "13205 observed overloaded, clear, 3 called off", "13205 fresh",]
    );
}

#[test]
fn the_worse_of_two_failures_stays_a_suspicion_after_a_turn_that_both_prove() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Kind::Ready),
        1000 => (5, Kind::Overloaded),
        _ => (1000, Kind::ConnectTimeout),
    });
    play.until(999);
    play.until(2200);
    assert_eq!(play.schedule.verdict.grade(), Grade::Live);
    // What is under way was not called off, and is not waited for.
    play.until(3600);
    assert_eq!(play.schedule.verdict.grade(), Grade::Down);
}

#[test]
fn a_long_interval_puts_off_only_the_second_probe() {
    let mut schedule = Schedule::new(pacing(), Instant::now(), ms(20), ms(500));
    let origin = schedule.next - ms(20);
    let at = |millis| origin + ms(millis);
    let mut probe = |millis| {
        assert_eq!(schedule.due(), Some(at(millis)));
        let start = schedule.start(at(millis));
        schedule.finish(start.id, &Kind::Ready, at(millis + 5), 0.0)
    };
    // The verdict, and then the place in the interval.
    assert!(!probe(20));
    assert!(probe(120));
    assert!(probe(500));
    assert!(probe(1500));
}

#[test]
fn a_place_in_the_interval_that_is_past_is_that_of_the_next() {
    let now = Instant::now();
    let mut schedule = Schedule::new(pacing(), now, ms(10), ms(10));
    let start = schedule.start(now + ms(10));
    assert!(schedule.finish(start.id, &Kind::ShuttingDown, now + ms(15), 0.0));
    assert_eq!(schedule.due(), Some(now + ms(1010)));
}

#[test]
fn a_decisive_finding_is_clear_at_once() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Kind::Ready),
        _ => (5, Kind::ShuttingDown),
    });
    play.until(999);
    assert_eq!(play.until(1999), ["1000 kept", "1005 observed shuttingDown, clear"]);
}

#[test]
fn a_local_error_proves_nothing_and_hurries_no_probe() {
    let mut play = Play::new(pacing(), 0, |_, _| (1, local_error()));
    let log = play.until(2500);
    assert_eq!(
        log,
        [
            "0 fresh",
            "1 observed localError",
            "1000 fresh",
            "1001 observed localError",
            "2000 fresh",
            "2001 observed localError"
        ]
    );
    assert_eq!(play.schedule.verdict.grade(), Grade::Unknown);
}

#[test]
fn the_end_of_the_kept_connection_brings_one_probe_forward_an_interval() {
    let mut play = Play::new(pacing(), 0, ready);
    play.until(1300);
    play.kept_has_ended();
    assert_eq!(play.until(1310), ["1300 kept", "1305 observed ready, clear"]);
    // A target that ends every connection after its answer is not probed without a pause.
    play.kept_has_ended();
    assert_eq!(play.until(2310), ["2300 kept", "2305 observed ready, clear"]);
    play.kept_has_ended();
    assert_eq!(play.until(2320), ["2310 fresh", "2315 observed ready, clear"]);
}

#[test]
fn with_a_threshold_of_one_nothing_is_confirmed() {
    let thresholds = Thresholds { rise: NonZeroU32::MIN, fall: NonZeroU32::MIN };
    let mut play = Play::new(Pacing { thresholds, ..pacing() }, 0, |at, _| match at {
        0..1000 => (5, Kind::Ready),
        _ => (5, Kind::Refused),
    });
    let log = play.until(1500);
    assert_eq!(log, ["0 fresh", "5 observed ready, clear", "1000 kept", "1005 observed refused, clear"]);
}

#[test]
fn what_was_called_off_is_no_finding() {
    let now = Instant::now();
    let mut schedule = Schedule::new(pacing(), now, Duration::ZERO, Duration::ZERO);
    let first = schedule.start(now);
    let second = schedule.start(now);
    assert!(schedule.finish(first.id, &Kind::ShuttingDown, now, 0.0));
    assert!(!schedule.finish(second.id, &Kind::Ready, now, 0.0));
    assert_eq!(schedule.verdict.grade(), Grade::Live);
}

proptest::proptest! {
    #[test]
    fn whatever_a_target_does_probes_go_on_and_never_pile_up(
        outcomes in proptest::collection::vec((1_u64..6000, 0_u8..8), 1..60),
    ) {
        let finding = |kind| match kind {
            0..4 => Kind::Ready,
            4..6 => Kind::Refused,
            6 => Kind::ShuttingDown,
            _ => local_error(),
        };
        let count = std::cell::Cell::new(0);
        let mut play = Play::new(pacing(), 0, |_, _| {
            let (takes, kind) = outcomes[count.get() % outcomes.len()];
            count.set(count.get() + 1);
            (takes, finding(kind))
        });
        for step in 1..=1000 {
            play.until(step * 20);
            // One that the interval started, and at most `fall` that confirm.
            proptest::prop_assert!(play.under_way.len() <= 4);
            proptest::prop_assert!(play.schedule.due().is_some() || !play.under_way.is_empty());
        }
        // The slowest probe takes 6 s, so in 20 s there are several.
        proptest::prop_assert!(count.get() >= 3);
    }

    #[test]
    fn a_stuck_target_is_down_in_the_promised_time_however_slowly_it_answered(
        answers in proptest::collection::vec(1_u64..4500, 1..20),
        is_live in proptest::bool::ANY,
        end in 20_000_u64..30_000,
    ) {
        let count = std::cell::Cell::new(0);
        let kind = if is_live { Kind::Overloaded } else { Kind::Ready };
        let before = |_, _| {
            count.set(count.get() + 1);
            (answers[count.get() % answers.len()], kind.clone())
        };
        let mut play = Play::new(pacing(), 0, falls_silent(end, true, before));
        play.until(end);
        proptest::prop_assert_eq!(Some(play.schedule.verdict.grade()), kind.grade());
        play.until(end + 1000 + 3 * 100 + 5000);
        proptest::prop_assert_eq!(play.schedule.verdict.grade(), Grade::Down);
    }

    #[test]
    fn a_hung_target_is_down_in_the_promised_time_and_not_before_two_seconds(
        takes in 1_u64..1000,
        at in 20_000_u64..30_000,
    ) {
        let mut play = stopped(takes, at, u64::MAX);
        play.until(at + 2000 - 1);
        proptest::prop_assert_eq!(play.schedule.verdict.grade(), Grade::Ready);
        play.until(at + 3000);
        proptest::prop_assert_eq!(play.schedule.verdict.grade(), Grade::Down);
    }

    #[test]
    fn a_stop_of_less_than_two_seconds_takes_no_target_out(
        takes in 1_u64..1000,
        at in 20_000_u64..30_000,
        lasts in 1_u64..2000,
    ) {
        let mut play = stopped(takes, at, at + lasts);
        for now in (at..at + 6000).step_by(10) {
            play.until(now);
            proptest::prop_assert_eq!(play.schedule.verdict.grade(), Grade::Ready);
        }
    }

    #[test]
    fn a_silent_target_is_down_in_the_promised_time_if_no_confirmation_was_under_way(
        takes in 1_u64..1100,
        is_live in proptest::bool::ANY,
        end in 20_000_u64..30_000,
    ) {
        let kind = if is_live { Kind::Overloaded } else { Kind::Ready };
        let mut play = Play::new(pacing(), 0, falls_silent(end, false, |_, _| (takes, kind.clone())));
        play.until(end);
        proptest::prop_assert_eq!(Some(play.schedule.verdict.grade()), kind.grade());
        play.until(end + 1000 + 3 * 100 + 1000);
        proptest::prop_assert_eq!(play.schedule.verdict.grade(), Grade::Down);
    }
}
