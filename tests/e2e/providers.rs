//! Several providers in one process: an unreachable one delays no other, and is reported.

use std::net::TcpListener;

use daymark_fake_apiserver::Behaviour;

use crate::support::nodes::{Nodes, Plan};
use crate::support::{Daymark, addresses_in, daymark, finish, is_published, until};

/// A Cloudflare provider whose API address has no listener.
fn unreachable() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!(
        "  - {{type: cloudflare, mode: records, zone: kube-cp.com, tokenVariable: CF_TOKEN, \
         api: \"http://127.0.0.1:{port}\"}}"
    )
}

#[test]
fn an_unreachable_provider_is_an_alarm_and_delays_no_other() {
    let nodes = Nodes::start(2);
    let config = nodes.write(&Plan { provider: unreachable(), ..nodes.plan() });
    let daymark = Daymark::start(daymark(&["run", "-c", config.to_str().unwrap()]).env("CF_TOKEN", "secret-word"));
    let text = until("both providers have done what they can", || {
        let status = daymark.json("/api/v1/status");
        let [own, cloudflare] = &status["providers"].as_array().unwrap()[..] else { panic!("{status:#}") };
        let is_reported = own["published"].is_u64() && cloudflare["error"].is_string();
        is_reported.then(|| status.to_string())
    });
    assert!(text.contains("provider cloudflare: not published"), "{text}");

    nodes.set(1, Behaviour::Dead);
    until("the other one goes on", || {
        let mut status = daymark.json("/api/v1/status");
        assert!(status["providers"][1]["published"].is_null() && status["providers"][1]["behindSince"].is_string());
        status["providers"].as_array_mut().unwrap().remove(1);
        let is_out = addresses_in(&status["pools"][0]["addresses"]).len() == 1;
        (is_out && is_published(&status)).then_some(())
    });
    assert_eq!(daymark.get("/readyz").0, 200);
    assert!(!daymark.log().contains("secret-word"), "the token is never shown");
}

#[test]
fn a_host_without_a_dns_server_is_ready_before_its_provider() {
    let nodes = Nodes::start(1);
    let text = nodes.plan().to_string();
    let (before, rest) = text.split_once("  - type: authoritative").unwrap();
    let (_, after) = rest.split_once("admin:").unwrap();
    let config = nodes.path("daymark.yaml");
    std::fs::write(&config, format!("{before}{}\nadmin:{after}", unreachable())).unwrap();
    let mut command = daymark(&["run", "-c", config.to_str().unwrap()]);
    let mut daymark = Daymark::start_without_dns(command.env("CF_TOKEN", "secret-word"));
    until("the provider has failed", || daymark.json("/api/v1/status")["providers"][0]["error"].as_str().map(drop));
    assert_eq!(daymark.get("/readyz"), (200, "[+]listeners ok\n[+]driver ok\nreadyz check passed\n".to_owned()));
    daymark.process.signal("TERM");
    assert_eq!(daymark.process.wait().code(), Some(0));
}

#[test]
fn check_reports_a_missing_token_and_the_time_through_cloudflare() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&Plan { provider: unreachable(), ..nodes.plan() });
    let check = |token: &str| {
        let mut command = daymark(&["check", "-c", config.to_str().unwrap()]);
        finish(command.env("CF_TOKEN", token)).stdout
    };
    let with = check("secret-word");
    let without = check("");
    assert!(with.contains("by cloudflare in ") && !with.contains("CF_TOKEN"), "{with}");
    let warning = "providers[1].tokenVariable: CF_TOKEN is not set here; Daymark needs it on the host that it runs on";
    assert!(without.contains(warning), "{without}");
}
