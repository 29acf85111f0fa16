//! A diagnosis in words.

use std::fmt::{Display, Formatter, Result};

use watershed_connectors::escape::one_line;
use watershed_schemas::Signal;

use super::check::Check;
use super::diagnosis_report::{Diagnosis, EventReport, Placed, Reason};

impl Display for Diagnosis {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let standing = self.signals.iter().filter(|signal| !signal.withdrawn).count();
        match (standing, self.signals.len()) {
            (0, 0) => writeln!(f, "{} did not fire for these events.", self.rule)?,
            (0, _) => writeln!(f, "{} fired for these events and took it back.", self.rule)?,
            (1, _) => writeln!(f, "{} fired for these events.", self.rule)?,
            (times, _) => writeln!(f, "{} fired {times} times for these events.", self.rule)?,
        }
        for signal in &self.signals {
            told(f, signal)?;
        }
        if !self.reasons.is_empty() {
            writeln!(f, "\nWhy not")?;
            self.reasons.iter().try_for_each(|reason| reason.fmt(f))?;
        }
        if !self.between.is_empty() {
            writeln!(f, "\nBetween the events themselves")?;
            self.between.iter().try_for_each(|reason| reason.fmt(f))?;
        }
        writeln!(f, "\nThe events")?;
        if self.events.is_empty() {
            writeln!(f, "  none in the recording")?;
        }
        self.events.iter().try_for_each(|event| event.fmt(f))?;
        if self.more_events > 0 {
            writeln!(f, "  and {} more{}", self.more_events, if self.entity { ", which fit no better" } else { "" })?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nBear in mind")?;
            self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        }
        Ok(())
    }
}

fn told(f: &mut Formatter<'_>, signal: &Signal) -> Result {
    let whose = signal.principal.as_deref().or(signal.session_id.as_deref()).unwrap_or("nobody in particular");
    let state = if signal.withdrawn { "withdrawn" } else { "stands" };
    writeln!(f, "  signal {} {state}, revision {}", signal.signal_id, signal.revision)?;
    writeln!(f, "      at {} for {}", signal.event_time, one_line(whose, 80))?;
    let values = |values: &serde_json::Map<String, serde_json::Value>| {
        values
            .iter()
            .map(|(name, value)| format!("{name} = {}", one_line(&value.to_string(), 80)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    writeln!(f, "      key: {}", values(&signal.key))?;
    let evidence: Vec<String> = signal.evidence.iter().map(|id| one_line(id, 80)).collect();
    writeln!(f, "      shown by: {}", evidence.join(", "))?;
    if !signal.details.is_empty() {
        writeln!(f, "      details: {}", values(&signal.details))?;
    }
    Ok(())
}

impl Display for EventReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "  {} ({} {} at {})", self.event_id, self.table, self.kind, self.event_time)?;
        if let Some(reason) = self.not_history {
            writeln!(f, "      not history: {reason}")?;
        }
        if self.scans.is_empty() && self.behind.is_empty() {
            writeln!(f, "      the rule does not read {}", self.table)?;
        }
        for signal in &self.behind {
            writeln!(
                f,
                "      is behind a signal of {} at {}, which fits {}",
                signal.rule, signal.event_time, signal.scan
            )?;
        }
        for fit in &self.scans {
            if fit.fits {
                writeln!(f, "      fits {}", fit.scan)?;
            } else if let (true, Some(check)) = (self.scans.iter().any(|fit| fit.fits), fit.unmet.first()) {
                writeln!(f, "      is not {}: {}", fit.scan, values(check))?;
            } else {
                writeln!(f, "      does not fit {}:", fit.scan)?;
                fit.unmet.iter().try_for_each(|check| shown(f, check))?;
            }
        }
        Ok(())
    }
}

impl Display for Placed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} = {} at {}", self.scan, self.event_id, self.event_time)
    }
}

fn events(f: &mut Formatter<'_>, events: &[Placed]) -> Result {
    for event in events.iter().take(12) {
        writeln!(f, "      {event}")?;
    }
    if events.len() > 12 {
        writeln!(f, "      and {} more", events.len() - 12)?;
    }
    Ok(())
}

