//! What the compiler knows about a rule, for its author: what `rules lint` prints.

use watershed_schemas::Plane;

use crate::compiled::{CompiledRule, Scan, Speaks};

/// What one rule reads, remembers and waits for, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReport {
    /// The rule's id.
    pub id: String,
    /// One line per scan: table, alias and conditions.
    pub reads: Vec<String>,
    /// The columns by which the rule's rows are kept apart; the rule is global where there is none.
    pub key: String,
    /// One line per scan: how long its rows are kept.
    pub horizon: Vec<String>,
    /// When it may speak, and why.
    pub speaks: String,
}

/// Describes a compiled rule.
pub fn report(rule: &CompiledRule) -> RuleReport {
    RuleReport {
        id: rule.meta.id.clone(),
        reads: rule.scans.iter().map(reads).collect(),
        key: key(rule),
        horizon: rule.scans.iter().map(horizon).collect(),
        speaks: speaks(rule),
    }
}

impl RuleReport {
    /// Label and text of each line, in order.
    pub fn rows(&self) -> Vec<(&'static str, &str)> {
        let mut rows: Vec<(&'static str, &str)> = self.reads.iter().map(|text| ("reads", text.as_str())).collect();
        rows.push(("key", &self.key));
        rows.extend(self.horizon.iter().map(|text| ("remembers", text.as_str())));
        rows.push(("speaks", &self.speaks));
        rows
    }
}

impl std::fmt::Display for RuleReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.id)?;
        for (label, text) in self.rows() {
            writeln!(f, "  {label:<10} {text}")?;
        }
        Ok(())
    }
}

fn name(scan: &Scan) -> String {
    let table = scan.table.name();
    if scan.alias == table { table.to_owned() } else { format!("{table} {}", scan.alias) }
}

fn reads(scan: &Scan) -> String {
    if scan.filters.is_empty() {
        return format!("{}: every row", name(scan));
    }
    let conditions: Vec<&str> = scan.filters.iter().map(|conjunct| conjunct.sql.as_ref()).collect();
    format!("{}: {}", name(scan), conditions.join(" AND "))
}

fn key(rule: &CompiledRule) -> String {
    let Some(first) = rule.scans.first().filter(|scan| !scan.key.is_empty()) else {
        return "none: a global rule, on one worker".to_owned();
    };
    let classes = (0..first.key.len()).map(|at| {
        let mut columns: Vec<&str> =
            rule.scans.iter().filter_map(|scan| Some(scan.table.columns().get(*scan.key.get(at)?)?.name)).collect();
        columns.dedup();
        columns.join(" = ")
    });
    classes.collect::<Vec<_>>().join(", ")
}

fn horizon(scan: &Scan) -> String {
    let until = Plane::ALL.into_iter().filter_map(|plane| {
        let keep = scan.keep[plane.index()]?;
        Some(format!("{} past the {} watermark", duration(keep), plane.table()))
    });
    let needs = match scan.min_rows {
        0 => String::new(),
        1 => "; at least one row needed".to_owned(),
        rows => format!("; at least {rows} rows needed"),
    };
    format!("{}: {}{needs}", name(scan), until.collect::<Vec<_>>().join(", "))
}

fn speaks(rule: &CompiledRule) -> String {
    match &rule.speaks {
        Speaks::AtOnce { why } => format!("at once ({why})"),
        Speaks::AtWatermark { lookahead, why } => {
            let waits = Plane::ALL.into_iter().filter_map(|plane| {
                let ahead = lookahead[plane.index()]?;
                Some(format!("the {} watermark is {} past event_time", plane.table(), duration(ahead)))
            });
            format!("when {} ({why})", waits.collect::<Vec<_>>().join(" and "))
        }
    }
}

/// Microseconds for people: `12h`, `-5m`, `0s`.
fn duration(micros: i64) -> String {
    let text = humantime::format_duration(std::time::Duration::from_micros(micros.unsigned_abs())).to_string();
    if micros < 0 { format!("-{text}") } else { text }
}
