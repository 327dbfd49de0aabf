//! One process that serves DNS and writes to Cloudflare.

use std::net::IpAddr;

use daymark_fake_apiserver::Behaviour;
use daymark_fake_cloudflare::{Fault, RequestMatcher};

use crate::support::dns::all_find;
use crate::support::nodes::Plan;
use crate::support::zone::ZoneFixture;
use crate::support::{Daymark, POOL, addresses_in, daymark, finish, is_published, output, until};

impl ZoneFixture {
    fn run(&self) -> Daymark {
        Daymark::run(&self.config())
    }

    /// Waits until DNS and Cloudflare both have exactly these addresses.
    fn shows(&self, daymark: &Daymark, addresses: &[IpAddr]) {
        daymark.answers(addresses, "ready");
        all_find(daymark.dns, addresses);
        assert_eq!(self.zone.addresses(), addresses.iter().copied().collect());
    }
}

#[test]
fn one_process_serves_dns_and_writes_records_when_nodes_leave_and_return() {
    let fixture = ZoneFixture::new(3);
    let all = fixture.nodes.addresses();
    let daymark = fixture.run();
    fixture.shows(&daymark, &all);
    fixture.nodes.set(1, Behaviour::Dead);
    fixture.shows(&daymark, &[all[0], all[2]]);
    fixture.nodes.set(1, Behaviour::Ready);
    fixture.shows(&daymark, &all);

    daymark.logs(&format!("add the record {POOL} A {} (in: ready since", all[1]));
    let metrics = daymark.get("/metrics").1;
    for metric in [
        "daymark_provider_calls_total{provider=\"cloudflare\",call=\"writeRecord\",outcome=\"ok\"} 5",
        "daymark_provider_calls_remaining{provider=\"cloudflare\"} 11",
        "daymark_provider_behind_seconds{provider=\"cloudflare\"} 0",
        "daymark_provider_last_success_timestamp_seconds{provider=\"cloudflare\"} 1",
    ] {
        assert!(metrics.contains(metric), "{metric} in {metrics}");
    }
}

#[test]
fn a_failing_cloudflare_is_reported_and_dns_goes_on() {
    let fixture = ZoneFixture::new(3);
    let all = fixture.nodes.addresses();
    let daymark = fixture.run();
    fixture.shows(&daymark, &all);
    for _ in 0..1_000 {
        fixture.zone.cloudflare.inject(Fault::Status(500), RequestMatcher::any());
    }
    fixture.nodes.set(0, Behaviour::Dead);
    until("DNS has the new answer", || {
        let mut status = daymark.json("/api/v1/status");
        status["providers"].as_array_mut().unwrap().truncate(1);
        let is_out = addresses_in(&status["pools"][0]["addresses"]).len() == 2;
        (is_out && is_published(&status)).then_some(())
    });
    all_find(daymark.dns, &all[1..]);
    let status = until("the provider lags", || {
        let status = output(&["status", "--api", &daymark.api()]);
        status.contains("HTTP 500").then_some(status)
    });
    assert!(status.contains("cloudflare"), "{status}");
    until("the metric counts the seconds", || {
        let metrics = daymark.get("/metrics").1;
        let (_, rest) = metrics.split_once("daymark_provider_behind_seconds{provider=\"cloudflare\"} ")?;
        (rest.lines().next()?.parse::<u64>().unwrap() > 0).then_some(())
    });
    assert_eq!(fixture.zone.addresses(), all.iter().copied().collect(), "what stood there stands");
    assert_eq!(daymark.get("/readyz").0, 200);

    fixture.zone.cloudflare.clear_faults();
    fixture.shows(&daymark, &all[1..]);
    assert!(!daymark.log().contains(&fixture.zone.cloudflare.token()), "no token in the log");
}

#[test]
fn a_restart_writes_nothing_if_the_published_answer_is_right() {
    let fixture = ZoneFixture::new(3);
    let all = fixture.nodes.addresses();
    fixture.nodes.set(2, Behaviour::Dead);
    let first = fixture.run();
    fixture.shows(&first, &all[..2]);
    let writes = fixture.zone.writes();
    first.kill();
    let second = fixture.run();
    fixture.shows(&second, &all[..2]);
    assert_eq!(fixture.zone.writes(), writes);
}

#[test]
fn an_unset_token_variable_is_an_error_at_its_key_and_nothing_starts() {
    let fixture = ZoneFixture::new(1);
    let provider = fixture.plan.provider.replace("tokenFile: cloudflare.token", "tokenVariable: NEVER_SET_BY_ANYONE");
    let config = fixture.nodes.write(&Plan { provider, ..fixture.plan.clone() });
    let expected = "providers[1].tokenVariable: the environment variable NEVER_SET_BY_ANYONE is not set; it must hold \
                  the API token";
    let run = finish(&mut daymark(&["run", "-c", config.to_str().unwrap()]));
    assert!(run.code == Some(2) && run.stderr.contains(expected), "{}", run.stderr);
    let sync = finish(&mut daymark(&["sync", "-c", config.to_str().unwrap()]));
    assert!(sync.code == Some(2) && sync.stderr.contains(expected), "{}", sync.stderr);
    assert_eq!(fixture.zone.cloudflare.calls().len(), 0);
}
