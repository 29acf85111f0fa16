//! Window functions, partitioned by key and bounded in time.

use rand::RngExt;

use super::scan::{Scan, bucket, filtered, interval};
use super::{Luck, any};

fn partition(luck: &mut Luck) -> &'static str {
    any(luck, &["tenant, principal", "tenant, principal", "tenant, session_id", "principal, session_id"])
}

/// A value beside that of the row before or after it.
pub(super) fn neighbours(luck: &mut Luck) -> (String, String) {
    let scan = Scan::any(luck, "r");
    let conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    let function = any(luck, &["lag", "lead"]);
    let over = format!("OVER (PARTITION BY {} ORDER BY event_time, event_id)", partition(luck));
    let name = scan.name();
    let inner = format!(
        "SELECT event_time, tenant, principal, session_id, event_id, {name} AS name,
         {function}({name}) {over} AS other, {function}(event_time) {over} AS other_time
  FROM {}{}",
        scan.from(),
        filtered(&conditions)
    );
    let distance = if function == "lag" { "event_time - other_time" } else { "other_time - event_time" };
    let span = interval(luck, 3, 12);
    let test = match luck.random_range(0..5) {
        0 | 1 => "name <> other",
        2 => "name = other",
        3 => "(name IS NULL OR other IS NULL)",
        _ => "other_time IS NOT NULL",
    };
    let sql = format!(
        "SELECT event_time, tenant, principal, session_id, event_id AS e_event_id, name, other
FROM ({inner}) neighbours
WHERE {test} AND {distance} <= {span}"
    );
    ("e_event_id".to_owned(), sql)
}

/// An aggregate over the rows around each row.
pub(super) fn frame(luck: &mut Luck) -> (String, String) {
    let scan = Scan::any(luck, "r");
    let conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    let (before, after) = (interval(luck, 3, 10), interval(luck, 1, 5));
    let range = match luck.random_range(0..5) {
        0 => format!("{before} PRECEDING AND CURRENT ROW"),
        1 | 2 => format!("CURRENT ROW AND {after} FOLLOWING"),
        3 => format!("{before} PRECEDING AND {after} FOLLOWING"),
        _ => format!("{before} PRECEDING AND INTERVAL '1 minute' PRECEDING"),
    };
    let number = scan.number();
    let (value, test) = match luck.random_range(0..7) {
        0 | 1 => ("count(*)".to_owned(), format!("n >= {}", luck.random_range(2..4))),
        2 | 3 => ("count(*)".to_owned(), format!("n <= {}", luck.random_range(1..3))),
        4 => (format!("sum({number})"), "n > 3".to_owned()),
        5 => (format!("max({number})"), "n < 5".to_owned()),
        _ => (format!("min({number})"), "n <= 1".to_owned()),
    };
    let partition = partition(luck);
    let sql = format!(
        "SELECT event_time, tenant, principal, session_id, event_id AS e_event_id, n
FROM (SELECT event_time, tenant, principal, session_id, event_id,
             {value} OVER (PARTITION BY {partition} ORDER BY event_time RANGE BETWEEN {range}) AS n
      FROM {}{}) counted
WHERE {test}",
        scan.from(),
        filtered(&conditions)
    );
    ("e_event_id".to_owned(), sql)
}

/// The first or last few rows of a bucket.
pub(super) fn ranking(luck: &mut Luck) -> (String, String) {
    let scan = Scan::any(luck, "r");
    let conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    let bucket = bucket(luck, "event_time");
    let order = any(luck, &["", " DESC"]);
    let partition = any(luck, &["tenant, principal", "tenant, session_id"]);
    let over = format!("OVER (PARTITION BY {partition}, {bucket} ORDER BY event_time{order}, event_id)");
    let (value, test) = match luck.random_range(0..4) {
        0 => ("row_number()".to_owned(), "n = 2".to_owned()),
        1 => (format!("first_value(event_id) {over}"), "n <> event_id".to_owned()),
        _ => ("row_number()".to_owned(), format!("n <= {}", luck.random_range(1..3))),
    };
    let value = if value.contains("OVER") { value } else { format!("{value} {over}") };
    let sql = format!(
        "SELECT event_time, tenant, principal, session_id, event_id AS e_event_id, n
FROM (SELECT event_time, tenant, principal, session_id, event_id, {value} AS n
      FROM {}{}) ranked
WHERE {test}",
        scan.from(),
        filtered(&conditions)
    );
    ("e_event_id".to_owned(), sql)
}
