//! What was measured, as a table and as JSON.

use std::fmt::{Display, Formatter, Result};

use serde::Serialize;
use watershed_connectors::escape::one_line;

/// What one filter costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilterCost {
    /// Its scan.
    pub scan: String,
    /// As SQL.
    pub condition: String,
    /// Rows that the filters before it left.
    pub rows_in: u64,
    /// Rows that it left.
    pub rows_out: u64,
    /// Wall time, by itself, on the rows that came in.
    pub took_us: u128,
}

/// What one rule costs, alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleCost {
    /// Its id.
    pub rule: String,
    /// Wall time of match.
    pub match_us: u128,
    /// Wall time of everything after it: the whole step, less match, less what a core without rules takes.
    pub evaluate_us: u128,
    /// Rows that some scan could use.
    pub matched: u64,
    /// Its filters, in the order in which they are tried.
    pub filters: Vec<FilterCost>,
    /// Plans run.
    pub plans_run: u64,
    /// Rows that these plans read.
    pub rows_read: u64,
    /// Keys that guards kept from running.
    pub guarded: u64,
    /// Most rows remembered at once.
    pub most_rows: u64,
    /// Most bytes held at once.
    pub most_bytes: u64,
    /// Most bytes at once of rows that only late events could need: `run` leaves them on disk.
    pub most_late_bytes: u64,
    /// Signals that stand.
    pub signals: u64,
    /// Why it was stopped, if it was.
    pub stopped: Option<String>,
}

impl RuleCost {
    /// Match and evaluate.
    pub fn total_us(&self) -> u128 {
        self.match_us + self.evaluate_us
    }

    /// The filter that takes longest.
    pub fn dearest(&self) -> Option<&FilterCost> {
        self.filters.iter().max_by_key(|filter| filter.took_us)
    }
}

/// What all rules cost in one core.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Together {
    /// Events read.
    pub events: u64,
    /// Wall time of reading and decoding them.
    pub read_took_us: u128,
    /// Wall time of match, evaluate and correlate for all rules together.
    pub took_us: u128,
    /// Wall time of the same without any rule.
    pub accept_took_us: u128,
    /// Most rows remembered at once; one that several rules use counts for each.
    pub most_rows: u64,
    /// Most bytes held at once; what rules share counts once.
    pub most_bytes: u64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BenchReport {
    /// Each rule alone, dearest first.
    pub rules: Vec<RuleCost>,
    /// All rules in one core.
    pub together: Together,
}

impl Display for BenchReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header([
            "rule",
            "total",
            "match",
            "evaluate",
            "matched",
            "plans",
            "guarded",
            "rows kept",
            "held",
            "on disk",
            "signals",
        ]);
        for column in 1..11 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(comfy_table::CellAlignment::Right);
            }
        }
        for rule in &self.rules {
            table.add_row([
                rule.rule.clone(),
                micros(rule.total_us()),
                micros(rule.match_us),
                micros(rule.evaluate_us),
                rule.matched.to_string(),
                rule.plans_run.to_string(),
                rule.guarded.to_string(),
                rule.most_rows.to_string(),
                bytesize::ByteSize(rule.most_bytes).to_string(),
                bytesize::ByteSize(rule.most_late_bytes).to_string(),
                rule.signals.to_string(),
            ]);
        }
        writeln!(f, "{}", table.trim_fmt())?;
        writeln!(f, "\nThe condition that costs each rule most")?;
        for rule in &self.rules {
            let Some(filter) = rule.dearest() else { continue };
            writeln!(f, "  {}: {}", rule.rule, micros(filter.took_us))?;
            let condition = one_line(&filter.condition, 300);
            writeln!(f, "      {condition}   ({} -> {})", filter.rows_in, filter.rows_out)?;
        }
        for rule in &self.rules {
            if let Some(reason) = &rule.stopped {
                writeln!(f, "\n{} was stopped: {}", rule.rule, one_line(reason, 400))?;
            }
        }
        let all = &self.together;
        writeln!(
            f,
            "\nAll {} rules together: {} for {} events, {} of it without any rule, {} in memory; reading took {}.",
            self.rules.len(),
            micros(all.took_us),
            all.events,
            micros(all.accept_took_us),
            bytesize::ByteSize(all.most_bytes),
            micros(all.read_took_us)
        )?;
        writeln!(
            f,
            "Each rule ran alone. Times are by the wall clock; rows kept and bytes held are the most at once, on disk what only"
        )?;
        writeln!(
            f,
            "late events could need of them (`run` leaves it there); evaluate is the whole step less match, and less what it"
        )?;
        writeln!(f, "takes without any rule.")
    }
}

/// Wall time for people.
fn micros(micros: u128) -> String {
    let time = std::time::Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
    format!("{time:.1?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_filter_is_the_one_that_takes_longest() {
        let filter = |condition: &str, took_us| FilterCost {
            scan: "r".to_owned(),
            condition: condition.to_owned(),
            rows_in: 10,
            rows_out: 1,
            took_us,
        };
        let rule = RuleCost {
            rule: "a".to_owned(),
            match_us: 1_500,
            evaluate_us: 20,
            matched: 1,
            filters: vec![filter("cheap", 1), filter("dear", 70), filter("last", 3)],
            plans_run: 4,
            rows_read: 9,
            guarded: 2,
            most_rows: 3,
            most_bytes: 2_048,
            most_late_bytes: 1_024,
            signals: 1,
            stopped: Some("out of \u{1b}memory".to_owned()),
        };
        assert_eq!(rule.dearest().map(|filter| filter.condition.as_str()), Some("dear"));
        let text = BenchReport { rules: vec![rule], together: Together::default() }.to_string();
        assert!(text.contains("1.5ms") && text.contains("dear   (10 -> 1)"), "{text}");
        assert!(text.contains(r"out of \u{1b}memory"), "{text}");
    }
}
