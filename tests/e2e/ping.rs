//! The pings of `daymark sync`, and its way through a proxy.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use tempfile::NamedTempFile;

use crate::support::services::{HttpRequest, PingService, TlsProxy};
use crate::support::zone::ZoneFixture;
use crate::support::{Finished, Process, daymark, finish};

impl ZoneFixture {
    /// Makes a pass with these lines at the end of the configuration.
    fn pass_with(&self, lines: &str, arguments: &[&str]) -> Finished {
        let config = self.config();
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{text}{lines}")).unwrap();
        finish(daymark(&["sync", "--deadline", "2m", "-c", config.to_str().unwrap()]).args(arguments))
    }
}

fn keys(service: &PingService) -> String {
    format!("sync: {{onSuccess: \"{}\", onFailure: \"{}\"}}\n", service.url("/s3cret"), service.url("/s3cret/fail"))
}

#[test]
fn a_pass_that_succeeded_pings_the_url_with_its_changes() {
    let fixture = ZoneFixture::new(1);
    let service = PingService::start("200 OK");
    let done = fixture.pass_with(&keys(&service), &[]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let requests = service.requests();
    let [HttpRequest { line, body, .. }] = requests.as_slice() else { panic!("one ping: {requests:?}") };
    assert_eq!((line.as_str(), body.as_str()), ("POST /s3cret", done.stdout.as_str()));
    assert!(body.starts_with("cloudflare: lb.kube-cp.com: add the record"), "{body}");
}

#[test]
fn a_pass_that_failed_pings_the_other_url_with_the_reason() {
    let fixture = ZoneFixture::new(1);
    fixture.zone.store(|store| store.zones.clear());
    let service = PingService::start("200 OK");
    let done = fixture.pass_with(&keys(&service), &[]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let requests = service.requests();
    let [HttpRequest { line, body, .. }] = requests.as_slice() else { panic!("one ping: {requests:?}") };
    assert_eq!(line, "POST /s3cret/fail");
    assert!(body.contains("the token sees no zone kube-cp.com"), "{body}");
}

#[test]
fn a_dry_run_pings_nothing() {
    let fixture = ZoneFixture::new(1);
    let service = PingService::start("200 OK");
    let done = fixture.pass_with(&keys(&service), &["--dry-run"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(service.requests(), []);
}

#[test]
fn a_ping_that_is_refused_is_tried_three_times_and_warned_of_without_its_url() {
    let fixture = ZoneFixture::new(1);
    let service = PingService::start("503 Service Unavailable");
    let done = fixture.pass_with(&keys(&service), &[]);
    assert_eq!(done.code, Some(0), "the pass itself succeeded");
    assert_eq!(service.requests().len(), 3);
    let expected = "the URL of `sync.onSuccess` was not reached: HTTP 503 Service Unavailable";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
    assert!(!done.stderr.contains("s3cret"), "{}", done.stderr);
}

#[test]
fn a_redirect_of_a_ping_is_not_followed() {
    let fixture = ZoneFixture::new(1);
    let service = PingService::start("302 Found");
    let done = fixture.pass_with(&keys(&service), &[]);
    assert_eq!(done.code, Some(0));
    assert!(done.stderr.contains("the URL of `sync.onSuccess` was not reached: HTTP 302 Found"), "{}", done.stderr);
    assert!(service.requests().iter().all(|request| request.line == "POST /s3cret"), "{:?}", service.requests());
}

#[test]
fn a_signal_ends_a_ping_that_hangs() {
    let fixture = ZoneFixture::new(1);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/s3cret", silent.local_addr().unwrap());
    let config = fixture.config();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}sync: {{onSuccess: \"{url}\"}}\n")).unwrap();
    let log = NamedTempFile::new().unwrap();
    let mut command = daymark(&["sync", "--deadline", "2m", "-c", config.to_str().unwrap()]);
    let mut process = Process::spawn(command.stdout(Stdio::null()).stderr(log.reopen().unwrap()));
    let _ping = silent.accept().unwrap();
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0), "the pass itself succeeded");
    let stderr = fs::read_to_string(log.path()).unwrap();
    assert!(stderr.contains("was not reached before a signal stopped it"), "{stderr}");
}

#[test]
fn a_ping_to_a_server_of_an_unknown_ca_says_which_certificates_are_trusted() {
    let fixture = ZoneFixture::new(1);
    let proxy = TlsProxy::start("ping.test", "127.0.0.1:1".parse().unwrap());
    let config = fixture.config();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}sync: {{onSuccess: \"https://ping.test/s3cret\"}}\n")).unwrap();
    let mut pass = daymark(&["sync", "--deadline", "2m", "-c", config.to_str().unwrap()]);
    let done = finish(pass.env("HTTPS_PROXY", format!("http://{}", proxy.address)));
    assert_eq!(done.code, Some(0), "the pass itself succeeded");

    assert!(
        done.stderr.contains(
            "no answer: the certificate is not from a trusted CA; check the URL, its service and `SSL_CERT_FILE`"
        ),
        "{}",
        done.stderr
    );
}

#[test]
fn a_url_that_is_none_is_refused_without_being_shown() {
    let fixture = ZoneFixture::new(1);
    let done = fixture.pass_with("sync: {onSuccess: \"s3cret\"}\n", &[]);
    assert_eq!(done.code, Some(2));
    let expected =
        "sync.onSuccess: this is not a URL to ping; an http or https URL with a host and without a user is allowed";
    assert!(done.stderr.contains(expected) && !done.stderr.contains("s3cret"), "{}", done.stderr);
}

#[test]
fn a_pass_reaches_cloudflare_through_the_proxy_and_the_certificates_of_the_environment() {
    let fixture = ZoneFixture::new(1);
    let api = fixture.zone.cloudflare.api();
    let address = api.strip_prefix("http://").unwrap().split('/').next().unwrap().parse().unwrap();
    let proxy = TlsProxy::start("api.cloudflare.test", address);
    let certificate = fixture.nodes.path("proxy.crt");
    fs::write(&certificate, &proxy.certificate).unwrap();
    let config = fixture.config();
    let text = fs::read_to_string(&config).unwrap();
    let https = api.replace(&format!("http://{address}"), "https://api.cloudflare.test");
    fs::write(&config, text.replace(&api, &https)).unwrap();
    let mut pass = daymark(&["sync", "-c", config.to_str().unwrap()]);
    pass.env("HTTPS_PROXY", format!("http://{}", proxy.address)).env("SSL_CERT_FILE", &certificate);
    let done = finish(&mut pass);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(fixture.zone.addresses(), fixture.nodes.addresses().into_iter().collect());
    let connects = proxy.connects();
    assert!(
        !connects.is_empty() && connects.iter().all(|line| line == "CONNECT api.cloudflare.test:443"),
        "{connects:?}"
    );
}
