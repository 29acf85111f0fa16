//! Every sort of message as every kind of receiver gets it, in `tests/messages`: read as the person at 3 a.m.
//!
//! `UPDATE_EXPECTED=1` writes the files anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::sinks::sinks;
use crate::messages::{BUILT_IN, Template, examples};

/// Kinds that are written out for every sort of message; the others wrap one of these.
const SHOWN: [&str; 4] = ["slack", "pagerduty", "webhook", "ocsf"];

pub(crate) fn directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    fs::create_dir_all(&directory).expect("it can be made");
    directory
}

/// Compares with a file, or writes it.
pub(crate) fn expect(name: &str, said: &str) {
    let path = directory().join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, said).expect("it can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(said, there, "{}: if the new text is better, write it with UPDATE_EXPECTED=1", path.display());
}

#[test]
fn every_message_reads_as_it_did() {
    let sinks = sinks();
    let templates = BUILT_IN.map(|(name, _)| (name, Template::load(Path::new(name)).expect("built in")));
    for example in examples() {
        let mut said = String::new();
        for (name, template) in &templates {
            let (title, text) = template.render(&example.notification).expect("written");
            let _ = write!(said, "════ template {name}\n{title}\n\n{text}\n\n");
        }
        let all_kinds = example.name == "opened-both-iam";
        for (kind, sink) in sinks.iter().filter(|(kind, _)| all_kinds || SHOWN.contains(kind)) {
            let body = sink.preview(&example.notification);
            let shown = match *kind {
                "slack" => lines(&body),
                _ => serde_json::to_string_pretty(&body).expect("JSON"),
            };
            let _ = write!(said, "════ {kind}\n{shown}\n\n");
        }
        expect(&format!("{}.txt", example.name), &said);
    }
}

#[test]
fn no_file_is_left_of_a_message_that_is_gone() {
    let names: Vec<String> = examples().iter().map(|example| format!("{}.txt", example.name)).collect();
    for entry in fs::read_dir(directory()).expect("the directory") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(names.contains(&name) || name.starts_with("redaction"), "{name} belongs to no example");
    }
}

/// The texts of Block Kit, one block after the other.
fn lines(body: &Value) -> String {
    fn texts(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(fields) => match fields.get("text") {
                Some(Value::String(text)) => out.push(text.clone()),
                _ => fields.values().for_each(|value| texts(value, out)),
            },
            Value::Array(items) => items.iter().for_each(|value| texts(value, out)),
            _ => {}
        }
    }
    let mut out = vec![format!("(phone) {}", body["text"].as_str().unwrap_or_default())];
    for block in body["blocks"].as_array().into_iter().flatten() {
        let mut block_texts = Vec::new();
        texts(block, &mut block_texts);
        let kind = block["type"].as_str().unwrap_or_default();
        out.push(format!("[{kind}] {}", block_texts.join(if kind == "section" { "\n          " } else { " | " })));
    }
    out.join("\n")
}
