//! The rules that come with Watershed, embedded in the binary.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::front_matter::RuleSource;
use crate::lint::LintFinding;
use crate::reference::ReferenceTables;

/// One rule of the catalog with its tests.
#[derive(Clone, Copy, Debug)]
pub struct CatalogRule {
    /// Path of the rule file in the catalog, such as `model/denied-action-went-through.sql`.
    pub path: &'static str,
    /// The rule file.
    pub sql: &'static str,
    /// Its test file.
    pub tests: &'static str,
}

impl CatalogRule {
    /// Path of the test file in the catalog.
    pub fn tests_path(&self) -> PathBuf {
        crate::test_runner::tests_of(Path::new(self.path))
    }

    /// The rule as read.
    ///
    /// # Errors
    /// What is wrong with its front matter; nothing, as the catalog's own tests see to.
    pub fn source(&self) -> Result<RuleSource, Vec<LintFinding>> {
        RuleSource::parse(Path::new(self.path), self.sql)
    }
}

macro_rules! catalog {
    ($( $stem:literal ),* $(,)?) => {
        &[$( CatalogRule {
            path: concat!($stem, ".sql"),
            sql: include_str!(concat!("../catalog/", $stem, ".sql")),
            tests: include_str!(concat!("../catalog/", $stem, ".test.yaml")),
        } ),*]
    };
}

/// The reference tables with which the catalog's tests run, in the catalog's folder `reference`.
const REFERENCE: &[(&str, &str)] = &[
    ("agents.json", include_str!("../catalog/reference/agents.json")),
    ("tools.csv", include_str!("../catalog/reference/tools.csv")),
];

/// The reference tables with which the catalog's tests run.
pub fn reference_of_tests() -> ReferenceTables {
    ReferenceTables::of_texts(REFERENCE).expect("the embedded tables are valid")
}

/// Every rule of the catalog, in order of their paths.
pub const CATALOG: &[CatalogRule] = catalog![
    "access/consent-to-unknown-client",
    "access/deactivated-account-active",
    "access/failed-sign-ins-then-success",
    "access/finding-without-containment",
    "access/revoked-role-still-used",
    "access/service-account-new-network",
    "access/session-in-two-places",
    "access/token-used-after-revocation",
    "cross/access-finding-then-model-finding",
    "cross/agent-of-two-tenants",
    "cross/agent-uses-wider-token",
    "cross/credential-of-two-agents",
    "cross/flagged-prompt-then-broader-token",
    "cross/grant-then-first-tool-use",
    "cross/guardrail-weakened-then-abused",
    "cross/leavers-agent-still-acts",
    "cross/risk-raised-tools-go-on",
    "cross/standing-key-older-than-policy",
    "cross/tool-beyond-token-scope",
    "cross/tool-call-in-risky-session",
    "cross/tool-call-with-dead-token",
    "cross/unattributed-sensitive-tool-call",
    "model/agent-loop",
    "model/denied-action-went-through",
    "model/first-tool-use-then-outbound",
    "model/indirect-injection-then-sensitive-tool",
    "model/model-extraction-by-volume",
    "model/poisoned-memory-acts-later",
    "model/repeated-denials-then-allow",
];

/// A file that could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is there already with other content, which is not ours to overwrite.
    #[error("{path} exists and differs from the catalog; export to another folder or move the file away", path = .0.display())]
    Differs(PathBuf),
    /// The system refused.
    #[error("{path}: {error}", path = .path.display())]
    Unwritable {
        /// What.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// Writes the catalog into a folder, rules and tests, and returns the files in order. Files that are there already with the
/// same content are left alone, so that it can be repeated.
///
/// # Errors
/// At the first file that exists with other content or can't be written. Nothing is ever overwritten.
pub fn export(folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
    let mut written = Vec::with_capacity(2 * CATALOG.len());
    for rule in CATALOG {
        for (path, text) in [(PathBuf::from(rule.path), rule.sql), (rule.tests_path(), rule.tests)] {
            let path = folder.join(path);
            write_new(&path, text)?;
            written.push(path);
        }
    }
    for (name, text) in REFERENCE {
        let path = folder.join("reference").join(name);
        write_new(&path, text)?;
        written.push(path);
    }
    Ok(written)
}

fn write_new(path: &Path, text: &str) -> Result<(), ExportError> {
    let unwritable = |error| ExportError::Unwritable { path: path.to_path_buf(), error };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    match std::fs::File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(unwritable),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let there = std::fs::read(path).map_err(unwritable)?;
            if there == text.as_bytes() { Ok(()) } else { Err(ExportError::Differs(path.to_path_buf())) }
        }
        Err(error) => Err(unwritable(error)),
    }
}

#[cfg(test)]
mod tests;
