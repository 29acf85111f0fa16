use std::fs;
use std::path::Path;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use proptest::prelude::*;
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::sources::files::{DecodedBatch, FileInput, PlainFiles};
use watershed_schemas::Plane;
use watershed_schemas::tables::runtime;

fn line(id: &str, second: u32) -> String {
    format!(
        r#"{{"event_id":"{id}","event_time":"2026-01-01T00:{:02}:{:02}Z","kind":"prompt"}}"#,
        second / 60,
        second % 60
    )
}

fn open(dir: &Path, files: &[(Plane, &str)]) -> PlainFiles {
    let inputs = files
        .iter()
        .enumerate()
        .map(|(index, (plane, content))| {
            let path = dir.join(format!("{index}.jsonl"));
            fs::write(&path, content).expect("writable");
            FileInput { plane: *plane, path, format: "watershed".into() }
        })
        .collect();
    PlainFiles::open(inputs, Registry::builtin(Limits::default()), "acme").expect("opens")
}

fn ids(batch: &DecodedBatch) -> Vec<String> {
    batch.batch.rows.column(runtime::EVENT_ID).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

/// The ids of each call, which may hold several files.
fn all(files: &mut PlainFiles, rows: usize) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    while let Some(batches) = files.next(rows).expect("reads") {
        assert!(batches.iter().map(|batch| batch.offsets.len()).sum::<usize>() <= rows);
        calls.push(batches.iter().flat_map(ids).collect());
    }
    calls
}

#[test]
fn rows_merge_by_time_then_plane_then_file_then_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let access = [line("i1", 1), line("i2", 2), line("i5", 5)].join("\n");
    let first = [line("a1", 1), line("a4", 4), line("a2", 2), line("a2b", 2)].join("\n");
    let second = [line("b2", 2)].join("\n");
    let mut files = open(dir.path(), &[(Plane::Access, &access), (Plane::Model, &first), (Plane::Model, &second)]);
    let order: Vec<String> = all(&mut files, 1).concat();
    assert_eq!(order, ["a1", "i1", "a2", "a2b", "b2", "i2", "a4", "i5"]);
    let (read, total) = files.progress().so_far();
    assert_eq!(read, total);
}

#[test]
fn a_rows_own_ingest_time_decides_and_without_one_it_is_null() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let late = r#"{"event_id":"late","event_time":"2026-01-01T00:00:01Z","ingest_time":"2026-01-01T00:00:30Z","kind":"prompt"}"#;
    let mut files = open(dir.path(), &[(Plane::Model, &[late.to_owned(), line("early", 2)].join("\n"))]);
    let batches = files.next(10).expect("reads").expect("rows");
    assert_eq!(ids(&batches[0]), ["early", "late"]);
    assert_eq!(batches[0].offsets, [1, 0]);
    let ingest = batches[0].batch.rows.column(runtime::INGEST_TIME).as_primitive::<TimestampMicrosecondType>();
    assert!(ingest.is_null(0) && !ingest.is_null(1));
    assert!(files.next(10).expect("reads").is_none());
}

#[test]
fn rejects_keep_their_line_and_first_bytes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let content = [line("a", 1), "{broken".into(), line("b", 2), "also broken".into()].join("\n");
    let mut files = open(dir.path(), &[(Plane::Model, &content)]);
    let batches = files.next(1).expect("reads").expect("rows");
    let rejected: Vec<(i64, &[u8])> =
        batches[0].rejected.iter().map(|rejected| (rejected.offset, &rejected.first_bytes[..])).collect();
    assert_eq!(rejected, [(1, &b"{broken"[..]), (3, &b"also broken"[..])]);
    assert_eq!(batches[0].batch.rejects.iter().map(|reject| reject.record).collect::<Vec<_>>(), [0, 1]);
    let batches = files.next(1).expect("reads").expect("rows");
    assert!(batches[0].rejected.is_empty(), "rejects come once");
}

#[test]
fn a_file_of_rejects_alone_still_gives_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut files = open(dir.path(), &[(Plane::Model, "x\ny\n"), (Plane::Access, &line("i", 1))]);
    let mut rejected = 0;
    let mut rows = Vec::new();
    while let Some(batches) = files.next(100).expect("reads") {
        rejected += batches.iter().map(|batch| batch.rejected.len()).sum::<usize>();
        rows.extend(batches.iter().flat_map(ids));
    }
    assert_eq!((rejected, rows), (2, vec!["i".to_owned()]));
}

#[test]
fn an_absent_file_is_named() {
    let input = FileInput { plane: Plane::Model, path: "/surely/absent.jsonl".into(), format: "auto".into() };
    let error = PlainFiles::open(vec![input], Registry::builtin(Limits::default()), "acme").err().expect("absent");
    assert!(error.to_string().contains("/surely/absent.jsonl"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_order_does_not_depend_on_how_many_rows_are_asked_for(
        model in proptest::collection::vec(0..50_u32, 0..40),
        access in proptest::collection::vec(0..50_u32, 0..40),
        rows in 1..9_usize,
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let content = |name: &str, seconds: &[u32]| {
            let lines = seconds.iter().enumerate().map(|(number, second)| line(&format!("{name}{number:03}"), *second));
            lines.collect::<Vec<_>>().join("\n")
        };
        let (model_text, access_text) = (content("m", &model), content("x", &access));
        let inputs = [(Plane::Model, model_text.as_str()), (Plane::Access, access_text.as_str())];
        let one_by_one = all(&mut open(dir.path(), &inputs), 1).concat();
        let mut expected: Vec<(u32, String)> = Vec::new();
        for (name, seconds) in [("m", &model), ("x", &access)] {
            expected.extend(seconds.iter().enumerate().map(|(number, second)| (*second, format!("{name}{number:03}"))));
        }
        expected.sort();
        prop_assert_eq!(&one_by_one, &expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        // A call of several rows holds the same rows as as many calls of one, file by file.
        let mut position = 0;
        for call in all(&mut open(dir.path(), &inputs), rows) {
            let mut ones = one_by_one[position..position + call.len()].to_vec();
            position += call.len();
            ones.sort_by_key(|id| id.as_bytes()[0]);
            prop_assert_eq!(call, ones);
        }
        prop_assert_eq!(position, one_by_one.len());
    }
}