fn shown(f: &mut Formatter<'_>, check: &Check) -> Result {
    let mark = match check.holds {
        Some(true) => "holds:    ",
        Some(false) => "does not: ",
        None => "can't say:",
    };
    writeln!(f, "        {mark} {}", one_line(&check.condition, 300))?;
    if check.holds == Some(true) {
        return Ok(());
    }
    if let Some(missed) = &check.missed {
        return writeln!(f, "                   {}", missed.text);
    }
    if check.values.is_empty() { Ok(()) } else { writeln!(f, "                   {}", values(check)) }
}

fn values(check: &Check) -> String {
    check.values.iter().map(|looked| format!("{} is {}", looked.at, looked.value)).collect::<Vec<_>>().join(", ")
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Reason::NoneFits { scan } => {
                writeln!(f, "  None of these events can be {scan}; see below which conditions they miss.")
            }
            Reason::NotHistory { event_id, why } => {
                writeln!(f, "  {event_id} is not history, so no rule sees it: {why}")
            }
            Reason::NeverCame { scan, missed_by: Some(missed), .. } => {
                writeln!(f, "  {scan} never came; {} comes nearest, but", missed.event_id)?;
                missed.unmet.iter().try_for_each(|check| shown(f, check))
            }
            Reason::NeverCame { scan, seen, matched, emptied_by, other_key, missed_by: None } => {
                writeln!(f, "  {scan} never came.")?;
                match (matched, emptied_by, other_key) {
                    (0, Some(condition), _) if *seen > 0 => {
                        writeln!(
                            f,
                            "      of {seen} rows of its table in the recording none is left after {}",
                            one_line(condition, 300)
                        )
                    }
                    (0, _, _) if *seen > 0 => {
                        writeln!(
                            f,
                            "      of {seen} rows of its table those that meet its conditions are not history: too late, or repeats"
                        )
                    }
                    (0, _, _) => writeln!(f, "      the recording holds no row of its table"),
                    (_, _, Some(other)) if !other.differs.is_empty() => {
                        writeln!(
                            f,
                            "      {matched} rows meet its conditions, all of another key; the nearest in time:"
                        )?;
                        writeln!(f, "      {}", other.event)?;
                        other.differs.iter().try_for_each(|(column, value, wanted)| {
                            writeln!(f, "        {column} is {value}, not {}", wanted.join(" or "))
                        })
                    }
                    _ => writeln!(f, "      {matched} rows of the recording meet its conditions, none of this key"),
                }
            }
            Reason::NoPair { events: placed, checks, pairs } => {
                match pairs {
                    1 => writeln!(f, "  These do not belong together:")?,
                    pairs => writeln!(f, "  Of {pairs} pairs none belongs together; the nearest:")?,
                }
                events(f, placed)?;
                checks.iter().try_for_each(|check| shown(f, check))
            }
            Reason::PreventsNothing { events: placed, checks } => {
                writeln!(f, "  The last of these prevents nothing:")?;
                events(f, placed)?;
                checks.iter().try_for_each(|check| shown(f, check))
            }
            Reason::Prevented { events: placed, by, checks } => {
                writeln!(f, "  It would have fired for")?;
                events(f, placed)?;
                writeln!(f, "    but something came that prevents it:")?;
                events(f, by)?;
                checks.iter().try_for_each(|check| shown(f, check))
            }
            Reason::Unmet { events: placed, group, checks } => {
                match group {
                    0 => writeln!(f, "  These belong together, but")?,
                    1 => writeln!(f, "  One row is gathered, but")?,
                    rows => writeln!(f, "  {rows} rows are gathered, but")?,
                }
                checks.iter().try_for_each(|check| shown(f, check))?;
                events(f, placed)
            }
            Reason::Undecided { events: placed, open } => {
                writeln!(f, "  Every condition that can be tried on single rows holds for")?;
                events(f, placed)?;
                match open.as_slice() {
                    [] => writeln!(
                        f,
                        "    and yet no signal names them; they may be part of a finding whose evidence leaves them out"
                    ),
                    open => writeln!(f, "    so what decides is one of: {}", open.join("; ")),
                }
            }
        }
    }
}
