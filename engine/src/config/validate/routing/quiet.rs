//! What keeps quiet: intervals, inhibitions and silences.

use watershed_schemas::Timestamp;

use super::super::Findings;
use super::tree::{labels, matchers};
use crate::config::raw;
use crate::router::{Fault, Inhibition, Interval, Matcher, NewSilence, Silence, reach, zone};

/// The name of an interval, and the interval where it could be read.
pub(super) type Named = (String, Option<Interval>);

pub(super) fn intervals(raw: &[raw::Interval], findings: &mut Findings<'_>) -> Vec<Named> {
    let mut intervals: Vec<Named> = Vec::new();
    for (index, interval) in raw.iter().enumerate() {
        let setting = format!("routing.intervals[{index}]");
        if interval.name.trim().is_empty() {
            findings.error(&format!("{setting}.name"), "is empty; routes name it in `mute`");
        }
        if intervals.iter().any(|(name, _)| *name == interval.name) {
            let message =
                format!("`{}` is taken by an earlier interval; choose another name", interval.name.escape_debug());
            findings.error(&format!("{setting}.name"), message);
        }
        let days = each(&interval.days, &format!("{setting}.days"), findings);
        let times = each(&interval.times, &format!("{setting}.times"), findings);
        let zone = match zone(interval.zone.as_deref().unwrap_or("UTC")) {
            Ok(zone) => Some(zone),
            Err(reason) => {
                findings.error(&format!("{setting}.zone"), reason);
                None
            }
        };
        let read = zone.zip(days.zip(times)).map(|(zone, (days, times))| Interval {
            name: interval.name.clone(),
            days,
            times,
            zone,
        });
        intervals.push((interval.name.clone(), read));
    }
    intervals
}

/// All of them, or none where one can't be read.
fn each<T: std::str::FromStr<Err = String>>(
    texts: &[String],
    setting: &str,
    findings: &mut Findings<'_>,
) -> Option<Vec<T>> {
    let mut read = Some(Vec::new());
    for (at, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(value) => {
                if let Some(read) = &mut read {
                    read.push(value);
                }
            }
            Err(reason) => {
                findings.error(&format!("{setting}[{at}]"), reason);
                read = None;
            }
        }
    }
    read
}

pub(super) fn inhibitions(raw: &[raw::Inhibition], findings: &mut Findings<'_>) -> Vec<Inhibition> {
    let mut inhibitions = Vec::new();
    for (index, inhibition) in raw.iter().enumerate() {
        let setting = format!("routing.inhibitions[{index}]");
        let source = matchers(&inhibition.source, &format!("{setting}.source"), findings);
        let target = matchers(&inhibition.target, &format!("{setting}.target"), findings);
        for (name, texts, read) in [("source", &inhibition.source, &source), ("target", &inhibition.target, &target)] {
            if texts.len() == read.len() && read.iter().all(Matcher::asks_nothing) {
                let message = "matches every incident; give it a matcher such as severity=\"critical\"";
                findings.error(&format!("{setting}.{name}"), message);
            }
            if let Some(message) = reach::excluded(read) {
                findings.error(&format!("{setting}.{name}"), format!("can never match: {message}"));
            }
        }
        if inhibition.equal.is_empty() {
            let message = "is empty: an incident of anybody keeps those of everybody quiet; name what both must share";
            findings.warn(&format!("{setting}.equal"), message);
        }
        let equal = labels(&inhibition.equal, &format!("{setting}.equal"), findings);
        inhibitions.push(Inhibition { source, target, equal });
    }
    inhibitions
}

pub(super) fn silences(raw: &[raw::Silence], now: Timestamp, findings: &mut Findings<'_>) -> Vec<Silence> {
    let mut silences: Vec<Silence> = Vec::new();
    for (index, silence) in raw.iter().enumerate() {
        let setting = format!("routing.silences[{index}]");
        let written = NewSilence {
            matchers: silence.matchers.clone(),
            author: silence.author.clone(),
            reason: silence.reason.clone(),
            starts: silence.starts,
            ends: silence.ends,
        };
        match Silence::configured(written) {
            Ok(read) => {
                // No error: a program that is started again at night must not fail because a silence is over.
                if read.ends <= now {
                    let message =
                        format!("is in the past, at {}: it silences nothing any more, take it out", read.ends);
                    findings.warn(&format!("{setting}.ends"), message);
                }
                if silences.iter().any(|other| other.id == read.id) {
                    findings.error(&setting, "is there twice; take one out");
                }
                silences.push(read);
            }
            Err(faults) => {
                for Fault { at, message } in faults {
                    let setting = if at.is_empty() { setting.clone() } else { format!("{setting}.{at}") };
                    findings.error(&setting, message);
                }
            }
        }
    }
    silences
}
