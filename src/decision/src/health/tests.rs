use std::num::NonZeroU32;

use super::*;

const THRESHOLDS: Thresholds = Thresholds { rise: NonZeroU32::new(2).unwrap(), fall: NonZeroU32::new(3).unwrap() };
const PACE: Pace = Pace {
    interval: Duration::from_secs(1),
    confirm_interval: Duration::from_millis(100),
    detection: Duration::from_secs(3),
};

fn at(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}

fn after(kinds: &[Kind]) -> Health {
    let mut health = Health::default();
    for kind in kinds {
        health.observe(kind, THRESHOLDS, at(1_000));
    }
    health
}

#[test]
fn a_target_begins_unknown_and_is_judged_by_the_thresholds() {
    assert_eq!(after(&[]).grade(), Grade::Unknown);
    assert_eq!(after(&[Kind::Ready]).grade(), Grade::Unknown);
    assert_eq!(after(&[Kind::Ready, Kind::Ready]).grade(), Grade::Ready);
    assert_eq!(after(&[Kind::Refused, Kind::Refused]).grade(), Grade::Unknown);
    assert_eq!(after(&[Kind::Refused, Kind::Refused, Kind::Refused]).grade(), Grade::Down);
}

#[test]
fn a_mixed_rise_turns_to_the_worst_of_it_and_a_mixed_fall_to_the_best() {
    let down = [Kind::Refused, Kind::Refused, Kind::Refused];
    let rising = [&down[..], &[Kind::Starting, Kind::Ready]].concat();
    assert_eq!(after(&rising).grade(), Grade::Live);
    let falling = [Kind::Ready, Kind::Ready, Kind::Refused, Kind::Overloaded, Kind::Refused];
    assert_eq!(after(&falling).grade(), Grade::Live);
}

#[test]
fn an_observation_of_the_present_grade_ends_a_run() {
    let mut health = after(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused]);
    assert!(health.is_turning());
    health.observe(&Kind::Ready, THRESHOLDS, at(1_001));
    assert!(!health.is_turning());
}

#[test]
fn a_shutdown_acts_at_once_and_never_for_the_better() {
    assert_eq!(after(&[Kind::Ready, Kind::Ready, Kind::ShuttingDown]).grade(), Grade::Live);
    assert_eq!(after(&[Kind::ShuttingDown]).grade(), Grade::Live, "also where nothing was known");
    assert_eq!(after(&[Kind::Refused, Kind::Refused, Kind::Refused, Kind::ShuttingDown]).grade(), Grade::Down);
}

#[test]
fn a_fault_of_our_own_neither_counts_nor_shows() {
    let own = Kind::OwnFault { detail: String::new() };
    let health = after(&[Kind::Ready, Kind::Ready, Kind::Refused, own.clone(), own]);
    let without = after(&[Kind::Ready, Kind::Ready, Kind::Refused]);
    assert_eq!((health.memory(), health.vote()), (without.memory(), without.vote()));
}

#[test]
fn a_target_out_of_sight_has_no_vote_until_it_is_seen_again() {
    let own = Kind::OwnFault { detail: String::new() };
    let mut health = after(&[Kind::Ready, Kind::Ready, own.clone(), own.clone()]);
    assert_eq!((health.vote().grade, health.is_out_of_sight()), (Grade::Ready, false));
    assert!(health.observe(&own, THRESHOLDS, at(1_010)), "the third in a row is news");
    assert!(!health.observe(&own, THRESHOLDS, at(1_011)));
    assert_eq!((health.vote().grade, health.grade()), (Grade::Unknown, Grade::Ready));
    assert!(health.observe(&Kind::Ready, THRESHOLDS, at(1_012)), "so is that it is seen again");
    assert_eq!((health.vote().grade, health.is_out_of_sight()), (Grade::Ready, false));
}

#[test]
fn an_observation_that_tells_nothing_new_says_so() {
    let mut health = after(&[Kind::Ready, Kind::Ready]);
    assert!(!health.observe(&Kind::Ready, THRESHOLDS, at(1_002)));
    assert!(health.observe(&Kind::Refused, THRESHOLDS, at(1_003)));
}

#[test]
fn the_earliest_turn_is_the_pace_times_what_is_missing_after_the_next() {
    let earliest = |kinds: &[Kind]| after(kinds).earliest_turn(THRESHOLDS, PACE);
    assert_eq!(earliest(&[Kind::Ready, Kind::Ready]), None);
    assert_eq!(earliest(&[Kind::Ready, Kind::Ready, Kind::Refused]), Some(Duration::from_millis(100)));
    assert_eq!(earliest(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused]), Some(Duration::ZERO));
    let rising = [Kind::Refused, Kind::Refused, Kind::Refused, Kind::Ready];
    assert_eq!(earliest(&rising), Some(Duration::ZERO));
}

