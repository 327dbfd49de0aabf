use std::num::NonZeroU32;

use super::*;

const THRESHOLDS: Thresholds = Thresholds { rise: NonZeroU32::new(2).unwrap(), fall: NonZeroU32::new(3).unwrap() };
const TIMING: ProbeTiming = ProbeTiming {
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
fn a_target_begins_unknown_and_changes_by_the_thresholds() {
    assert_eq!(after(&[]).grade(), Grade::Unknown);
    assert_eq!(after(&[Kind::Ready]).grade(), Grade::Unknown);
    assert_eq!(after(&[Kind::Ready, Kind::Ready]).grade(), Grade::Ready);
    assert_eq!(after(&[Kind::Refused, Kind::Refused]).grade(), Grade::Unknown);
    assert_eq!(after(&[Kind::Refused, Kind::Refused, Kind::Refused]).grade(), Grade::Down);
}

#[test]
fn a_mixed_rise_ends_at_its_worst_grade_and_a_mixed_fall_at_its_best() {
    let down = [Kind::Refused, Kind::Refused, Kind::Refused];
    let rising = [&down[..], &[Kind::Starting, Kind::Ready]].concat();
    assert_eq!(after(&rising).grade(), Grade::Live);
    let falling = [Kind::Ready, Kind::Ready, Kind::Refused, Kind::Overloaded, Kind::Refused];
    assert_eq!(after(&falling).grade(), Grade::Live);
}

#[test]
fn an_observation_of_the_present_grade_ends_a_streak() {
    let mut health = after(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused]);
    assert!(health.thresholded.streak().is_some());
    health.observe(&Kind::Ready, THRESHOLDS, at(1_001));
    assert!(health.thresholded.streak().is_none());
}

#[test]
fn a_shutdown_acts_at_once_and_never_for_the_better() {
    assert_eq!(after(&[Kind::Ready, Kind::Ready, Kind::ShuttingDown]).grade(), Grade::Live);
    assert_eq!(after(&[Kind::ShuttingDown]).grade(), Grade::Live, "also from unknown");
    assert_eq!(after(&[Kind::Refused, Kind::Refused, Kind::Refused, Kind::ShuttingDown]).grade(), Grade::Down);
}

#[test]
fn a_local_error_is_no_observation() {
    let local_error = Kind::LocalError { detail: String::new() };
    let health = after(&[Kind::Ready, Kind::Ready, Kind::Refused, local_error.clone(), local_error]);
    let without = after(&[Kind::Ready, Kind::Ready, Kind::Refused]);
    assert_eq!((health.memory(), health.vote()), (without.memory(), without.vote()));
}

#[test]
fn an_unobservable_target_has_no_vote_until_it_is_observed_again() {
    let local_error = Kind::LocalError { detail: String::new() };
    let mut health = after(&[Kind::Ready, Kind::Ready, local_error.clone(), local_error.clone()]);
    assert_eq!((health.vote().grade, health.is_unobservable()), (Grade::Ready, false));
    assert!(health.observe(&local_error, THRESHOLDS, at(1_010)), "the third in a row is a change");
    assert!(!health.observe(&local_error, THRESHOLDS, at(1_011)));
    assert_eq!((health.vote().grade, health.grade()), (Grade::Unknown, Grade::Ready));
    assert!(health.observe(&Kind::Ready, THRESHOLDS, at(1_012)), "so is the next observation");
    assert_eq!((health.vote().grade, health.is_unobservable()), (Grade::Ready, false));
}

#[test]
fn an_observation_like_the_last_one_changes_nothing() {
    let mut health = after(&[Kind::Ready, Kind::Ready]);
    assert!(!health.observe(&Kind::Ready, THRESHOLDS, at(1_002)));
    assert!(health.observe(&Kind::Refused, THRESHOLDS, at(1_003)));
}

#[test]
fn the_earliest_transition_is_the_interval_times_the_missing_observations_after_the_next() {
    let earliest = |kinds: &[Kind]| after(kinds).earliest_transition(THRESHOLDS, TIMING);
    assert_eq!(earliest(&[Kind::Ready, Kind::Ready]), None);
    assert_eq!(earliest(&[Kind::Ready, Kind::Ready, Kind::Refused]), Some(Duration::from_millis(100)));
    assert_eq!(earliest(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused]), Some(Duration::ZERO));
    let rising = [Kind::Refused, Kind::Refused, Kind::Refused, Kind::Ready];
    assert_eq!(earliest(&rising), Some(Duration::ZERO));
}

#[test]
fn the_not_ready_reason_has_the_last_observation() {
    let reason = |kinds: &[Kind]| after(kinds).not_ready_reason().to_string();
    assert_eq!(reason(&[]), "no verdict yet");
    assert_eq!(reason(&[Kind::Refused]), "no verdict yet: connection refused: nothing listens on the port");
    let etcd = Kind::NotReady { failing: vec!["etcd".to_owned()] };
    assert_eq!(
        reason(&[etcd.clone(), etcd.clone(), etcd]),
        "not ready since 1970-01-01T00:16:40Z: 500: failing checks: etcd"
    );
}

