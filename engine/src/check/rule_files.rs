//! Finding rule files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use watershed_rules::catalog::CATALOG;
use watershed_rules::{LintFinding, RuleSource};

use super::of_file;
use crate::config::Problem;

/// A rule file, read as far as it can be.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Where it is; for rules of the catalog the path within it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The rule, or what is wrong with its front matter.
    pub source: Result<RuleSource, Vec<LintFinding>>,
    /// Its tests, where it belongs to the catalog; other rules have theirs in a file beside them.
    pub tests: Option<&'static str>,
}

/// Rule files, and what could not be read.
#[derive(Clone, Debug, Default)]
pub struct RuleFiles {
    /// The files, by path.
    pub files: Vec<RuleFile>,
    /// Directories and files that can't be read, and ids that two files claim.
    pub problems: Vec<Problem>,
}

impl RuleFiles {
    /// The rules that are built into the program.
    pub fn catalog() -> Self {
        let file = |rule: &watershed_rules::catalog::CatalogRule| RuleFile {
            path: PathBuf::from(rule.path),
            text: rule.sql.to_owned(),
            source: rule.source(),
            tests: Some(rule.tests),
        };
        RuleFiles { files: CATALOG.iter().map(file).collect(), problems: Vec::new() }
    }

    /// The rules of a file, or of a directory and those in it: every `.sql` file.
    pub fn read(path: &Path) -> Self {
        let mut found = RuleFiles::default();
        found.read_into(path, true);
        if found.files.is_empty() && found.problems.is_empty() {
            found.problems.push(of_file(path, "holds no rule; rules are files that end in `.sql`"));
        }
        found
    }

    fn read_into(&mut self, path: &Path, named: bool) {
        if path.is_dir() {
            let entries = fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
            match entries {
                Ok(mut entries) => {
                    entries.sort_by_key(fs::DirEntry::file_name);
                    for entry in entries {
                        // A link that leads back up would never end.
                        if !entry.file_type().is_ok_and(|kind| kind.is_symlink() && entry.path().is_dir()) {
                            self.read_into(&entry.path(), false);
                        }
                    }
                }
                Err(error) => self.problems.push(of_file(path, format!("can't be read: {error}"))),
            }
            return;
        }
        if !named && path.extension().is_none_or(|extension| extension != "sql") {
            return;
        }
        match fs::read(path) {
            Ok(bytes) => {
                let source = RuleSource::parse_bytes(path, &bytes);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.files.push(RuleFile { path: path.to_owned(), text, source, tests: None });
            }
            Err(error) => self.problems.push(of_file(path, format!("can't be read: {error}"))),
        }
    }

    /// Adds rules. One with the id of an earlier rule takes its place; two of the same id among the added are a problem.
    pub fn replace_with(&mut self, added: RuleFiles) {
        self.problems.extend(added.problems);
        let id = |file: &RuleFile| file.source.as_ref().ok().map(|source| source.meta.id.clone());
        let mut taken: BTreeMap<String, PathBuf> = BTreeMap::new();
        for file in &added.files {
            let Some(id) = id(file) else { continue };
            if let Some(earlier) = taken.get(&id) {
                self.problems
                    .push(of_file(&file.path, format!("has the id `{id}` of {}; rename one", earlier.display())));
            } else {
                taken.insert(id, file.path.clone());
            }
        }
        self.files.retain(|file| id(file).is_none_or(|id| !taken.contains_key(&id)));
        self.files.extend(added.files);
    }
}
