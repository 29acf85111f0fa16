//! The shapes of rules that authors write, from `rules/tests/shapes/*.sql`. The tests of the engine read them too.
//!
//! A shape begins with `-- shape: NAME`, then come `-- key: COLUMNS`, perhaps `-- emit: early`, and what the compiler says
//! of it: `-- proves: …` or `-- refuses: LINE:COLUMN: CODE: …`, where lines count from the first of the SQL. A shape may
//! read the signals of others of its file, by their ids.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use watershed_rules::{Beside, LintFinding, Outcome, ReferenceTables, RuleSource, in_strata};

/// One shape.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The file's stem.
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) emit: Option<String>,
    /// What the file says that the compiler says.
    pub(crate) expected: String,
    pub(crate) sql: String,
}

impl Shape {
    /// Whether the file says that it is accepted.
    pub(crate) fn is_accepted(&self) -> bool {
        self.expected.starts_with("proves: ")
    }

    /// The rule's id: the name, with what an id can't hold as `-`.
    pub(crate) fn id(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        self.name.chars().map(plain).collect()
    }

    /// The rule file.
    pub(crate) fn source(&self) -> Result<RuleSource, Vec<LintFinding>> {
        let emit = self.emit.as_deref().unwrap_or("final");
        let text = format!(
            "/*---\nid: {}\ntitle: {}\nplane: access\nseverity: high\nkey: [{}]\nemit: {emit}\n\n---*/\n{}",
            self.id(),
            self.name,
            self.key,
            self.sql
        );
        RuleSource::parse(Path::new("shape.sql"), &text)
    }
}

/// What becomes of each shape of a file, each beside those whose signals it reads.
pub(crate) fn compile_file(
    shapes: &[Shape],
    reads: impl Fn(&RuleSource) -> BTreeSet<String>,
    compile: impl Fn(&RuleSource, &Beside) -> Outcome,
) -> Vec<Outcome> {
    let sources: Vec<_> = shapes.iter().map(Shape::source).collect();
    let readable: Vec<&RuleSource> = sources.iter().flatten().collect();
    let compiled =
        in_strata(&readable, &BTreeSet::new(), |_, source| reads(source), |_, source, beside| compile(source, beside));
    let mut compiled = compiled.into_iter();
    let outcome = |source: Result<RuleSource, Vec<LintFinding>>| match source {
        Ok(_) => compiled.next().flatten().expect("each is compiled"),
        Err(findings) => Err(findings),
    };
    sources.into_iter().map(outcome).collect()
}

/// The reference tables that shapes join.
pub(crate) fn reference() -> &'static ReferenceTables {
    static TABLES: LazyLock<ReferenceTables> =
        LazyLock::new(|| ReferenceTables::load_dir(&folder().join("reference")).expect("they are fine"));
    &TABLES
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/tests/shapes")
}

/// The files, in order of their names.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    files
}

/// The text before the first shape, and the shapes.
pub(crate) fn read(path: &Path) -> (String, Vec<Shape>) {
    let text = fs::read_to_string(path).expect("readable");
    let mut parts = text.split("-- shape: ");
    let head = parts.next().unwrap_or_default().to_owned();
    let shapes = parts.map(|part| {
        let mut lines = part.lines();
        let mut shape = Shape {
            group: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            name: lines.next().unwrap_or_default().to_owned(),
            key: String::new(),
            emit: None,
            expected: String::new(),
            sql: String::new(),
        };
        for line in lines {
            match line.strip_prefix("-- ").and_then(|line| line.split_once(": ")) {
                Some(("key", key)) => shape.key = key.to_owned(),
                Some(("emit", emit)) => shape.emit = Some(emit.to_owned()),
                Some(("proves" | "refuses", _)) => shape.expected = line.trim_start_matches("-- ").to_owned(),
                _ => writeln!(shape.sql, "{line}").expect("a text"),
            }
        }
        shape.sql.truncate(shape.sql.trim_end().len());
        shape
    });
    (head, shapes.collect())
}

/// The shapes of one group, or of all.
pub(crate) fn shapes(group: Option<&str>) -> Vec<Shape> {
    let all = files().into_iter().flat_map(|path| read(&path).1);
    all.filter(|shape| group.is_none_or(|group| shape.group == group)).collect()
}
