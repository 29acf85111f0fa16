//! Filters, and inner joins of two to four scans.

use rand::RngExt;

use super::conditions::{between, condition};
use super::scan::{Scan, bounded, bucket, filtered, interval, tie_column, tied};
use super::{Luck, any};

/// `key` and the SELECT list of rows that these scans are always part of. The first decides when it happened.
pub(super) fn output(luck: &mut Luck, scans: &[&Scan]) -> (String, String) {
    let first = scans[0];
    let mut columns = vec![
        format!("{} AS event_time", first.time()),
        first.column("tenant"),
        first.column("principal"),
        first.column("session_id"),
    ];
    if scans.len() > 1 && luck.random_bool(0.15) {
        let extreme = any(luck, &["greatest", "least"]);
        columns[0] = format!("{extreme}({}, {}) AS event_time", first.time(), scans[1].time());
    }
    columns.extend(scans.iter().map(|scan| scan.id()));
    let detailed = any(luck, scans);
    columns.push(detailed.detail(luck));
    let key = match luck.random_range(0..8) {
        0 => {
            columns.push(format!("{} AS bucket", bucket(luck, &first.time())));
            "principal, bucket".to_owned()
        }
        1 | 2 => format!("{}_event_id", any(luck, scans).alias),
        3 => scans.iter().map(|scan| format!("{}_event_id", scan.alias)).collect::<Vec<_>>().join(", "),
        _ => format!("{}_event_id", first.alias),
    };
    (key, format!("SELECT {}", columns.join(", ")))
}

/// Rows of one table that meet some conditions.
pub(super) fn filter(luck: &mut Luck) -> (String, String) {
    let scan = Scan::any(luck, "r");
    let mut conditions = scan.conditions(luck);
    if luck.random_bool(0.6) {
        conditions.push(condition(luck, &scan));
    }
    let (key, select) = output(luck, &[&scan]);
    (key, format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)))
}

/// Two rows that follow each other.
pub(super) fn join(luck: &mut Luck) -> (String, String) {
    let (a, b) = (Scan::any(luck, "a"), Scan::any(luck, "b"));
    let column = tie_column(luck);
    let mut on = vec![tied(luck, &a, &b, column), bounded(luck, &a.time(), &b.time())];
    let mut conditions = a.conditions(luck);
    conditions.extend(b.conditions(luck));
    if luck.random_bool(0.25) {
        let condition = between(luck, &a, &b);
        if luck.random_bool(0.5) { on.push(condition) } else { conditions.push(condition) }
    }
    let (key, select) = if luck.random_bool(0.7) { output(luck, &[&b, &a]) } else { output(luck, &[&a, &b]) };
    let (from, on) = (a.from(), on.join(" AND "));
    // The same join, written in two ways.
    if luck.random_bool(0.2) {
        conditions.insert(0, on);
        return (key, format!("{select}\nFROM {from}, {}{}", b.from(), filtered(&conditions)));
    }
    (key, format!("{select}\nFROM {from}\nJOIN {} ON {on}{}", b.from(), filtered(&conditions)))
}

/// Three or four rows in order, with bounds between any of the pairs.
pub(super) fn sequence(luck: &mut Luck) -> (String, String) {
    let length = if luck.random_bool(0.7) { 3 } else { 4 };
    let scans: Vec<Scan> = ["a", "b", "c", "d"][..length].iter().map(|alias| Scan::any(luck, alias)).collect();
    let column = tie_column(luck);
    let mut sql = format!("FROM {}", scans[0].from());
    let mut conditions: Vec<String> = Vec::new();
    let style = luck.random_range(0..4);
    for at in 1..length {
        let (scan, before) = (&scans[at], &scans[at - 1]);
        let mut on = vec![tied(luck, before, scan, column)];
        match style {
            // Each step bounds the next.
            0 => on.push(bounded(luck, &before.time(), &scan.time())),
            // All are bound to the first.
            1 => on.push(bounded(luck, &scans[0].time(), &scan.time())),
            // Only an order, closed by the whole.
            _ => {
                let order = any(luck, &[">", ">="]);
                on.push(format!("{} {order} {}", scan.time(), before.time()));
                if at + 1 == length {
                    let whole = interval(luck, 6, 15);
                    let (first, last) = (scans[0].time(), scan.time());
                    on.push(if style == 2 {
                        format!("{last} - {first} <= {whole}")
                    } else {
                        format!("{last} <= {first} + {whole}")
                    });
                }
            }
        }
        sql.push_str(&format!("\nJOIN {} ON {}", scan.from(), on.join(" AND ")));
    }
    // With fewer conditions on each row there is more to find.
    for scan in &scans {
        if luck.random_bool(0.5) {
            conditions.extend(scan.conditions(luck).into_iter().take(1));
        }
    }
    let mut order: Vec<&Scan> = scans.iter().rev().collect();
    if luck.random_bool(0.25) {
        order.reverse();
    }
    let (key, select) = output(luck, &order);
    (key, format!("{select}\n{sql}{}", filtered(&conditions)))
}
