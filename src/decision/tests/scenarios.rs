//! Runs every scenario in `tests/scenarios/`. Its `README.md` describes their language.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::script;

fn scenario_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "txt")).collect();
    files.sort();
    files
}

#[test]
fn every_scenario_gives_its_expected_answers() {
    let files = scenario_files();
    let failures: Vec<String> = files
        .iter()
        .filter_map(|path| {
            let error = script::run(&fs::read_to_string(path).unwrap()).err()?;
            Some(format!("{}:{error}", path.display()))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} scenarios fail:\n{}", failures.len(), files.len(), failures.join("\n"));
    assert!(files.len() >= 25, "only {} scenarios were found", files.len());
}

#[test]
fn every_scenario_expects_something() {
    for path in scenario_files() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} begins with its title", path.display());
        assert!(text.contains("\n  expect "), "{} expects an answer", path.display());
    }
}

#[test]
fn a_scenario_with_a_wrong_answer_fails() {
    let text =
        "# A scenario\npool lb.example.org\nnode a 192.0.2.1\nat 0s\n  probe a ready ready\n  expect lastKnownGood a\n";
    assert_eq!(script::run(text).unwrap_err(), "6: expected `lastKnownGood a`, got `ready a ttl 5`");
    let text = "# A scenario\npool lb.example.org\nnode a 192.0.2.1\nat 0s\n  prob a ready\n";
    assert_eq!(script::run(text).unwrap_err(), "5: `prob` is no keyword of a scenario");
}
