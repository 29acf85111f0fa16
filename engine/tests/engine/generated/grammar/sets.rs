//! UNION, DISTINCT, WITH, and reference tables.

use rand::RngExt;

use super::joins::{filter, output};
use super::scan::{Scan, bounded, bucket, filtered, interval, tie_column, tied};
use super::{Luck, any};

/// One branch of a union: rows of one table, alone, after another row, or without one.
fn branch(luck: &mut Luck) -> String {
    let (scan, other) = (Scan::any(luck, "r"), Scan::any(luck, "o"));
    let mut conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    let select =
        format!("SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, {} AS name", scan.name());
    let column = tie_column(luck);
    match luck.random_range(0..4) {
        0 => format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)),
        1 => {
            let on = [tied(luck, &other, &scan, column), bounded(luck, &other.time(), &scan.time())].join(" AND ");
            format!("{select}\nFROM {}\nJOIN {} ON {on}{}", scan.from(), other.from(), filtered(&conditions))
        }
        _ => {
            let inside = [tied(luck, &scan, &other, column), bounded(luck, &scan.time(), &other.time())].join(" AND ");
            conditions.push(format!("NOT EXISTS (SELECT 1 FROM {} WHERE {inside})", other.from()));
            format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions))
        }
    }
}

/// Two or three queries one after the other.
pub(super) fn union(luck: &mut Luck) -> (String, String) {
    let union = any(luck, &["UNION ALL", "UNION ALL", "UNION"]);
    let branches = luck.random_range(2..4);
    let sql: Vec<String> = (0..branches).map(|_| branch(luck)).collect();
    ("e_event_id".to_owned(), sql.join(&format!("\n{union}\n")))
}

/// Which values there are in a bucket.
pub(super) fn distinct(luck: &mut Luck) -> (String, String) {
    let scan = Scan::any(luck, "r");
    let conditions: Vec<String> = scan.conditions(luck);
    let bucket = bucket(luck, &scan.time());
    let by = any(luck, &["principal", "session_id"]);
    let (key, value) = match luck.random_range(0..3) {
        0 => (format!("{by}, bucket, value"), scan.name()),
        1 => (format!("{by}, bucket, value"), scan.number()),
        _ => (format!("{by}, bucket"), scan.name()),
    };
    let select =
        format!("SELECT DISTINCT {bucket} AS event_time, r.tenant, r.{by}, {bucket} AS bucket, {value} AS value");
    (key, format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)))
}

/// A burst or a list of rows with a name, and what follows it or doesn't.
pub(super) fn cte(luck: &mut Luck) -> (String, String) {
    let (inner, scan) = (Scan::any(luck, "i"), Scan::any(luck, "r"));
    let inside: Vec<String> = inner.conditions(luck).into_iter().take(1).collect();
    let by = any(luck, &["principal", "session_id"]);
    let mut conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    let (with, time) = if luck.random_bool(0.6) {
        let bucket = bucket(luck, &inner.time());
        let having = any(luck, &["count(*) >= 2", "count(*) >= 1", "count(*) = 1", "count(*) <= 2"]);
        let with = format!(
            "SELECT i.tenant AS tenant, i.{by} AS {by}, min(i.event_time) AS first_time, max(i.event_time) AS last_time
  FROM {}{}\n  GROUP BY i.tenant, i.{by}, {bucket} HAVING {having}",
            inner.from(),
            filtered(&inside)
        );
        (with, any(luck, &["first_time", "last_time"]))
    } else {
        let with =
            format!("SELECT i.tenant, i.{by}, i.event_time AS last_time FROM {}{}", inner.from(), filtered(&inside));
        (with, "last_time")
    };
    let tie = format!("f.tenant = r.tenant AND f.{by} = r.{by}");
    let near = bounded(luck, &format!("f.{time}"), &scan.time());
    let (key, select) = output(luck, &[&scan]);
    let body = match luck.random_range(0..3) {
        0 => format!("FROM {}\nJOIN found f ON {tie} AND {near}{}", scan.from(), filtered(&conditions)),
        which => {
            let not = if which == 1 { "NOT " } else { "" };
            conditions.push(format!("{not}EXISTS (SELECT 1 FROM found f WHERE {tie} AND {near})"));
            format!("FROM {}{}", scan.from(), filtered(&conditions))
        }
    };
    (key, format!("WITH found AS (\n  {with})\n{select}\n{body}"))
}

/// A join with a reference table, or a scalar subquery over one.
pub(super) fn reference(luck: &mut Luck) -> (String, String) {
    let scan = Scan::any(luck, "r");
    let mut conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    match luck.random_range(0..9) {
        0 => {
            let (key, select) = output(luck, &[&scan]);
            let sql = format!("{select}, w.tier\nFROM {}\nJOIN watch w ON w.name = r.principal", scan.from());
            (key, format!("{sql}{}", filtered(&conditions)))
        }
        1 => {
            let (key, select) = output(luck, &[&scan]);
            conditions.push("coalesce(w.tier, 'none') <> 'low'".to_owned());
            let sql = format!("{select}, w.tier\nFROM {}\nLEFT JOIN watch w ON w.name = {}", scan.from(), scan.name());
            (key, format!("{sql}{}", filtered(&conditions)))
        }
        2 => {
            let (key, select) = output(luck, &[&scan]);
            let not = any(luck, &["", "NOT "]);
            let tie = any(luck, &["w.name = r.principal", "w.name = r.session_id"]);
            conditions.push(format!("{not}EXISTS (SELECT 1 FROM watch w WHERE {tie} AND w.tier = 'high')"));
            (key, format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)))
        }
        3 => {
            let (key, select) = output(luck, &[&scan]);
            conditions.push(format!(
                "{} <> (SELECT min(w.name) FROM watch w WHERE w.tier = 'high')",
                scan.column("principal")
            ));
            (key, format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)))
        }
        4 => {
            let (key, sql) = filter(luck);
            let and = if sql.contains("\nWHERE ") { "\n  AND" } else { "\nWHERE" };
            (key, format!("{sql}{and} r.principal IN (SELECT w.name FROM watch w WHERE w.tier IN ('high', 'low'))"))
        }
        _ => {
            let other = Scan::any(luck, "n");
            let tie = tied(luck, &scan, &other, "principal");
            let span = interval(luck, 4, 12);
            conditions.push(format!(
                "NOT EXISTS (SELECT 1 FROM {} JOIN watch w ON w.name = n.principal WHERE {tie}
      AND n.event_time BETWEEN r.event_time AND r.event_time + {span})",
                other.from()
            ));
            let (key, select) = output(luck, &[&scan]);
            (key, format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)))
        }
    }
}
