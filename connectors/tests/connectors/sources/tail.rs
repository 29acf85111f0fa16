use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use watershed_connectors::sources::tail::{TailSettings, TailSource, TailedFile};
use watershed_connectors::sources::{Positions, Source, SourceEvent};
use watershed_schemas::{Plane, Timestamp};

use super::{WAIT, payloads};

fn settings(path: &Path) -> TailSettings {
    let file = TailedFile { path: path.to_owned(), format: "auto".into(), tenant: "default".into() };
    TailSettings { runtime: vec![file], identity: Vec::new() }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opens");
    file.write_all(text.as_bytes()).expect("appends");
}

/// The next records, past marks.
fn records(source: &mut TailSource) -> Vec<(i64, String)> {
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline {
        if let SourceEvent::Batch(batch) = source.poll(Duration::from_millis(50)).expect("the source goes on") {
            return payloads(&batch);
        }
    }
    panic!("no records within {WAIT:?}");
}

fn line(offset: i64, text: &str) -> (i64, String) {
    (offset, text.to_owned())
}

#[test]
fn lines_come_when_they_are_whole_and_the_end_is_told() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("runtime.jsonl");
    let mut source = TailSource::new(&settings(&path));
    assert!(matches!(source.poll(Duration::ZERO), Ok(SourceEvent::Quiet)), "an absent file is not at its end");
    append(&path, "one\r\n\ntw");
    assert_eq!(records(&mut source), [line(4, "one")]);
    assert!(matches!(source.poll(Duration::ZERO), Ok(SourceEvent::Quiet)), "a begun line is still to come");
    append(&path, "o\n");
    assert_eq!(records(&mut source), [line(9, "two")]);
    let before = Timestamp::from_micros(chrono::Utc::now().timestamp_micros());
    let event = source.poll(WAIT).expect("the source goes on");
    assert!(
        matches!(&event, SourceEvent::CaughtUp { partition, at } if partition.plane == Plane::Model && *at >= before),
        "{event:?}"
    );
    assert!(matches!(source.poll(Duration::ZERO), Ok(SourceEvent::Quiet)), "marks are not repeated at once");
}

#[test]
fn stored_positions_resume_at_the_next_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("runtime.jsonl");
    append(&path, "one\ntwo\n");
    let mut source = TailSource::new(&settings(&path));
    let read = records(&mut source);
    let own = source.partitions().remove(0);
    for (processed, rest) in [(0, &read[1..]), (1, &[][..])] {
        append(&path, "");
        let mut again = TailSource::new(&settings(&path));
        again.resume_from(&Positions::from([(own.clone(), read[processed].0 + 1)])).expect("accepted");
        match again.poll(WAIT).expect("the source goes on") {
            SourceEvent::Batch(batch) => assert_eq!(payloads(&batch), rest),
            event => assert!(rest.is_empty() && matches!(event, SourceEvent::CaughtUp { .. }), "{event:?}"),
        }
    }
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("runtime.jsonl");
    append(&path, "one\n");
    let mut source = TailSource::new(&settings(&path));
    assert_eq!(records(&mut source), [line(3, "one")]);
    append(&path, "two\nlast");
    fs::rename(&path, dir.path().join("runtime.jsonl.1")).expect("renamed");
    append(&path, "new\n");
    assert_eq!(records(&mut source), [line(7, "two")]);
    assert_eq!(records(&mut source), [line(11, "last")]);
    assert_eq!(records(&mut source), [line(3, "new")]);
}

#[test]
fn a_truncated_file_is_read_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("runtime.jsonl");
    append(&path, "one, which is long\n");
    let mut source = TailSource::new(&settings(&path));
    records(&mut source);
    fs::write(&path, "two\n").expect("rewritten");
    assert_eq!(records(&mut source), [line(3, "two")]);
}

#[test]
fn settings_name_every_problem() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut twice = settings(dir.path());
    twice.identity = twice.runtime.clone();
    let problems = twice.validate();
    assert!(problems.iter().any(|problem| problem.contains("listed twice")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("is a directory")), "{problems:?}");
    assert!(TailSettings::default().validate()[0].contains("has no file"));
}
