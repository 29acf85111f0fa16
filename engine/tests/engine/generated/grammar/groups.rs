//! GROUP BY a key and a bucket, with thresholds that are monotone and those that are not.

use rand::RngExt;

use super::scan::{Scan, bounded, bucket, filtered, tie_column, tied};
use super::{Luck, any};

/// A group's key columns, its SELECT list and its GROUP BY.
fn grouped(luck: &mut Luck, scan: &Scan, by: &str) -> (String, String, String) {
    let bucket = bucket(luck, &scan.time());
    let time = match luck.random_range(0..4) {
        0 => bucket.clone(),
        1 => format!("min({})", scan.time()),
        _ => format!("max({})", scan.time()),
    };
    let (tenant, column) = (scan.column("tenant"), scan.column(by));
    let mut details =
        vec!["count(*) AS n".to_owned(), format!("array_agg({}) AS all_event_ids", scan.column("event_id"))];
    match luck.random_range(0..5) {
        0 => details.push(format!("sum({}) AS total", scan.number())),
        1 => details.push(format!("avg({}) AS average", scan.number())),
        2 => details.push(format!("max({}) AS last_name", scan.name())),
        3 => details.push(format!("count(DISTINCT {}) AS names", scan.name())),
        _ => {}
    }
    let select = format!(
        "SELECT {time} AS event_time, {tenant} AS tenant, {column} AS {by}, {bucket} AS bucket, {}",
        details.join(", ")
    );
    (format!("{by}, bucket"), select, format!("GROUP BY {tenant}, {column}, {bucket}"))
}

/// A condition that stays true while rows come.
fn monotone(luck: &mut Luck, scan: &Scan) -> String {
    let (number, name) = (scan.number(), scan.name());
    let outcome = scan.column("outcome");
    let least = luck.random_range(2..4);
    match luck.random_range(0..8) {
        0..=2 => format!("count(*) >= {least}"),
        3 => format!("count(DISTINCT {name}) >= 2"),
        4 => format!("max({number}) >= {}", luck.random_range(2..6)),
        5 => format!("min({number}) < {}", luck.random_range(1..4)),
        6 => format!("sum(CASE WHEN {outcome} = 'failure' THEN 1 ELSE 0 END) >= {}", least - 1),
        _ => format!("count({number}) > {} AND count(DISTINCT {name}) > 1", least - 1),
    }
}

/// A condition that further rows can make false.
fn changing(luck: &mut Luck, scan: &Scan) -> String {
    let (number, name) = (scan.number(), scan.name());
    match luck.random_range(0..8) {
        0 | 1 => format!("count(*) <= {}", luck.random_range(1..4)),
        2 => format!("count(*) = {}", luck.random_range(1..3)),
        3 => format!("sum({number}) >= {}", luck.random_range(1..6)),
        4 => format!("max({number}) <= {}", luck.random_range(2..7)),
        5 => format!("count(DISTINCT {name}) < 2 AND count(*) > 1"),
        6 => format!("count(*) >= 2 AND min({number}) >= 0"),
        _ => format!("count(*) > count(DISTINCT {})", scan.column("session_id")),
    }
}

fn group(luck: &mut Luck, having: impl Fn(&mut Luck, &Scan) -> String) -> (String, String) {
    let scan = Scan::any(luck, "r");
    let by = any(luck, &["principal", "principal", "session_id"]);
    let conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    let (key, select, group_by) = grouped(luck, &scan, by);
    let having = having(luck, &scan);
    (key, format!("{select}\nFROM {}{}\n{group_by}\nHAVING {having}", scan.from(), filtered(&conditions)))
}

/// At least so many, in a bucket.
pub(super) fn threshold(luck: &mut Luck) -> (String, String) {
    group(luck, monotone)
}

/// At most so many, or another condition that changes, in a bucket.
pub(super) fn upper_threshold(luck: &mut Luck) -> (String, String) {
    group(luck, changing)
}

/// A threshold over pairs: in a bucket, or counted back from one event.
pub(super) fn grouped_join(luck: &mut Luck) -> (String, String) {
    let (a, b) = (Scan::any(luck, "a"), Scan::any(luck, "b"));
    let by = any(luck, &["principal", "session_id"]);
    let column = if luck.random_bool(0.7) { by } else { tie_column(luck) };
    let on = [tied(luck, &a, &b, column), bounded(luck, &a.time(), &b.time())];
    let mut conditions: Vec<String> = a.conditions(luck).into_iter().take(1).collect();
    conditions.extend(b.conditions(luck).into_iter().take(1));
    let pairs = format!("FROM {}\nJOIN {} ON {}{}", a.from(), b.from(), on.join(" AND "), filtered(&conditions));
    let having = match luck.random_range(0..5) {
        0 | 1 => changing(luck, &a),
        2 => monotone(luck, &a),
        _ => format!("count(*) >= {}", luck.random_range(1..4)),
    };
    if luck.random_bool(0.5) {
        let (key, select, group_by) = grouped(luck, &b, by);
        return (key, format!("{select}\n{pairs}\n{group_by}\nHAVING {having}"));
    }
    let columns = "b.event_time, b.tenant, b.principal, b.session_id, b.event_id";
    let select = "SELECT b.event_time, b.tenant, b.principal, b.session_id, b.event_id AS b_event_id, count(*) AS n, array_agg(a.event_id) AS a_event_ids";
    ("b_event_id".to_owned(), format!("{select}\n{pairs}\nGROUP BY {columns}\nHAVING {having}"))
}

/// A threshold in buckets that overlap.
pub(super) fn sliding(luck: &mut Luck) -> (String, String) {
    let scan = Scan::any(luck, "r");
    let by = any(luck, &["principal", "session_id"]);
    let conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    let slide = luck.random_range(2..5);
    let size = slide * luck.random_range(2..4);
    let time = any(luck, &["bucket", "max(r.event_time)", "min(r.event_time)"]);
    let having = if luck.random_bool(0.4) { monotone(luck, &scan) } else { changing(luck, &scan) };
    let sql = format!(
        "SELECT {time} AS event_time, r.tenant, r.{by}, r.bucket, count(*) AS n, array_agg(r.event_id) AS all_event_ids
FROM (SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id, r.outcome, {name}, {number},
             unnest(hop(r.event_time, INTERVAL '{size} minutes', INTERVAL '{slide} minutes')) AS bucket
      FROM {}{}) r
GROUP BY r.tenant, r.{by}, r.bucket
HAVING {having}",
        scan.from(),
        filtered(&conditions),
        name = scan.name(),
        number = scan.number(),
    );
    (format!("{by}, bucket"), sql)
}
