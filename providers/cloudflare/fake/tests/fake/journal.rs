//! The journal of calls, as the fake of a process of its own writes it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// Ends its process when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn the_journal_has_every_call_without_its_token() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{}", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_daymark-fake-cloudflare"));
    command.env("CLOUDFLARE_CALLS", &directory).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut word = || lines.next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let api = word();
    let token = word();

    let record = r#"{"type": "A"}"#;
    let zone = "0".repeat(32);
    let request = reqwest::Client::new().post(format!("{api}/zones/{zone}/dns_records?a=b%20c"));
    let response = request.bearer_auth(&token).header("content-type", "application/json").body(record).send();
    assert_eq!(response.await.unwrap().status(), 403);

    let file = directory.join(format!("{}.jsonl", process.0.id()));
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    assert!(!text.contains(&token) && !text.contains("authorization"), "{text}");
    let call: Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!((&call["method"], &call["status"]), (&json!("POST"), &json!(403)));
    assert_eq!(call["path"], format!("/zones/{zone}/dns_records"));
    assert_eq!((&call["query"], &call["body"]), (&json!([["a", "b c"]]), &json!(record)));
    assert_eq!(call["headers"]["content-type"], "application/json");
}
