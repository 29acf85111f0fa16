//! One line of a story's `events` into records.

use std::time::Duration;

use serde_json::{Map, Value};
use watershed_rules::timeline::{self, Dialect, numbered, text};
use watershed_schemas::Timestamp;

use super::arrival::Arrival;
use super::offset::{length, moment, skew};

/// How scenarios write a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenarios;

impl Dialect for Scenarios {
    const MEMBERS: &'static [&'static str] = &["at", "arrives", "name", "times", "every", "clock", "other_tenant"];
    const SAID_OTHERWISE: &'static [(&'static str, &'static str)] = &[
        ("event_id", "`name`"),
        ("event_time", "`at`"),
        ("ingest_time", "`arrives`"),
        ("kind", "`runtime: <kind>` or `identity: <kind>`"),
        ("tenant", "the id of the scenario; write `other_tenant` for another one"),
    ];
    const MAX_TIMES: u64 = 20_000;

    fn moment(&self, text: &str) -> Result<Timestamp, String> {
        moment(text)
    }

    fn length(&self, text: &str) -> Result<Duration, String> {
        length(text)
    }
}

/// What lines have where they don't say otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    /// The organisation.
    pub(super) tenant: String,
    /// By plane.
    pub(super) columns: timeline::Defaults,
}

/// A line and the records that it stands for.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// By what it is left out or repeated.
    pub(super) name: String,
    /// The line of the file.
    pub(super) number: u64,
    /// Its records.
    pub(super) arrivals: Vec<Arrival>,
    /// The line that it repeats.
    pub(super) repeats: Option<String>,
}

impl Defaults {
    /// Reads a line. `position` names lines that have no name.
    pub(super) fn line(
        &self,
        raw: &Map<String, Value>,
        number: u64,
        position: usize,
        before: &[Line],
    ) -> Result<Line, String> {
        let at = text(raw, "at")?.ok_or("`at` is missing; say when it happens, such as `at: 00:07`")?;
        let at = moment(at)?;
        if let Some(original) = text(raw, "again")? {
            return again(raw, original, at, number, before);
        }
        let (plane, columns) = Scenarios.row(raw, &self.columns)?;
        let arrives = text(raw, "arrives")?.map_or(Ok(at), moment)?;
        let skew = text(raw, "clock")?.map_or(Ok(0), skew)?;
        let name = text(raw, "name")?.map_or_else(|| format!("e{position}"), str::to_owned);
        let (times, every) = Scenarios.repetition(raw)?;
        let mut event = Map::new();
        event.insert("tenant".to_owned(), Value::from(text(raw, "other_tenant")?.unwrap_or(&self.tenant)));
        event.insert("source".to_owned(), Value::from("scenario"));
        event.extend(columns);
        let arrival = |n: u64| {
            let later = every.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
            let id = if times == 1 { name.clone() } else { format!("{name}-{}", n + 1) };
            let event_time = at.plus(later).plus_micros(skew);
            let mut event = if times == 1 { event.clone() } else { numbered(&event, n + 1) };
            event.insert("event_id".to_owned(), Value::from(format!("{}/{id}", self.tenant)));
            event.insert("event_time".to_owned(), Value::from(event_time.to_string()));
            Arrival { at: arrives.plus(later), event_time, plane, event }
        };
        let arrivals = (0..times).map(arrival).collect();
        Ok(Line { name, number, arrivals, repeats: None })
    }
}

/// The same records once more: `{at: 00:09, again: NAME}`.
fn again(
    raw: &Map<String, Value>,
    original: &str,
    at: Timestamp,
    number: u64,
    before: &[Line],
) -> Result<Line, String> {
    if let Some(other) = raw.keys().find(|key| !["at", "again"].contains(&key.as_str())) {
        return Err(format!("`again` repeats an event as it was: leave `{other}` out"));
    }
    let known = before.iter().find(|line| line.name == original);
    let known = known.ok_or_else(|| format!("no event before this one has the name `{original}`"))?;
    let arrivals = known.arrivals.iter().map(|arrival| Arrival { at, ..arrival.clone() }).collect();
    Ok(Line { name: format!("{original} again"), number, arrivals, repeats: Some(original.to_owned()) })
}
