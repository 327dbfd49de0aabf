use std::collections::BTreeMap;

use daymark_api::{Observed, PendingOverride};
use daymark_decision::fixtures::{self, host_name, node_name, pool_name};
use daymark_decision::{
    Basis, Family, Kind, Moment, NotReadyReason, Observation, Override, OverrideKind, QuorumState, Reason,
};

use super::*;

fn at(secs: u64) -> Moment {
    Moment::from_millis((1_795_341_600 + secs) * 1000)
}

#[test]
fn a_provider_that_keeps_up_is_one_short_line() {
    let status = ProviderStatus {
        name: "authoritative".to_owned(),
        desired: 7,
        published: Some(7),
        last_success: Some(at(0)),
        ..ProviderStatus::default()
    };
    let expected = "provider authoritative: generation 7, last success 2026-11-22T10:00:00Z\n";
    assert_eq!(provider(&status, at(60)), expected);
}

#[test]
fn a_provider_that_lags_shows_the_time_and_the_reason() {
    let status = ProviderStatus {
        name: "cloudflare".to_owned(),
        desired: 7,
        published: Some(5),
        last_success: Some(at(0)),
        behind_since: Some(at(18)),
        error: Some("the token is not accepted".to_owned()),
        findings: vec!["the fallback pool is disabled".to_owned()],
        ..ProviderStatus::default()
    };
    assert_eq!(
        provider(&status, at(60)),
        "provider cloudflare: generation 5 of 7, behind for 42 s, last success 2026-11-22T10:00:00Z: the token is not \
         accepted\n  finding: the fallback pool is disabled\n"
    );
}

#[test]
fn a_provider_that_hangs_shows_the_start_of_its_attempt() {
    let status = ProviderStatus {
        name: "cloudflare".to_owned(),
        desired: 7,
        behind_since: Some(at(0)),
        attempt_since: Some(at(1)),
        ..ProviderStatus::default()
    };
    assert_eq!(
        provider(&status, at(9)),
        "provider cloudflare: nothing published, generation 7 desired, behind for 9 s: \
         the current attempt began at 2026-11-22T10:00:01Z\n"
    );
    let in_time = ProviderStatus { behind_since: None, published: Some(7), ..status };
    assert_eq!(provider(&in_time, at(9)), "provider cloudflare: generation 7\n", "a drift check is no lag");
}

pub(crate) fn peer_status(host: &str, reachable: bool, grade: Grade) -> PeerStatus {
    PeerStatus {
        host: host_name(host),
        reachable,
        last_contact: Some(Duration::from_millis(if reachable { 240 } else { 42_000 })),
        last_direct_contact: None,
        round_trip: Some(Duration::from_micros(12_400)),
        clock_ahead: Some(jiff::SignedDuration::from_millis(200)),
        abstains: false,
        reachable_hosts: Vec::new(),
        configuration: BTreeMap::new(),
        differs: Vec::new(),
        unsaved_overrides: Vec::new(),
        targets: vec![PeerTarget {
            pool: pool_name("lb.example.org"),
            node: node_name("cp-1"),
            address: [192, 0, 2, 1].into(),
            grade,
            shutting_down: false,
            restored: false,
        }],
    }
}

pub(crate) fn pool_status() -> PoolStatus {
    let reason = Reason::NotReady { cause: NotReadyReason::NoVerdict { observed: None } };
    let target = TargetStatus {
        origin: None,
        node: node_name("cp-1"),
        address: [192, 0, 2, 1].into(),
        grade: Grade::Ready,
        since: Some(Moment::default()),
        answer_status: reason.answer_status(),
        message: reason.to_string(),
        reason,
        observed: None,
        active_override: None,
        votes: Vec::new(),
        reverted: Some("drained by ada; reverted".to_owned()),
    };
    let other = TargetStatus { address: [192, 0, 2, 2].into(), ..target.clone() };
    PoolStatus {
        pending_overrides: Vec::new(),
        discovery: None,
        unsaved_overrides: Vec::new(),
        authorities: Vec::new(),
        credentials: None,
        probe_file_error: None,
        name: pool_name("lb.example.org"),
        addresses: Vec::new(),
        basis: Basis::Ready,
        bases: [(Family::Ipv4, Basis::Ready)].into(),
        ttl_seconds: 5,
        generation: 1,
        targets: vec![target, other],
    }
}

/// A host that reaches dns-2 and not dns-3.
pub(in crate::cli) fn hosts_status() -> HostsStatus {
    HostsStatus {
        own: host_name("dns-1"),
        members: 3,
        quorum_state: QuorumState::Quorum,
        isolated: false,
        writer: Some(host_name("dns-1")),
        can_write: false,
        holds_writer_lease: false,
        mismatches: Vec::new(),
        peers: vec![peer_status("dns-2", true, Grade::Down), peer_status("dns-3", false, Grade::Live)],
    }
}

