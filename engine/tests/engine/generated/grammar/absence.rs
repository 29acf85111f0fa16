//! Presence and absence: EXISTS, IN, NOT EXISTS, outer joins.

use rand::RngExt;

use super::joins::output;
use super::scan::{Scan, bounded, filtered, interval, tie_column, tied};
use super::{Luck, any};

/// When the other row comes: before, after, or around.
fn near(luck: &mut Luck, scan: &Scan, other: &Scan) -> String {
    match luck.random_range(0..6) {
        0..=2 => bounded(luck, &scan.time(), &other.time()),
        3 => bounded(luck, &other.time(), &scan.time()),
        4 => {
            let (before, after) = (interval(luck, 1, 6), interval(luck, 1, 6));
            format!("{1} BETWEEN {0} - {before} AND {0} + {after}", scan.time(), other.time())
        }
        _ => {
            // A window with a hole in it: only the union of both branches bounds it.
            let (before, from) = (interval(luck, 1, 5), interval(luck, 2, 3));
            let (x, y) = (scan.time(), other.time());
            format!(
                "({y} BETWEEN {x} - {before} AND {x} OR {y} BETWEEN {x} + {from} AND {x} + {from} + INTERVAL '2 minutes')"
            )
        }
    }
}

/// The inside of EXISTS.
fn correlated(luck: &mut Luck, scan: &Scan, other: &Scan) -> String {
    let column = tie_column(luck);
    let mut conditions = vec![tied(luck, scan, other, column), near(luck, scan, other)];
    if luck.random_bool(0.7) {
        conditions.extend(other.conditions(luck).into_iter().take(1));
    }
    if luck.random_bool(0.15) && scan.access == other.access {
        let equal = any(luck, &["=", "<>"]);
        conditions.push(format!("{} {equal} {}", other.name(), scan.name()));
    }
    format!("(SELECT 1 FROM {} WHERE {})", other.from(), conditions.join(" AND "))
}

/// A row and another near it, which is not part of the output.
pub(super) fn presence(luck: &mut Luck) -> (String, String) {
    let (scan, other) = (Scan::any(luck, "r"), Scan::any(luck, "e"));
    let mut conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    match luck.random_range(0..5) {
        0 | 1 => conditions.push(format!("EXISTS {}", correlated(luck, &scan, &other))),
        2 => {
            let third = Scan::any(luck, "f");
            let (first, second) = (correlated(luck, &scan, &other), correlated(luck, &scan, &third));
            conditions.push(format!("(EXISTS {first} OR EXISTS {second})"));
        }
        _ => {
            let column = tie_column(luck);
            let mut inside = vec![format!("{}.tenant = {}.tenant", other.alias, scan.alias), near(luck, &scan, &other)];
            inside.extend(other.conditions(luck).into_iter().take(1));
            let select =
                format!("SELECT {} FROM {} WHERE {}", other.column(column), other.from(), inside.join(" AND "));
            conditions.push(format!("{} IN ({select})", scan.column(column)));
        }
    }
    let (key, select) = output(luck, &[&scan]);
    (key, format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)))
}

/// A row without another near it.
pub(super) fn absence(luck: &mut Luck) -> (String, String) {
    let (scan, other) = (Scan::any(luck, "r"), Scan::any(luck, "n"));
    let mut conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    conditions.push(format!("NOT EXISTS {}", correlated(luck, &scan, &other)));
    if luck.random_bool(0.25) {
        let third = Scan::any(luck, "m");
        conditions.push(format!("NOT EXISTS {}", correlated(luck, &scan, &third)));
    }
    let (key, select) = output(luck, &[&scan]);
    (key, format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)))
}

/// A row with or without another near it.
pub(super) fn outer_join(luck: &mut Luck) -> (String, String) {
    let (scan, other) = (Scan::any(luck, "r"), Scan::any(luck, "o"));
    let column = tie_column(luck);
    let mut on = vec![tied(luck, &scan, &other, column), near(luck, &scan, &other)];
    on.extend(other.conditions(luck).into_iter().take(1));
    let mut conditions = scan.conditions(luck);
    match luck.random_range(0..4) {
        0 | 1 => conditions.push(format!("{} IS NULL", other.column("event_id"))),
        2 => conditions.push(format!(
            "({} IS NULL OR {} = 'failure')",
            other.column("event_id"),
            other.column("outcome")
        )),
        _ => {}
    }
    let (key, select) = output(luck, &[&scan]);
    let near = format!("{}.event_id AS near_event_id", other.alias);
    (
        key,
        format!(
            "{select}, {near}\nFROM {}\nLEFT JOIN {} ON {}{}",
            scan.from(),
            other.from(),
            on.join(" AND "),
            filtered(&conditions)
        ),
    )
}

/// Two rows that follow each other with nothing between them, or with or without something near one of them.
pub(super) fn presence_and_absence(luck: &mut Luck) -> (String, String) {
    let (a, b, other) = (Scan::any(luck, "a"), Scan::any(luck, "b"), Scan::any(luck, "n"));
    let column = tie_column(luck);
    let on = [tied(luck, &a, &b, column), bounded(luck, &a.time(), &b.time())];
    let mut conditions: Vec<String> = a.conditions(luck).into_iter().take(1).collect();
    conditions.extend(b.conditions(luck).into_iter().take(1));
    let not = if luck.random_bool(0.9) { "NOT " } else { "" };
    let inside = match luck.random_range(0..3) {
        0 => {
            let kind = other.conditions(luck);
            let tie = tied(luck, &b, &other, column);
            let mut inside = vec![tie, format!("{} BETWEEN {} AND {}", other.time(), a.time(), b.time())];
            inside.extend(kind);
            format!("(SELECT 1 FROM {} WHERE {})", other.from(), inside.join(" AND "))
        }
        1 => correlated(luck, &a, &other),
        _ => correlated(luck, &b, &other),
    };
    conditions.push(format!("{not}EXISTS {inside}"));
    let (key, select) = output(luck, &[&b, &a]);
    (key, format!("{select}\nFROM {}\nJOIN {} ON {}{}", a.from(), b.from(), on.join(" AND "), filtered(&conditions)))
}

/// A value that no row near has; a NULL among them is unknown, and so is the answer.
pub(super) fn not_in(luck: &mut Luck) -> (String, String) {
    let (scan, other) = (Scan::any(luck, "r"), Scan::any(luck, "n"));
    let value = any(luck, &["session_id", "credential_id", "outcome"]);
    let tie = any(luck, &["principal", "principal", "session_id"]);
    let mut inside = vec![tied(luck, &scan, &other, tie), near(luck, &scan, &other)];
    inside.extend(other.conditions(luck).into_iter().take(1));
    let mut conditions: Vec<String> = scan.conditions(luck).into_iter().take(1).collect();
    let select = format!("SELECT {} FROM {} WHERE {}", other.column(value), other.from(), inside.join(" AND "));
    conditions.push(format!("{} NOT IN ({select})", scan.column(value)));
    let (key, select) = output(luck, &[&scan]);
    (key, format!("{select}\nFROM {}{}", scan.from(), filtered(&conditions)))
}
