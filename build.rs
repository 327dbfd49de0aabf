//! Compiles the commit, its date and the target into the binary.
//!
//! The time and the place of the build are left out, so that two builds of one commit are identical.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-env-changed=DAYMARK_COMMIT");
    // The files of the repository that change with the commit.
    for path in ["HEAD", "logs/HEAD"].iter().filter_map(|name| git(&["rev-parse", "--git-path", name])) {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = env::var("DAYMARK_COMMIT").ok().or_else(commit).unwrap_or_else(|| "unknown".to_owned());
    let date = date().or_else(|| git(&["log", "-1", "--format=%cs"])).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=DAYMARK_COMMIT={commit}");
    println!("cargo::rustc-env=DAYMARK_DATE={date}");
    println!("cargo::rustc-env=DAYMARK_TARGET={}", env::var("TARGET").unwrap_or_default());
}

fn commit() -> Option<String> {
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// The date in `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn date() -> Option<String> {
    let seconds: i64 = env::var("SOURCE_DATE_EPOCH").ok()?.parse().ok()?;
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.strftime("%F").to_string())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}
