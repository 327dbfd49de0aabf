//! Files that are no configuration at all. Each is one error, and none costs more than a bounded amount of work.

use std::path::Path;

use daymark_config::Config;
use proptest::prelude::*;

use crate::support::{SMALL, error, files};

fn load_error(path: &Path) -> String {
    let message = Config::load(path, None).unwrap_err().to_string();
    message.replace(&path.display().to_string(), "FILE")
}

#[test]
fn an_empty_file_is_an_error_that_lists_the_allowed_keys() {
    let expected =
        "the file: is empty; a mapping with keys among pools, providers, peers, admin, sync, stateDir is allowed";
    assert_eq!(error(""), format!("daymark.yaml:1:1: {expected}"));
    assert!(error("# only a comment\n").contains(expected));
}

#[test]
fn a_file_that_is_a_list_or_a_text_is_refused() {
    let rest = "a mapping with keys among pools, providers, peers, admin, sync, stateDir is allowed";
    assert_eq!(error("- pools\n"), format!("daymark.yaml:1:1: the file: is a list; {rest}"));
    assert_eq!(error("pools\n"), format!("daymark.yaml:1:1: the file: is the text \"pools\"; {rest}"));
}

#[test]
fn a_missing_file_is_named() {
    let dir = files();
    let message = load_error(&dir.path().join("absent.yaml"));
    assert!(message.starts_with("FILE: the file: cannot be read: No such file or directory"), "{message}");
    assert!(message.ends_with("; a readable YAML file is needed"), "{message}");
}

#[test]
fn a_directory_is_refused() {
    assert_eq!(load_error(files().path()), "FILE: the file: is a directory; a YAML file is needed");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_position_of_the_byte() {
    let dir = files();
    let path = dir.path().join("latin.yaml");
    std::fs::write(&path, b"pools: \xe4\n").unwrap();
    assert_eq!(load_error(&path), "FILE: the file: is not UTF-8 from byte 8 on; UTF-8 is needed");
}

#[test]
fn a_file_of_ten_megabytes_is_refused_unread() {
    let dir = files();
    let path = dir.path().join("large.yaml");
    let text = "pools: []\n".repeat(1 << 20);
    std::fs::write(&path, &text).unwrap();
    assert_eq!(load_error(&path), "FILE: the file: is too large; at most 1024 KiB are allowed");
    assert_eq!(error(&text), "daymark.yaml: the file: is too large; at most 1024 KiB are allowed");
}

#[test]
fn a_file_without_an_end_is_refused() {
    let message = load_error(Path::new("/dev/zero"));
    assert_eq!(message, "FILE: the file: is too large; at most 1024 KiB are allowed");
}

#[test]
fn a_tab_as_indentation_is_an_error_with_its_location() {
    let message = error("pools:\n\t- name: x\n");
    assert!(message.starts_with("daymark.yaml:2:2: the file: is not valid YAML: tabs disallowed"), "{message}");
    assert_eq!(message.lines().count(), 1);
}

#[test]
fn broken_yaml_is_one_error_with_its_location() {
    assert_eq!(error("pools: [\n"), "daymark.yaml:1:8: the file: is not valid YAML: unclosed bracket '['");
    assert_eq!(error("pools: \"x\n"), "daymark.yaml:1:8: the file: is not valid YAML: unclosed quote");
    assert_eq!(error("pools: *x\n"), "daymark.yaml:1:8: the file: is not valid YAML: alias references unknown anchor");
    assert_eq!(
        error("pools: &x [*x]\n"),
        "daymark.yaml:1:12: the file: has an alias that refers to itself; an alias of an earlier, complete value is allowed"
    );
    assert_eq!(
        error("a: 1\n---\nb: 1\n"),
        "daymark.yaml:3:1: the file: holds more than one YAML document; one is allowed"
    );
}

#[test]
fn deep_nesting_is_bounded() {
    let bound =
        "is nested too deeply, has too many values, or repeats them by too many aliases; a simpler document is needed";
    let closed = format!("pools: {}{}", "[".repeat(100), "]".repeat(100));
    assert!(error(&closed).ends_with(bound), "{}", error(&closed));
    assert_eq!(error(&format!("pools: {}", "[".repeat(100_000))).lines().count(), 1);
    let steps = (0..1000).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>();
    assert!(error(&steps).ends_with(bound), "{}", error(&steps));
}

#[test]
fn aliases_that_multiply_are_bounded() {
    let level = |level: usize| match level {
        0 => format!("l0: &l0 [{}]\n", "x, ".repeat(10)),
        _ => format!("l{level}: &l{level} [{}]\n", format!("*l{}, ", level - 1).repeat(10)),
    };
    let laughs = (0..10).map(level).collect::<Vec<_>>().concat();
    let message = error(&laughs);
    assert!(message.contains("repeats them by too many aliases"), "{message}");
    assert_eq!(message.lines().count(), 1);
}

#[test]
fn long_and_odd_texts_stay_on_one_short_line() {
    let message = error(&format!("\"a\\nb{}\": 1\npools: []\nproviders: []\n", "c".repeat(500)));
    let first = message.lines().next().unwrap();
    assert!(first.contains("unknown key `a\\nbccc"), "{first}");
    assert!(first.len() < 250, "{first}");
}

proptest! {
    #[test]
    fn a_damaged_file_is_accepted_or_refused_with_one_line_an_error(
        cut in any::<prop::sample::Index>(),
        length in 0_usize..20,
        insert in "[ \\n:,{}\\[\\]&*!|>'\"%#?0-9a-z~-]{0,8}",
    ) {
        let mut text: Vec<char> = SMALL.chars().collect();
        let start = cut.index(text.len());
        let end = text.len().min(start + length);
        text.splice(start..end, insert.chars());
        let text: String = text.into_iter().collect();
        if let Err(errors) = Config::parse(&text, "daymark.yaml", Path::new("")) {
            prop_assert!(!errors.0.is_empty());
            prop_assert_eq!(errors.to_string().lines().count(), errors.0.len());
        }
    }
}
