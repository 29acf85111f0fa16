//! Scans of the two tables: aliases, conditions, and how two of them are tied together by key and time.

use rand::RngExt;

use super::conditions::condition;
use super::{Luck, any};

/// A scan of one of the two tables.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) alias: &'static str,
    pub(super) access: bool,
}

impl Scan {
    pub(super) fn any(luck: &mut Luck, alias: &'static str) -> Self {
        Scan { alias, access: luck.random_bool(0.5) }
    }

    pub(super) fn table(&self) -> &'static str {
        if self.access { "identity" } else { "runtime" }
    }

    /// As in FROM.
    pub(super) fn from(&self) -> String {
        format!("{} {}", self.table(), self.alias)
    }

    pub(super) fn time(&self) -> String {
        format!("{}.event_time", self.alias)
    }

    pub(super) fn column(&self, name: &str) -> String {
        format!("{}.{name}", self.alias)
    }

    /// Its event's id as an output column.
    pub(super) fn id(&self) -> String {
        format!("{0}.event_id AS {0}_event_id", self.alias)
    }

    /// A column whose value is a detail.
    pub(super) fn detail(&self, luck: &mut Luck) -> String {
        let columns: &[&str] = if self.access {
            &["country", "asn", "latitude", "outcome", "scopes", "user_agent"]
        } else {
            &["tool", "input_tokens", "score", "outcome", "content"]
        };
        let column = any(luck, columns);
        format!("{0}.{column} AS {0}_{column}", self.alias)
    }

    pub(super) fn number(&self) -> String {
        self.column(if self.access { "asn" } else { "input_tokens" })
    }

    pub(super) fn name(&self) -> String {
        self.column(if self.access { "country" } else { "tool" })
    }

    /// What its rows must meet: nothing, a kind, kinds, and now and then something of the function list.
    pub(super) fn conditions(&self, luck: &mut Luck) -> Vec<String> {
        let kinds: &[&str] = if self.access {
            &["token_revoked", "authentication", "risk_changed"]
        } else {
            &["tool_call", "guardrail", "prompt"]
        };
        let kind = any(luck, kinds);
        let other = any(luck, kinds);
        let mut conditions = match luck.random_range(0..10) {
            0..=4 => vec![format!("{}.kind = '{kind}'", self.alias)],
            5 | 6 => vec![format!("{}.kind IN ('{kind}', '{other}')", self.alias)],
            7 => vec![format!("{}.kind <> '{kind}'", self.alias)],
            _ => Vec::new(),
        };
        if luck.random_bool(0.3) {
            conditions.push(condition(luck, self));
        }
        conditions
    }
}

/// The columns by which two scans are tied: mostly the same one on both sides.
pub(super) fn tie_column(luck: &mut Luck) -> &'static str {
    any(luck, &["principal", "principal", "session_id", "credential_id"])
}

/// Equality of tenant and of this column. Now and then of another column of the same values, or of nothing but tenants.
pub(super) fn tied(luck: &mut Luck, a: &Scan, b: &Scan, column: &str) -> String {
    let (x, y) = (a.alias, b.alias);
    match luck.random_range(0..24) {
        0 => format!("{y}.tenant = {x}.tenant"),
        1 if column == "session_id" => format!("{y}.tenant = {x}.tenant AND {y}.credential_id = {x}.session_id"),
        2 => format!("{y}.{column} = {x}.{column}"),
        _ => format!("{y}.tenant = {x}.tenant AND {y}.{column} = {x}.{column}"),
    }
}

/// An interval of some minutes.
pub(super) fn interval(luck: &mut Luck, least: i64, most: i64) -> String {
    let minutes = luck.random_range(least..=most);
    match luck.random_range(0..8) {
        0 => format!("INTERVAL '{} seconds'", minutes * 60 - 30),
        1 => format!("INTERVAL '{} seconds'", minutes * 60),
        _ => format!("INTERVAL '{minutes} minutes'"),
    }
}

/// A bound of two times: the second follows the first within some minutes, or lies around it.
pub(super) fn bounded(luck: &mut Luck, early: &str, late: &str) -> String {
    let least = 2;
    let span = interval(luck, least, 10);
    match luck.random_range(0..9) {
        0 | 1 => format!("{late} BETWEEN {early} AND {early} + {span}"),
        2 => format!("{late} > {early} AND {late} <= {early} + {span}"),
        3 => format!("{late} >= {early} AND {late} < {early} + {span}"),
        4 => format!("{late} > {early} AND {late} < {early} + {span}"),
        5 => format!("{late} >= {early} AND {late} - {early} <= {span}"),
        6 => format!("{early} >= {late} - {span} AND {early} <= {late}"),
        7 => {
            let ahead = interval(luck, 1, 4);
            format!("{late} BETWEEN {early} - {ahead} AND {early} + {span}")
        }
        _ => {
            let gap = interval(luck, 1, 1);
            format!("{late} BETWEEN {early} + {gap} AND {early} + {gap} + {span}")
        }
    }
}

/// WHERE and its conditions; nothing where there are none.
pub(super) fn filtered(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!("\nWHERE {}", conditions.join("\n  AND ")) }
}

/// A bucket of this time.
pub(super) fn bucket(luck: &mut Luck, time: &str) -> String {
    let width = any(luck, &["5 minutes", "10 minutes", "10 minutes", "15 minutes", "1 hour"]);
    format!("date_bin(INTERVAL '{width}', {time})")
}
