use proptest::prelude::*;

use super::*;

const CLIENT: &str = "192.0.2.1";

fn settings(responses_per_second: u32, slip: u8) -> RateLimitSettings {
    RateLimitSettings {
        responses_per_second: NonZeroU32::new(responses_per_second).unwrap(),
        slip,
        ..RateLimitSettings::default()
    }
}

/// A limit, and the time that the test has reached.
struct Limited {
    limit: ResponseRateLimit,
    started: Instant,
    now: Duration,
}

impl Limited {
    fn by(settings: RateLimitSettings) -> Self {
        let started = Instant::now();
        Self { limit: ResponseRateLimit::new(settings, started), started, now: Duration::ZERO }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// The treatments on this number of responses at once.
    fn treatments(&self, client: &str, kind: ResponseKind, count: usize) -> Vec<Treatment> {
        let client = client.parse().unwrap();
        let batch = self.limit.at(self.started + self.now);
        (0..count).map(|_| batch.check(client, kind)).collect()
    }

    /// The number of responses that are sent, of `count` at once.
    fn sent(&self, client: &str, kind: ResponseKind, count: usize) -> usize {
        self.treatments(client, kind, count).into_iter().filter(|treatment| *treatment == Treatment::Send).count()
    }
}

#[test]
fn a_client_gets_the_responses_of_a_second_at_once_and_then_one_after_the_other() {
    let mut limited = Limited::by(settings(200, 2));
    assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 2000), 200);
    limited.pass(5);
    assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 10), 1);
    limited.pass(500);
    assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 2000), 100);
    limited.pass(60_000);
    assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 2000), 200, "no more is saved up");
}

#[test]
fn each_second_response_above_the_limit_is_truncated_and_the_others_are_dropped() {
    let limited = Limited::by(settings(1, 2));
    let treatments = limited.treatments(CLIENT, ResponseKind::NoSuchName, 5);
    assert_eq!(
        treatments,
        [Treatment::Send, Treatment::Drop, Treatment::Truncate, Treatment::Drop, Treatment::Truncate]
    );
    assert_eq!(limited.limit.counts(), RateLimitCounts { dropped: 2, slipped: 2, log_only: 0 });
}

#[test]
fn slip_0_truncates_none_and_slip_1_each() {
    let treatments = |slip| Limited::by(settings(1, slip)).treatments(CLIENT, ResponseKind::NoData, 3);
    assert_eq!(treatments(0), [Treatment::Send, Treatment::Drop, Treatment::Drop]);
    assert_eq!(treatments(1), [Treatment::Send, Treatment::Truncate, Treatment::Truncate]);
}

#[test]
fn an_error_that_slips_is_sent_as_it_is() {
    let treatments = Limited::by(settings(1, 2)).treatments(CLIENT, ResponseKind::Error, 3);
    assert_eq!(treatments, [Treatment::Send, Treatment::Drop, Treatment::Send]);
}

#[test]
fn the_clients_of_one_network_share_a_limit_and_each_kind_has_its_own() {
    let limited = Limited::by(settings(10, 2));
    assert_eq!(limited.sent("192.0.2.1", ResponseKind::Answer, 10), 10);
    for same in ["192.0.2.254", "::ffff:192.0.2.7"] {
        assert_eq!(limited.sent(same, ResponseKind::Answer, 10), 0, "{same}");
    }
    assert_eq!(limited.sent("2001:db8:0:ff::1", ResponseKind::Answer, 10), 10);
    assert_eq!(limited.sent("2001:db8::2", ResponseKind::Answer, 10), 0);
    // One cell in 32,768 is shared, so one of several other networks may be limited, but not all.
    let others = ["192.0.3.1", "198.51.100.1", "2001:db8:0:100::1"];
    assert!(others.iter().map(|other| limited.sent(other, ResponseKind::Answer, 10)).sum::<usize>() >= 20);
    let kinds = [ResponseKind::NoData, ResponseKind::NoSuchName, ResponseKind::Referral, ResponseKind::Error];
    assert!(kinds.iter().map(|kind| limited.sent(CLIENT, *kind, 10)).sum::<usize>() >= 30);
}

#[test]
fn the_lengths_of_the_prefixes_are_those_of_the_settings() {
    let whole = RateLimitSettings { ipv4_prefix_length: 32, ipv6_prefix_length: 128, ..settings(10, 2) };
    let limited = Limited::by(whole);
    let clients = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"];
    assert!(clients.iter().map(|client| limited.sent(client, ResponseKind::Answer, 10)).sum::<usize>() >= 40);
    let everyone = RateLimitSettings { ipv4_prefix_length: 0, ipv6_prefix_length: 0, ..settings(10, 2) };
    let limited = Limited::by(everyone);
    assert_eq!(limited.sent("192.0.2.1", ResponseKind::Answer, 10), 10);
    assert_eq!(limited.sent("198.51.100.1", ResponseKind::Answer, 10), 0);
}

