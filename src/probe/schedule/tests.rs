//! The schedule played against targets in made-up time.

use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Interval 1 s, confirm interval 100 ms, one in 4 fresh, rise 2, fall 3.
fn pacing() -> Pacing {
    let count = |n| NonZeroU32::new(n).unwrap();
    Pacing {
        interval: ms(1000),
        confirm_interval: ms(100),
        fresh_every: count(4),
        thresholds: Thresholds { rise: count(2), fall: count(3) },
    }
}

/// A schedule, the probes under way with their ends, and what happened, in words.
struct Play<T> {
    schedule: Schedule,
    origin: Instant,
    now: u64,
    under_way: Vec<(u64, u64, Finding)>,
    target: T,
    log: Vec<String>,
}

/// `target` says of a probe started at a time, fresh or not, how long it takes and what it finds.
impl<T: Fn(u64, bool) -> (u64, Finding)> Play<T> {
    fn new(pacing: Pacing, first: u64, target: T) -> Self {
        let origin = Instant::now();
        let schedule = Schedule::new(pacing, origin, ms(first));
        Self { schedule, origin, now: 0, under_way: Vec::new(), target, log: Vec::new() }
    }

    /// Plays up to and including `end`, and tells what happened since the last time.
    fn until(&mut self, end: u64) -> Vec<String> {
        loop {
            let result = self.under_way.iter().map(|&(at, ..)| at).min();
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
        let (takes, finding) = (self.target)(at, start.fresh);
        self.under_way.push((at + takes, start.id, finding));
        self.log.push(format!("{at} {}", if start.fresh { "fresh" } else { "kept" }));
    }

    fn finish(&mut self, at: u64) {
        self.now = at;
        let first = (0..self.under_way.len()).min_by_key(|&i| self.under_way[i].0).unwrap();
        let (_, id, finding) = self.under_way.remove(first);
        let clear = self.schedule.finish(id, finding);
        let called_off = if clear { std::mem::take(&mut self.under_way).len() } else { 0 };
        self.log.push(match (clear, called_off) {
            (false, _) => format!("{at} found {finding:?}"),
            (true, 0) => format!("{at} found {finding:?}, clear"),
            (true, _) => format!("{at} found {finding:?}, clear, {called_off} called off"),
        });
    }

    fn kept_has_ended(&mut self) {
        self.schedule.kept_has_ended(self.origin + ms(self.now));
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.origin).as_millis()).unwrap()
    }
}

fn ready(_: u64, _: bool) -> (u64, Finding) {
    (5, Finding::Ready)
}

#[test]
fn at_the_start_probes_hurry_until_the_verdict_is_clear_and_then_keep_the_interval() {
    let mut play = Play::new(pacing(), 250, ready);
    assert_eq!(play.until(400), ["250 fresh", "255 found Ready", "350 fresh", "355 found Ready, clear"]);
    assert_eq!(play.until(2400), ["1350 kept", "1355 found Ready, clear", "2350 kept", "2355 found Ready, clear"]);
}

#[test]
fn one_probe_in_so_many_is_fresh() {
    let mut play = Play::new(pacing(), 0, ready);
    play.until(900);
    let starts = |log: Vec<String>| log.into_iter().filter(|line| !line.contains("found")).collect::<Vec<_>>();
    assert_eq!(starts(play.until(5200)), ["1100 kept", "2100 kept", "3100 kept", "4100 fresh", "5100 kept"]);
}

#[test]
fn targets_spread_over_the_interval_spread_their_fresh_connections_over_the_round() {
    let phases = |offsets: [u64; 4]| offsets.map(|offset| pacing().phase(ms(offset)));
    assert_eq!(phases([0, 250, 500, 750]), [0, 1, 2, 3]);
    assert_eq!(phases([249, 999, 1000, 5250]), [0, 3, 0, 1]);
    let starts = |log: Vec<String>| log.into_iter().filter(|line| !line.contains("found")).collect::<Vec<_>>();
    let mut play = Play::new(pacing(), 500, ready);
    play.until(1000);
    assert_eq!(starts(play.until(4000)), ["1600 kept", "2600 fresh", "3600 kept"]);
}

#[test]
fn with_one_in_one_every_probe_is_fresh() {
    let mut play = Play::new(Pacing { fresh_every: NonZeroU32::MIN, ..pacing() }, 0, ready);
    assert!(play.until(5000).iter().all(|line| !line.contains("kept")));
}

#[test]
fn a_target_that_refuses_is_confirmed_quickly_and_then_left_at_the_interval() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Finding::Ready),
        _ => (1, Finding::Failing),
    });
    play.until(999);
    assert_eq!(
        play.until(3400),
        [
            "1100 kept",
            "1101 found Failing",
            "1200 fresh",
            "1201 found Failing",
            "1300 fresh",
            "1301 found Failing, clear",
            "2300 kept",
            "2301 found Failing, clear",
            "3300 kept",
            "3301 found Failing, clear",
        ]
    );
}

#[test]
fn a_silent_target_costs_about_one_time_out_and_no_more_probes_than_prove_it() {
    // The kept request is silent for the time-out of a probe, a fresh one for that of a connection.
    let mut play = Play::new(pacing(), 0, |at, fresh| match (at, fresh) {
        (0..1000, _) => (5, Finding::Ready),
        (_, false) => (5000, Finding::Failing),
        (_, true) => (1000, Finding::Failing),
    });
    play.until(999);
    assert_eq!(
        play.until(2450),
        [
            "1100 kept",
            "1200 fresh",
            "1300 fresh",
            "1400 fresh",
            "2200 found Failing",
            "2300 found Failing",
            "2400 found Failing, clear, 1 called off",
            "2400 kept",
        ]
    );
}