#[test]
fn hosts_are_shown_with_their_last_contact_and_their_last_grades() {
    let mut status = hosts_status();
    let expected = "\
host dns-1: quorum (2 of 3 hosts reachable)
HOST   LAST CONTACT             DIRECT  ROUND TRIP  CLOCK     TARGETS             CONFIGURATION
dns-2  0.2 s ago                never   12 ms       the same  1 down              -
dns-3  unreachable, 42.0 s ago  never   12 ms       the same  last known: 1 live  -
  lb.example.org: cp-1 192.0.2.1 is down on dns-2, ready here

";
    assert_eq!(hosts(&status, &[pool_status()]), expected);
    status.can_write = true;
    assert!(hosts(&status, &[]).starts_with("host dns-1: quorum (2 of 3 hosts reachable); writer dns-1\n"));
}

#[test]
fn a_reverted_drain_is_shown_once_with_its_reason() {
    let shown = pool(&pool_status(), &[]);
    assert_eq!(shown.matches("  cp-1 was drained by ada; reverted\n").count(), 1, "{shown}");
}

#[test]
fn refused_credentials_are_an_alarm_that_says_by_how_many_targets() {
    let refused = |status| {
        let kind = Kind::Unauthorized { status, credentials: true };
        let message = kind.to_string();
        let observation: Observation = fixtures::observation(kind);
        Some(Observed { at: Moment::default(), message, observation })
    };
    let mut pool = pool_status();
    pool.targets[0].observed = refused(401);
    let other = |kind: Kind| {
        let message = kind.to_string();
        Some(Observed { at: Moment::default(), message, observation: fixtures::observation(kind) })
    };
    pool.targets[1].observed = other(Kind::Refused);
    let only = "refused by the only target that answers, so";
    assert!(pool.alarms().iter().any(|alarm| alarm.contains(only)), "{:?}", pool.alarms());
    pool.targets[1].observed = other(Kind::Ready);
    let expected = "lb.example.org: the credentials of the probes are refused by 1 of 2 targets that answer, so their readiness \
                    and their shutdown are not seen; cp-1 192.0.2.1: 401: the credentials of probe.auth are refused, so readiness is \
                    unknown; renew them, or allow them to read the path";
    assert!(pool.alarms().contains(&expected.to_owned()), "{:?}", pool.alarms());
    pool.targets[1].observed = refused(403);
    assert!(
        pool.alarms().iter().any(|alarm| alarm.contains("refused by all 2 targets that answer, so")),
        "{:?}",
        pool.alarms()
    );
    pool.targets[1].observed = other(Kind::ClientCertificateRefused { detail: "it has expired".to_owned() });
    assert_eq!(pool.refused_credentials_count(), 2, "a refusal in TLS counts too");
    assert!(
        pool.alarms().iter().any(|alarm| alarm.contains("by all 2 targets that answer, so")),
        "{:?}",
        pool.alarms()
    );
    let none = Kind::Unauthorized { status: 401, credentials: false };
    pool.targets.iter_mut().flat_map(|target| &mut target.observed).for_each(|of| of.observation.kind = none.clone());
    assert!(!pool.alarms().iter().any(|alarm| alarm.contains("credentials")), "none were shown");
}

#[test]
fn the_table_shows_the_state_and_the_whole_cause_of_each_target() {
    let by = Override {
        kind: OverrideKind::Drain,
        since: Moment::default(),
        until: None,
        reason: "kernel: upgrade".to_owned(),
        author: "ada".to_owned(),
        host: None,
    };
    let mut pool_status = pool_status();
    let cause = NotReadyReason::NoVerdict { observed: None };
    pool_status.targets[0].reason = Reason::NoUndrainedUsable { family: None, by };
    pool_status.targets[1].reason = Reason::LastKnownGood { family: None, cause };
    let shown = pool(&pool_status, &[]);
    let drained = "in (drained)          no undrained node is usable; drained ";
    assert!(shown.contains(drained) && shown.contains("kernel: upgrade"), "{shown}");
    let last_good = "in (last known good)  no target is usable, so the last good answer stands; no verdict yet";
    assert!(shown.contains(last_good), "{shown}");
}

#[test]
fn a_host_without_any_contact_is_unreachable_since_the_start() {
    let mut never = peer_status("dns-3", false, Grade::Live);
    never.last_contact = None;
    assert_eq!(peer(&never)[1], "unreachable since the start");
}

#[test]
fn the_command_that_clears_a_pending_override_names_the_pool_if_another_pool_has_the_node() {
    let pending = PendingOverride {
        node: node_name("n0"),
        active_override: Override {
            kind: OverrideKind::Drain,
            reason: String::new(),
            author: "ada".to_owned(),
            since: Moment::default(),
            until: None,
            host: None,
        },
    };
    let mut one = pool_status();
    one.pending_overrides = vec![pending.clone()];
    let mut other = PoolStatus { name: pool_name("lb.example.net"), ..pool_status() };
    let shown = |one: &PoolStatus, other: &PoolStatus| pool(one, &[one.clone(), other.clone()]);
    assert!(shown(&one, &other).contains("; `daymark undrain n0` clears it\n"), "only one pool has an n0");
    other.targets[0].node = node_name("n0");
    let with_pool = "; `daymark undrain n0 --pool lb.example.org` clears it\n";
    assert!(shown(&one, &other).contains(with_pool), "the other pool has a target n0");
    other.targets[0].node = node_name("cp-1");
    other.pending_overrides = vec![pending];
    assert!(shown(&one, &other).contains(with_pool), "the other pool has a pending override of an n0");
}
