//! The rules that come with the project compile.

use std::fs;
use std::path::{Path, PathBuf};

use watershed_rules::{RuleSource, report};

use crate::check::{compiled_set, list};

fn rule_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog");
    let mut files: Vec<PathBuf> = ["model", "access", "cross"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).expect("the catalog has its folders"))
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_rule_compiles_with_a_key_and_without_warnings() {
    let mut faults = Vec::new();
    let files: Vec<(PathBuf, String)> = rule_files()
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            (path, text)
        })
        .collect();
    let sources: Vec<RuleSource> = files
        .iter()
        .map(|(path, text)| RuleSource::parse(path, text).unwrap_or_else(|findings| panic!("{}", list(&findings))))
        .collect();
    let compiled = compiled_set(&sources.iter().collect::<Vec<_>>());
    for ((path, text), rule) in files.into_iter().zip(compiled) {
        match rule {
            Err(findings) => faults.push(watershed_rules::render(&path, &text, &findings, false)),
            Ok(rule) => {
                let described = report(&rule).to_string();
                assert!(described.contains("speaks") && described.contains("remembers"), "{described}");
                if !rule.warnings.is_empty() {
                    faults.push(watershed_rules::render(&path, &text, &rule.warnings, false));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