#[test]
fn a_settled_silent_target_has_one_probe_at_a_time() {
    let mut play = Play::new(pacing(), 0, |_, _| (1500, Finding::Failing));
    assert_eq!(play.until(1699), ["0 fresh", "100 fresh", "200 fresh", "1500 found Failing", "1600 found Failing"]);
    // One ends later than the next is due: that one starts at once, and none is made up for.
    assert_eq!(
        play.until(5000),
        [
            "1700 found Failing, clear",
            "1700 kept",
            "3200 found Failing, clear",
            "3200 kept",
            "4700 found Failing, clear",
            "4700 kept",
        ]
    );
}

#[test]
fn a_slow_answer_is_waited_for_and_counts() {
    // etcd hangs: every 500 takes 4 s.
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Finding::Ready),
        _ => (4000, Finding::Failing),
    });
    play.until(999);
    assert_eq!(
        play.until(5300),
        [
            "1100 kept",
            "1200 fresh",
            "1300 fresh",
            "1400 fresh",
            "5100 found Failing",
            "5200 found Failing",
            "5300 found Failing, clear, 1 called off",
            "5300 kept",
        ]
    );
}

#[test]
fn a_ready_answer_that_came_late_ends_the_suspicion() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        1100 => (150, Finding::Ready),
        1200 => (500, Finding::Failing),
        _ => (5, Finding::Ready),
    });
    play.until(1000);
    assert_eq!(play.until(1500), ["1100 kept", "1200 fresh", "1250 found Ready, clear, 1 called off"]);
}

#[test]
fn one_failure_between_ready_answers_is_confirmed_away() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        1100 => (5, Finding::Failing),
        _ => (5, Finding::Ready),
    });
    play.until(1000);
    assert_eq!(
        play.until(2300),
        [
            "1100 kept",
            "1105 found Failing",
            "1200 fresh",
            "1205 found Ready, clear",
            "2200 kept",
            "2205 found Ready, clear"
        ]
    );
}

#[test]
fn a_target_comes_back_at_the_interval() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Finding::Failing),
        _ => (5, Finding::Ready),
    });
    play.until(999);
    assert_eq!(play.until(2300), ["1200 kept", "1205 found Ready, clear", "2200 kept", "2205 found Ready, clear"]);
    // Ready again: from here on a failure is confirmed again.
    assert_eq!(play.schedule.verdict, Verdict::Ready);
}

#[test]
fn a_decisive_finding_is_clear_at_once() {
    let mut play = Play::new(pacing(), 0, |at, _| match at {
        0..1000 => (5, Finding::Ready),
        _ => (5, Finding::Decisive),
    });
    play.until(999);
    assert_eq!(play.until(2000), ["1100 kept", "1105 found Decisive, clear"]);
}

#[test]
fn a_fault_of_this_host_says_nothing_and_is_not_met_with_haste() {
    let mut play = Play::new(pacing(), 0, |_, _| (1, Finding::Nothing));
    let log = play.until(2500);
    assert_eq!(
        log,
        ["0 fresh", "1 found Nothing", "1000 fresh", "1001 found Nothing", "2000 fresh", "2001 found Nothing"]
    );
    assert_eq!(play.schedule.verdict, Verdict::Unjudged);
}

#[test]
fn the_end_of_the_kept_connection_brings_one_probe_forward_an_interval() {
    let mut play = Play::new(pacing(), 0, ready);
    play.until(1300);
    play.kept_has_ended();
    assert_eq!(play.until(1310), ["1300 kept", "1305 found Ready, clear"]);
    // A target that ends every connection after its answer is not probed without a pause.
    play.kept_has_ended();
    assert_eq!(play.until(2310), ["2300 kept", "2305 found Ready, clear"]);
    play.kept_has_ended();
    assert_eq!(play.until(2320), ["2310 fresh", "2315 found Ready, clear"]);
}

#[test]
fn with_a_threshold_of_one_nothing_is_confirmed() {
    let thresholds = Thresholds { rise: NonZeroU32::MIN, fall: NonZeroU32::MIN };
    let mut play = Play::new(Pacing { thresholds, ..pacing() }, 0, |at, _| match at {
        0..1000 => (5, Finding::Ready),
        _ => (5, Finding::Failing),
    });
    let log = play.until(1500);
    assert_eq!(log, ["0 fresh", "5 found Ready, clear", "1000 kept", "1005 found Failing, clear"]);
}

#[test]
fn what_was_called_off_is_no_finding() {
    let mut schedule = Schedule::new(pacing(), Instant::now(), Duration::ZERO);
    let now = Instant::now();
    let first = schedule.start(now);
    let second = schedule.start(now);
    assert!(schedule.finish(first.id, Finding::Decisive));
    assert!(!schedule.finish(second.id, Finding::Ready));
    assert_eq!(schedule.verdict, Verdict::Failing);
}

proptest::proptest! {
    #[test]
    fn whatever_a_target_does_probes_go_on_and_never_pile_up(
        outcomes in proptest::collection::vec((1_u64..6000, 0_u8..8), 1..60),
    ) {
        let finding = |kind| match kind {
            0..4 => Finding::Ready,
            4..6 => Finding::Failing,
            6 => Finding::Decisive,
            _ => Finding::Nothing,
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
}
