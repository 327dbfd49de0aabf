//! Compares the reading of the files in `tests/zonefiles` with that of BIND's `named-compilezone`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use super::*;
use crate::settings::MasterFile;

/// The records of a zone: the data of each, by the TTL of the set.
type Records = BTreeMap<FileSetKey, FileSetValue>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileSetKey {
    owner: Vec<u8>,
    rtype: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FileSetValue {
    ttl: u32,
    data: BTreeSet<Vec<u8>>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/zonefiles")
}

/// The zone files, by their paths below the directory, such as `text/empty.zone`.
fn zone_files() -> Vec<String> {
    let mut files = Vec::new();
    for theme in fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for path in fs::read_dir(&theme).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "zone") {
                files.push(path.strip_prefix(directory()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// The lines of a list of the directory: a file and the rest of its line.
fn list(name: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(directory().join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).map(|(file, rest)| (file.to_owned(), rest.to_owned())).collect()
}

/// A file with all that it includes. Paths are relative to its directory, as those of BIND.
fn master_file(file: &str) -> MasterFile {
    let directory = directory().join(file).parent().unwrap().to_owned();
    let path = PathBuf::from(Path::new(file).file_name().unwrap());
    let read = |path: &Path| fs::read(directory.join(path)).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = read(&path).unwrap();
    let mut unread = included_files(&path, &text);
    let mut included = BTreeMap::new();
    while let Some(path) = unread.pop() {
        let Some(text) = read(&path).filter(|_| !included.contains_key(&path)) else { continue };
        unread.extend(included_files(&path, &text));
        included.insert(path, text);
    }
    MasterFile { path, text, included }
}

/// Reads a file as Daymark does.
fn read(file: &MasterFile) -> Result<Records, String> {
    let mut errors = Vec::new();
    let sets = master::read(file, &Name::from_ascii("kube-cp.com.").unwrap(), &mut errors);
    if !errors.is_empty() {
        return Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    let records = sets.into_iter().map(|file_set| {
        let data = file_set.set.data.iter().map(|data| {
            let mut wire = Vec::new();
            let mut encoder = BinEncoder::new(&mut wire);
            encoder.set_name_encoding(NameEncoding::Uncompressed);
            data.emit(&mut encoder).unwrap();
            wire
        });
        let key =
            FileSetKey { owner: file_set.name.to_lowercase().to_bytes().unwrap(), rtype: file_set.set.rtype.into() };
        (key, FileSetValue { ttl: file_set.set.ttl, data: data.collect() })
    });
    Ok(records.collect())
}

/// Reads a file as BIND does. The format `raw` has the records as bytes.
fn read_by_bind(name: &str) -> Result<Records, String> {
    let ignored = ["-k", "ignore", "-m", "ignore", "-M", "ignore", "-S", "ignore", "-T", "ignore"];
    let path = directory().join(name);
    let output = std::env::temp_dir().join(format!("daymark-{}-{}", std::process::id(), name.replace('/', "-")));
    let run = Command::new("named-compilezone")
        .current_dir(path.parent().unwrap())
        .args(["-i", "none", "-r", "ignore"])
        .args(ignored)
        .args(["-F", "raw", "-o"])
        .arg(&output)
        .arg("kube-cp.com")
        .arg(path.file_name().unwrap())
        .output()
        .expect("named-compilezone is there; it is in bind9-utils of Debian");
    let raw = fs::read(&output);
    let _ = fs::remove_file(&output);
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr));
    }
    Ok(parse_raw(&raw.unwrap()))
}

/// The records of a file in BIND's format `raw`, version 1: a header of 24 bytes, then each set with its length.
fn parse_raw(mut raw: &[u8]) -> Records {
    let raw = &mut raw;
    take(raw, 24);
    let mut records = Records::new();
    while !raw.is_empty() {
        take(raw, 4 + 2);
        let rtype = u16::from_be_bytes(take(raw, 2).try_into().unwrap());
        take(raw, 2);
        let ttl = number(raw, 4);
        let count = number(raw, 4);
        let length = number(raw, 2);
        let owner = take(raw, length as usize).to_ascii_lowercase();
        let set = records.entry(FileSetKey { owner, rtype }).or_default();
        set.ttl = ttl;
        for _ in 0..count {
            let length = number(raw, 2);
            set.data.insert(take(raw, length as usize).to_vec());
        }
    }
    records
}

fn take<'a>(raw: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = raw.split_at(length);
    *raw = rest;
    taken
}

fn number(raw: &mut &[u8], length: usize) -> u32 {
    take(raw, length).iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

#[test]
fn every_file_is_read_or_refused_with_its_line() {
    let mut refusals = list("refused.txt");
    let mut faults = Vec::new();
    for name in zone_files() {
        match (read(&master_file(&name)), refusals.remove(&name)) {
            (Err(errors), Some(expected)) if errors == expected => {}
            (Err(errors), _) => faults.push(format!("{name}: {errors}")),
            (Ok(_), Some(_)) => faults.push(format!("{name}: is read")),
            (Ok(_), None) => {}
        }
    }
    faults.extend(refusals.into_keys().map(|name| format!("{name}: is listed in vain")));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The difference between both readings of a file, as it should not be.
fn difference(name: &str, is_listed: bool) -> Option<String> {
    match (read(&master_file(name)), read_by_bind(name)) {
        (Ok(ours), Ok(theirs)) if ours == theirs && !is_listed => None,
        (Ok(ours), Ok(theirs)) => Some(format!("{name}: reads\n{ours:?}\nBIND reads\n{theirs:?}")),
        (Err(_), Err(_)) if !is_listed => None,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) if is_listed => None,
        (ours, theirs) => Some(format!("{name}: {ours:?}\nBIND: {theirs:?}")),
    }
}

/// `tests/zonefiles/run` runs this: it takes the tool half a minute.
#[test]
#[ignore = "needs named-compilezone, and half a minute"]
fn every_file_is_read_as_bind_reads_it() {
    let differences = list("differences.txt");
    let files = zone_files();
    let vain = differences.keys().filter(|name| !files.contains(name)).map(|name| format!("{name}: is listed in vain"));
    let mut faults: Vec<String> = vain.collect();
    std::thread::scope(|scope| {
        let judge = |files: &[String]| {
            let differences = files.iter().filter_map(|name| difference(name, differences.contains_key(name)));
            differences.collect::<Vec<_>>()
        };
        let workers: Vec<_> =
            files.chunks(files.len() / 4 + 1).map(|files| scope.spawn(move || judge(files))).collect();
        faults.extend(workers.into_iter().flat_map(|worker| worker.join().unwrap()));
    });
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// A piece of syntax, or any characters.
fn fragment() -> impl Strategy<Value = String> {
    let syntax = [
        "(",
        ")",
        "\"",
        "\\",
        "\\#",
        "\\0",
        "\\065",
        ";",
        "\n",
        "\r",
        "\t",
        " ",
        "@",
        ".",
        "..",
        "$",
        "${",
        "${0,63,n}",
        "*",
        "\u{0}",
        "ö",
        "$INCLUDE plain.inc ",
        "$ORIGIN ",
        "$TTL ",
        "$GENERATE 1-9 ",
        "TXT ",
        "TYPE65280 ",
        "HTTPS 1 . ",
        "LOC ",
        "IN ",
        "0",
        "4294967296",
        "=",
        ",",
    ];
    prop_oneof![4 => proptest::sample::select(syntax.to_vec()).prop_map(str::to_owned), 1 => "[^\r]{0,4}"]
}

/// A change of a text.
#[derive(Clone, Debug)]
struct TextChange {
    place: Index,
    /// The number of characters to remove.
    removed: usize,
    inserted: String,
}

fn change() -> impl Strategy<Value = TextChange> {
    let parts = (any::<Index>(), 0..8_usize, fragment());
    parts.prop_map(|(place, removed, inserted)| TextChange { place, removed, inserted })
}

proptest! {
    /// A changed file is a zone or has errors. A change of a line is never a panic.
    #[test]
    fn a_changed_file_is_read_or_refused(file in any::<Index>(), changes in vec(change(), 1..6)) {
        let mut file = master_file(file.get::<String>(&zone_files()));
        for TextChange { place, removed, inserted } in changes {
            let mut chars: Vec<char> = file.text.chars().collect();
            let start = place.index(chars.len() + 1);
            let end = chars.len().min(start + removed);
            chars.splice(start..end, inserted.chars());
            file.text = chars.into_iter().collect();
        }
        included_files(&file.path, &file.text);
        let mut errors = Vec::new();
        let sets = master::read(&file, &Name::from_ascii("kube-cp.com.").unwrap(), &mut errors);
        prop_assert!(sets.iter().all(|set| !set.set.data.is_empty()));
        prop_assert!(errors.iter().all(|error| error.to_string().contains(".zone:") || error.to_string().contains(".inc:")));
    }
}

/// A reader with a quadratic step would not come to an end.
#[test]
fn large_files_are_read_or_refused() {
    let filled = |piece: &str| piece.repeat(MAX_ZONE_BYTES / 4 / piece.len());
    let numbered: String = (0..50_000).map(|n| format!("a{n} 9 A 1.2.3.4\n")).collect();
    let addresses: String = (0..50_000_u32).map(|n| format!("a 9 A {}\n", std::net::Ipv4Addr::from(n))).collect();
    let types: String = (256..65_000).map(|n| format!("a 9 TYPE{n} \\# 0\n")).collect();
    for text in [
        numbered,
        addresses,
        types,
        filled("a 9 A 1.2.3.4\n"),
        filled("x. 9 A 1.2.3.4\n"),
        filled("a 9 CH A 1\n"),
        filled("$ORIGIN a\n$ORIGIN @\n"),
        format!("a 9 TXT {}", filled("x ")),
        format!("a 9 TXT {}", filled("(")),
        format!("a 9 TXT \"{}", filled("x")),
        format!("a 9 NS {}", filled("x.")),
        format!("a 9 TYPE65280 \\# 9 {}", filled("00 ")),
        format!("a 9 HTTPS 1 . {}", filled("key1=x ")),
        filled("\n"),
        filled(" \\\n"),
        format!("$TTL 9\n$GENERATE 0-2147483647 @ TXT {}\n", "x".repeat(200)),
    ] {
        let file = MasterFile { path: "large.zone".into(), text, included: BTreeMap::new() };
        let mut errors = Vec::new();
        let sets = master::read(&file, &Name::from_ascii("kube-cp.com.").unwrap(), &mut errors);
        assert!(errors.len() <= 100 && sets.iter().all(|set| set.set.data.len() <= 4096));
    }
}