#[test]
fn exempt_networks_have_no_limit_and_by_default_these_are_loopback_addresses() {
    let mut exempting = settings(1, 2);
    exempting.exempt.extend(["192.0.2.0/24", "2001:db8::/32"].map(|network| network.parse::<IpNet>().unwrap()));
    let limited = Limited::by(exempting);
    for client in ["192.0.2.9", "::ffff:192.0.2.9", "2001:db8:1::1", "127.0.0.1", "127.9.9.9", "::1"] {
        assert_eq!(limited.sent(client, ResponseKind::Answer, 100), 100, "{client}");
    }
    assert_eq!(limited.sent("192.0.3.9", ResponseKind::Answer, 100), 1);
}

#[test]
fn the_mode_log_only_counts_and_sends() {
    let limited = Limited::by(RateLimitSettings { mode: RateLimitMode::LogOnly, ..settings(1, 2) });
    assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 100), 100);
    assert_eq!(limited.limit.counts(), RateLimitCounts { dropped: 0, slipped: 0, log_only: 99 });
}

#[test]
fn the_mode_disabled_sends_and_counts_nothing() {
    let limited = Limited::by(RateLimitSettings { mode: RateLimitMode::Disabled, ..settings(1, 2) });
    assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 100), 100);
    assert_eq!(limited.limit.counts(), RateLimitCounts::default());
}

#[test]
fn new_settings_apply_to_the_next_batch() {
    let limited = Limited::by(settings(1, 2));
    assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 100), 1);
    limited.limit.configure(RateLimitSettings { exempt: vec!["192.0.2.0/24".parse().unwrap()], ..settings(1, 2) });
    assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 100), 100);
}

#[test]
fn a_limited_response_has_the_length_that_is_sent() {
    let limited = Limited::by(settings(1, 2));
    let batch = limited.limit.at(limited.started);
    // A header, the root as the name of the question, and one record.
    let full = [0, 7, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 1];
    let mut lengths = Vec::new();
    let mut last = full;
    for _ in 0..3 {
        last = full;
        lengths.push(batch.limit(CLIENT.parse().unwrap(), &mut last));
    }
    assert_eq!(lengths, [full.len(), 0, 17]);
    assert_eq!(last[..17], [0, 7, 0x86, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
}

#[test]
fn a_warning_comes_at_once_and_then_once_a_minute_with_the_number_of_responses() {
    let warnings = Warnings::default();
    let at = Duration::from_secs;
    assert_eq!(warnings.count(at(5)), Some(1));
    assert_eq!([warnings.count(at(5)), warnings.count(at(64))], [None, None]);
    assert_eq!(warnings.count(at(65)), Some(3));
    assert_eq!(warnings.count(at(66)), None);
}

#[test]
fn the_table_has_a_size_of_288_kib() {
    assert_eq!(cells::CELLS * (size_of::<governor::state::InMemoryState>() + 1), 288 * 1024);
}

proptest! {
    #[test]
    fn in_no_window_is_more_sent_than_the_rate_and_one_second_of_it(
        rate in 1..500_u32,
        pauses in prop::collection::vec((0..300_u64, 1..300_usize), 1..50),
    ) {
        let mut limited = Limited::by(settings(rate, 0));
        let mut sent: Vec<(u64, usize)> = Vec::new();
        for (pause, count) in pauses {
            limited.pass(pause);
            let now = u64::try_from(limited.now.as_millis()).unwrap();
            sent.push((now, limited.sent(CLIENT, ResponseKind::Answer, count)));
        }
        for (first, (start, _)) in sent.iter().enumerate() {
            let mut total = 0;
            for (end, count) in &sent[first..] {
                total += *count as u64;
                let allowed = u64::from(rate) + u64::from(rate) * (end - start) / 1000 + 1;
                prop_assert!(total <= allowed, "{total} from {start} to {end} ms, {allowed} are allowed");
            }
        }
    }

    #[test]
    fn a_client_below_the_rate_is_never_limited(rate in 1..500_u64, count in 1..500_usize) {
        let mut limited = Limited::by(settings(u32::try_from(rate).unwrap(), 2));
        for _ in 0..count {
            prop_assert_eq!(limited.sent(CLIENT, ResponseKind::Answer, 1), 1);
            limited.pass(1000 / rate + 1);
        }
    }

    #[test]
    fn an_exempt_client_is_never_limited(last in any::<u8>(), count in 1..500_usize) {
        let exempt = vec!["192.0.2.0/24".parse().unwrap()];
        let limited = Limited::by(RateLimitSettings { exempt, ..settings(1, 2) });
        prop_assert_eq!(limited.sent(&format!("192.0.2.{last}"), ResponseKind::Answer, count), count);
    }
}
