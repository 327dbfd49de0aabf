use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Replaces the file, so that its version differs however coarse the clock of the disk is.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn files_are_read_again_only_when_one_of_them_changes() {
    let dir = tempfile::tempdir().unwrap();
    let paths = vec![dir.path().join("a"), dir.path().join("b")];
    fs::write(&paths[0], "1").unwrap();
    fs::write(&paths[1], "2").unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let sources = paths.clone();
    let watched = WatchedFiles::new("numbers", paths.clone(), move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok::<_, io::Error>(fs::read_to_string(&sources[0])? + &fs::read_to_string(&sources[1])?)
    });
    assert_eq!(*watched.current().unwrap(), "12");
    assert_eq!(*watched.current().unwrap(), "12");
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    replace(&paths[1], "3");
    assert_eq!(*watched.current().unwrap(), "13");
}

#[test]
fn the_last_good_value_stays_until_the_file_can_be_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let source = path.clone();
    let watched = WatchedFiles::new("text", vec![path.clone()], move || fs::read_to_string(&source));
    assert!(watched.current().is_err(), "there is no value yet");
    replace(&path, "good");
    assert_eq!(*watched.current().unwrap(), "good");
    assert_eq!(watched.error(), None);
    fs::remove_file(&path).unwrap();
    assert_eq!(*watched.current().unwrap(), "good");
    assert!(watched.error().unwrap().contains("No such file"));
    replace(&path, "better");
    assert_eq!(*watched.current().unwrap(), "better");
    assert_eq!(watched.error(), None);
}

#[test]
fn files_that_cannot_be_used_are_not_parsed_anew_until_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "garbage").unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let source = path.clone();
    let watched = WatchedFiles::new("number", vec![path.clone()], move || {
        counter.fetch_add(1, Ordering::Relaxed);
        fs::read_to_string(&source).map_err(io::Error::other)?.parse::<u8>().map_err(io::Error::other)
    });
    for _ in 0..20 {
        assert!(watched.current().is_err());
    }
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    replace(&path, "7");
    assert_eq!(*watched.current().unwrap(), 7);
    replace(&path, "garbage again");
    for _ in 0..20 {
        assert_eq!(*watched.current().unwrap(), 7);
    }
    assert_eq!(reads.load(Ordering::Relaxed), 3);
}

#[test]
fn a_disk_that_does_not_answer_leaves_the_last_good_value_and_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "good").unwrap();
    let source = path.clone();
    let watched = WatchedFiles::new("text", vec![path.clone()], move || fs::read_to_string(&source));
    assert_eq!(*watched.current().unwrap(), "good");
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    for _ in 0..100 {
        assert_eq!(*watched.current().unwrap(), "good");
    }
    assert!(watched.error().unwrap().ends_with("the disk does not answer; a disk that works is needed"));
    fs::write(&path, "late").unwrap();
    while watched.error().is_some() {
        thread::yield_now();
    }
    assert_eq!(*watched.latest().unwrap(), "late");
}