#[test]
fn what_a_target_lacks_is_told_with_what_was_seen_last() {
    let lack = |kinds: &[Kind]| after(kinds).lack().to_string();
    assert_eq!(lack(&[]), "no verdict yet");
    assert_eq!(lack(&[Kind::Refused]), "no verdict yet: connection refused: nothing listens on the port");
    let etcd = Kind::NotReady { failing: vec!["etcd".to_owned()] };
    assert_eq!(
        lack(&[etcd.clone(), etcd.clone(), etcd]),
        "not ready since 1970-01-01T00:16:40Z: 500: not ready, failing checks: etcd"
    );
}

#[test]
fn a_wait_that_an_earlier_run_set_by_a_clock_ahead_is_cut_to_the_longest() {
    let mut health = after(&[Kind::Ready, Kind::Ready]);
    let flap = [Kind::Refused, Kind::Refused, Kind::Refused, Kind::Ready, Kind::Ready];
    for kind in [&flap[..], &flap[..]].concat() {
        health.observe(&kind, THRESHOLDS, at(9_000_000));
    }
    assert_eq!(health.flapping(), Some(at(9_000_010)));
    let restored = Health::from_memory(health.memory(), at(2_000));
    assert_eq!(restored.flapping(), Some(at(2_300)));
}

fn restarted(health: &Health) -> Health {
    let json = serde_json::to_string(&health.memory()).unwrap();
    Health::from_memory(serde_json::from_str(&json).unwrap(), at(2_000))
}

#[test]
fn a_run_goes_on_over_a_restart_and_needs_one_more() {
    let doubtful = after(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused]);
    let mut health = restarted(&doubtful);
    assert_eq!(health.earliest_turn(THRESHOLDS, PACE), Some(Duration::from_millis(100)));
    health.observe(&Kind::Refused, THRESHOLDS, at(2_001));
    assert_eq!(health.grade(), Grade::Ready, "the first one after a restart is not enough");
    health.observe(&Kind::Refused, THRESHOLDS, at(2_002));
    assert_eq!(health.grade(), Grade::Down, "and what was seen before is not forgotten");
}

#[test]
fn a_run_that_was_remembered_ends_as_any_other() {
    let mut health = restarted(&after(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused]));
    for kind in [Kind::Ready, Kind::Refused, Kind::Refused] {
        health.observe(&kind, THRESHOLDS, at(2_001));
    }
    assert_eq!(health.grade(), Grade::Ready);
    health.observe(&Kind::Refused, THRESHOLDS, at(2_002));
    assert_eq!(health.grade(), Grade::Down, "the next run needs no more than any");
}

#[test]
fn one_failure_each_time_that_daymark_runs_proves_a_fall_in_the_end() {
    let mut health = after(&[Kind::Ready, Kind::Ready]);
    let grades = (0..4).map(|_| {
        health = restarted(&health);
        health.observe(&Kind::Refused, THRESHOLDS, at(2_001));
        health.grade()
    });
    assert_eq!(grades.collect::<Vec<_>>(), [Grade::Ready, Grade::Ready, Grade::Ready, Grade::Down]);
}

#[test]
fn a_memory_of_an_older_daymark_has_no_run() {
    let health = after(&[Kind::Ready, Kind::Ready, Kind::Refused]);
    let mut json = serde_json::to_value(health.memory()).unwrap();
    assert!(json.as_object_mut().unwrap().remove("run").is_some());
    let restored = Health::from_memory(serde_json::from_value(json).unwrap(), at(2_000));
    assert_eq!((restored.grade(), restored.is_turning()), (Grade::Ready, false));
}

#[test]
fn a_verdict_is_clear_once_there_is_one_and_nothing_is_under_way() {
    let is_settled = |kinds: &[Kind]| after(kinds).is_settled();
    assert!(!is_settled(&[]));
    assert!(!is_settled(&[Kind::Ready]));
    assert!(is_settled(&[Kind::Ready, Kind::Ready]));
    assert!(!is_settled(&[Kind::Ready, Kind::Ready, Kind::Refused]));
    assert!(is_settled(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused, Kind::Refused]));
    assert!(is_settled(&[Kind::ShuttingDown]));
}

#[test]
fn a_verdict_of_an_earlier_run_is_clear_only_when_it_was_looked_at_again() {
    let mut health = restarted(&after(&[Kind::Ready, Kind::Ready]));
    assert!(!health.is_current() && !health.is_settled());
    assert!(!health.observe(&Kind::OwnFault { detail: String::new() }, THRESHOLDS, at(2_001)));
    assert!(!health.is_current(), "a fault of our own judges nothing");
    assert!(health.observe(&Kind::Ready, THRESHOLDS, at(2_001)), "that it was looked at is news");
    assert!(health.is_current() && health.is_settled());
}

#[test]
fn a_target_that_waits_out_its_penalty_is_settled() {
    let mut health = after(&[Kind::Ready, Kind::Ready]);
    let flap = [Kind::Refused, Kind::Refused, Kind::Refused, Kind::Ready, Kind::Ready];
    for kind in [&flap[..], &flap[..]].concat() {
        health.observe(&kind, THRESHOLDS, at(1_001));
    }
    assert!(health.flapping().is_some() && health.is_settled());
    let mut health = restarted(&health);
    health.observe(&Kind::Ready, THRESHOLDS, at(1_002));
    assert!(health.flapping().is_some() && health.is_settled());
}
