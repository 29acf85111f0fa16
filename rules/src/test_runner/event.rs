//! One line of a timeline into canonical events.

use std::time::Duration;

use serde_json::{Map, Value};
use watershed_schemas::Timestamp;

use super::TestEvent;
use super::time::{duration, moment};
use crate::timeline::{Dialect, numbered, text};

/// How rule tests write a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleTests {
    /// What relative times count from.
    pub(super) start: Timestamp,
}

impl Dialect for RuleTests {
    const MEMBERS: &'static [&'static str] = &["at", "arrive", "id", "times", "every"];
    const SAID_OTHERWISE: &'static [(&'static str, &'static str)] = &[
        ("event_id", "`id`"),
        ("event_time", "`at`"),
        ("ingest_time", "`arrive`"),
        ("kind", "`runtime: <kind>` or `identity: <kind>`"),
    ];
    const MAX_TIMES: u64 = 10_000;

    fn moment(&self, text: &str) -> Result<Timestamp, String> {
        moment(self.start, text)
    }

    fn length(&self, text: &str) -> Result<Duration, String> {
        duration(text)
    }
}

/// What lines have where they don't say otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) tenant: Option<String>,
    pub(super) columns: crate::timeline::Defaults,
}

/// The events that a line stands for. `position` names those that have no `id`.
pub(super) fn expand(
    line: &Map<String, Value>,
    position: usize,
    tests: RuleTests,
    defaults: &Defaults,
) -> Result<Vec<TestEvent>, String> {
    let (plane, columns) = tests.row(line, &defaults.columns)?;
    let at = text(line, "at")?.ok_or("`at` is missing; say when it happened, such as `at: 5m`")?;
    let at = tests.moment(at)?;
    let arrive = text(line, "arrive")?.map_or(Ok(at), |arrive| tests.moment(arrive))?;
    let id = text(line, "id")?.map_or_else(|| format!("e{position}"), str::to_owned);
    let (times, every) = tests.repetition(line)?;

    let mut row = Map::new();
    row.insert("tenant".to_owned(), Value::from(defaults.tenant.as_deref().unwrap_or("default")));
    row.insert("source".to_owned(), Value::from("test"));
    row.extend(columns);
    let events = (0..times).map(|n| {
        let later = every.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        let mut row = if times == 1 { row.clone() } else { numbered(&row, n + 1) };
        let id = if times == 1 { id.clone() } else { format!("{id}-{}", n + 1) };
        row.insert("event_id".to_owned(), Value::from(id));
        row.insert("event_time".to_owned(), Value::from(at.plus(later).to_string()));
        row.insert("ingest_time".to_owned(), Value::from(arrive.plus(later).to_string()));
        TestEvent { plane, arrive: arrive.plus(later), row }
    });
    Ok(events.collect())
}
