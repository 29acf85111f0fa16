//! The shapes of rules that authors write, from `tests/shapes/*.sql`: what is proven of each, or why it is refused.
//!
//! A shape begins with `-- shape: NAME`, then come `-- key: COLUMNS`, perhaps `-- emit: early`, and what the compiler says
//! of it: `-- proves: …` or `-- refuses: LINE:COLUMN: CODE: …`, where lines count from the first of the SQL.
//! `UPDATE_EXPECTED=1` rewrites these.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use watershed_rules::{CompiledRule, LintFinding, ReferenceTables, RuleSource, Speaks};
use watershed_schemas::Plane;

use crate::check::compiled_with;

/// The line of the rule file on which the SQL of a shape begins.
const SQL_LINE: usize = 10;

/// One shape.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The file's stem.
    pub(crate) group: String,
    pub(crate) name: String,
    key: String,
    emit: Option<String>,
    /// What the file says that the compiler says.
    expected: String,
    sql: String,
}

impl Shape {
    /// Whether the file says that it is accepted.
    pub(crate) fn is_accepted(&self) -> bool {
        self.expected.starts_with("proves: ")
    }

    pub(crate) fn compile(&self) -> Result<CompiledRule, Vec<LintFinding>> {
        let id: String = self.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let emit = self.emit.as_deref().unwrap_or("final");
        let text = format!(
            "/*---\nid: {}\ntitle: {}\nplane: access\nseverity: high\nkey: [{}]\nemit: {emit}\n\n---*/\n{}",
            id.to_lowercase(),
            self.name,
            self.key,
            self.sql
        );
        compiled_with(&RuleSource::parse(Path::new("shape.sql"), &text)?, reference())
    }
}

/// The reference tables that shapes join.
pub(crate) fn reference() -> &'static ReferenceTables {
    static TABLES: LazyLock<ReferenceTables> =
        LazyLock::new(|| ReferenceTables::load_dir(&folder().join("reference")).expect("they are fine"));
    &TABLES
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes")
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    files
}

/// The text before the first shape, and the shapes.
fn read(path: &Path) -> (String, Vec<Shape>) {
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

fn written(head: &str, shapes: &[Shape]) -> String {
    let mut text = head.to_owned();
    for (at, shape) in shapes.iter().enumerate() {
        let between = if at == 0 { "" } else { "\n" };
        writeln!(text, "{between}-- shape: {}\n-- key: {}", shape.name, shape.key).expect("a text");
        if let Some(emit) = &shape.emit {
            writeln!(text, "-- emit: {emit}").expect("a text");
        }
        writeln!(text, "-- {}\n{}", shape.expected, shape.sql).expect("a text");
    }
    text
}

/// What the compiler says, in one line.
fn said(result: &Result<CompiledRule, Vec<LintFinding>>) -> String {
    match result {
        Ok(rule) => format!("proves: {}", proven(rule)),
        Err(findings) => {
            let told = findings.iter().map(|finding| {
                let line = finding.line as i64 - SQL_LINE as i64 + 1;
                format!("{line}:{}: {}: {}; {}", finding.column, finding.code, finding.message, finding.help)
            });
            format!("refuses: {}", told.collect::<Vec<_>>().join(" | "))
        }
    }
}

/// Such as `at once; by tenant, principal; r 0..0 needs 1; i -6m..0 needs 1`.
fn proven(rule: &CompiledRule) -> String {
    let mut parts = vec![match &rule.speaks {
        Speaks::AtOnce { .. } => "at once".to_owned(),
        Speaks::AtWatermark { lookahead, why } => {
            let waits = Plane::ALL
                .into_iter()
                .filter_map(|plane| lookahead[plane.index()].map(|ahead| format!("{} {}", plane.table(), span(ahead))));
            format!("waits for {} ({why})", waits.collect::<Vec<_>>().join(" and "))
        }
    }];
    for scan in &rule.scans {
        let key: Vec<&str> = scan.key.iter().map(|&column| scan.plane.columns()[column].name).collect();
        let (least, most) = scan.around;
        let table = scan.plane.table();
        let name = if scan.alias == table { table.to_owned() } else { format!("{table} {}", scan.alias) };
        let needs = if scan.min_rows == 0 { String::new() } else { format!(" needs {}", scan.min_rows) };
        parts.push(format!("{name} by {} {}..{}{needs}", key.join(", "), span(least), span(most)));
    }
    parts.extend(rule.warnings.iter().map(|warning| format!("warns {}", warning.code)));
    parts.join("; ")
}

fn span(micros: i64) -> String {
    let text = match micros.unsigned_abs() {
        0 => "0".to_owned(),
        micros if micros % 60_000_000 == 0 => format!("{}m", micros / 60_000_000),
        micros if (micros + 1) % 60_000_000 == 0 => format!("{}m-1us", (micros + 1) / 60_000_000),
        micros => format!("{micros}us"),
    };
    if micros < 0 { format!("-{text}") } else { text }
}

#[test]
fn every_shape_is_accepted_or_refused_as_written() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut faults = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for path in files() {
        let (head, mut shapes) = read(&path);
        assert!(!shapes.is_empty(), "{}", path.display());
        for shape in &mut shapes {
            let said = said(&shape.compile());
            let count = if said.starts_with("proves") { &mut accepted } else { &mut refused };
            *count += 1;
            if said != shape.expected {
                faults
                    .push(format!("{}: {}\n  expected {}\n  found    {said}", shape.group, shape.name, shape.expected));
            }
            shape.expected = said;
        }
        if update {
            fs::write(&path, written(&head, &shapes)).expect("writable");
        }
    }
    assert!(update || faults.is_empty(), "{}\nUPDATE_EXPECTED=1 rewrites them", faults.join("\n"));
    assert!(accepted >= 90 && refused >= 40, "{accepted} accepted, {refused} refused");
}