#[test]
fn a_wait_that_a_clock_ahead_set_is_cut_to_the_maximum() {
    let mut health = after(&[Kind::Ready, Kind::Ready]);
    let flap = [Kind::Refused, Kind::Refused, Kind::Refused, Kind::Ready, Kind::Ready];
    for kind in [&flap[..], &flap[..]].concat() {
        health.observe(&kind, THRESHOLDS, at(9_000_000));
    }
    assert_eq!(health.flapping(), Some(at(9_000_010)));
    let restored = Health::restored(health.memory(), at(2_000));
    assert_eq!(restored.flapping(), Some(at(2_300)));
}

fn restarted(health: &Health) -> Health {
    let json = serde_json::to_string(&health.memory()).unwrap();
    Health::restored(serde_json::from_str(&json).unwrap(), at(2_000))
}

#[test]
fn a_streak_continues_over_a_restart_and_needs_one_observation_more() {
    let mut health = restarted(&after(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused]));
    assert_eq!(health.earliest_transition(THRESHOLDS, TIMING), Some(Duration::from_millis(100)));
    health.observe(&Kind::Refused, THRESHOLDS, at(2_001));
    assert_eq!(health.grade(), Grade::Ready, "the first one after a restart is not enough");
    health.observe(&Kind::Refused, THRESHOLDS, at(2_002));
    assert_eq!(health.grade(), Grade::Down, "and the earlier observations count");
}

#[test]
fn a_restored_streak_ends_like_any_other() {
    let mut health = restarted(&after(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused]));
    for kind in [Kind::Ready, Kind::Refused, Kind::Refused] {
        health.observe(&kind, THRESHOLDS, at(2_001));
    }
    assert_eq!(health.grade(), Grade::Ready);
    health.observe(&Kind::Refused, THRESHOLDS, at(2_002));
    assert_eq!(health.grade(), Grade::Down, "the next streak needs no more than any");
}

#[test]
fn one_failure_in_each_run_of_daymark_proves_a_fall_in_the_end() {
    let mut health = after(&[Kind::Ready, Kind::Ready]);
    let grades = (0..4).map(|_| {
        health = restarted(&health);
        health.observe(&Kind::Refused, THRESHOLDS, at(2_001));
        health.grade()
    });
    assert_eq!(grades.collect::<Vec<_>>(), [Grade::Ready, Grade::Ready, Grade::Ready, Grade::Down]);
}

#[test]
fn a_memory_without_a_streak_is_restored() {
    let health = after(&[Kind::Ready, Kind::Ready, Kind::Refused]);
    let mut json = serde_json::to_value(health.memory()).unwrap();
    assert!(json.as_object_mut().unwrap().remove("streak").is_some());
    let restored = Health::restored(serde_json::from_value(json).unwrap(), at(2_000));
    assert_eq!((restored.grade(), restored.thresholded.streak().is_some()), (Grade::Ready, false));
}

#[test]
fn a_target_is_settled_once_it_has_a_grade_and_no_transition_is_under_way() {
    let is_settled = |kinds: &[Kind]| after(kinds).is_settled();
    assert!(!is_settled(&[]));
    assert!(!is_settled(&[Kind::Ready]));
    assert!(is_settled(&[Kind::Ready, Kind::Ready]));
    assert!(!is_settled(&[Kind::Ready, Kind::Ready, Kind::Refused]));
    assert!(is_settled(&[Kind::Ready, Kind::Ready, Kind::Refused, Kind::Refused, Kind::Refused]));
    assert!(is_settled(&[Kind::ShuttingDown]));
}

#[test]
fn a_restored_grade_is_settled_only_after_an_observation() {
    let mut health = restarted(&after(&[Kind::Ready, Kind::Ready]));
    assert!(!health.is_current() && !health.is_settled());
    assert!(!health.observe(&Kind::LocalError { detail: String::new() }, THRESHOLDS, at(2_001)));
    assert!(!health.is_current(), "a local error proves nothing");
    assert!(health.observe(&Kind::Ready, THRESHOLDS, at(2_001)), "the first observation is a change");
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

#[test]
fn a_vote_is_restored_until_an_observation_equals_the_grade_or_changes_it() {
    let ready = after(&[Kind::Ready, Kind::Ready]);
    assert!(!ready.vote().is_restored);
    let mut health = restarted(&ready);
    assert!(health.vote().is_restored);
    health.observe(&Kind::Refused, THRESHOLDS, at(2_001));
    health.observe(&Kind::Refused, THRESHOLDS, at(2_001));
    assert!(health.vote().is_restored, "two failures of three prove neither grade");
    health.observe(&Kind::Refused, THRESHOLDS, at(2_001));
    assert_eq!((health.vote().grade, health.vote().is_restored), (Grade::Down, false));
    let mut health = restarted(&ready);
    health.observe(&Kind::Ready, THRESHOLDS, at(2_001));
    health.observe(&Kind::Refused, THRESHOLDS, at(2_001));
    assert!(!health.vote().is_restored, "once confirmed, a vote counts through every streak");
}
