//! What a replay writes: every revision as it comes, or only last states.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use watershed_connectors::dlq::{DeadLetter, DeadLetterError, DeadLetters};
use watershed_connectors::escape::for_log;
use watershed_schemas::{IncidentRevision, IncidentStatus, Signal};

use crate::pipeline::Turn;

/// Members of an incident that tell of its history and not of its result, or name others by ids that do.
const HISTORY: [&str; 8] =
    ["incident_id", "revision", "reason", "merged_into", "continues", "changes", "related", "handled"];

/// The signals and incidents of a replay on their way to two outputs.
pub struct Results {
    signals: Option<Box<dyn Write>>,
    incidents: Option<Box<dyn Write>>,
    /// Whether only last states are written.
    final_states: bool,
    last_signals: BTreeMap<String, Signal>,
    last_incidents: BTreeMap<String, IncidentRevision>,
}

/// Standing signals, and incidents by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Signals that were not withdrawn.
    pub signals: u64,
    /// Incidents of model abuse, access compromise and both.
    pub incidents: [u64; 3],
}

impl Results {
    /// Results that go to these outputs, where there are any.
    pub fn new(signals: Option<Box<dyn Write>>, incidents: Option<Box<dyn Write>>, final_states: bool) -> Self {
        Results { signals, incidents, final_states, last_signals: BTreeMap::new(), last_incidents: BTreeMap::new() }
    }

    /// Takes in what one turn gave.
    pub fn take(&mut self, turn: &Turn) -> std::io::Result<()> {
        for signal in &turn.signals {
            if !self.final_states {
                write_line(&mut self.signals, signal)?;
            }
            self.last_signals.insert(signal.signal_id.clone(), signal.clone());
        }
        for incident in &turn.incidents {
            if !self.final_states {
                write_line(&mut self.incidents, incident)?;
            }
            self.last_incidents.insert(incident.incident_id.clone(), incident.clone());
        }
        Ok(())
    }

    /// The last states of all signals that stand.
    pub fn standing(&self) -> impl Iterator<Item = &Signal> {
        self.last_signals.values().filter(|signal| !signal.withdrawn)
    }

    /// Writes last states where only these are wanted, and says what stands.
    pub fn finish(mut self) -> std::io::Result<Standing> {
        self.last_signals.retain(|_, signal| !signal.withdrawn);
        self.last_incidents
            .retain(|_, incident| !matches!(incident.status, IncidentStatus::Merged | IncidentStatus::Withdrawn));
        if self.final_states {
            let mut signals: Vec<&Signal> = self.last_signals.values().collect();
            signals.sort_by(|a, b| (a.event_time, &a.rule, &a.signal_id).cmp(&(b.event_time, &b.rule, &b.signal_id)));
            for signal in signals {
                write_line(&mut self.signals, &without(signal, &["revision", "withdrawn", "reason"]))?;
            }
            let mut incidents: Vec<&IncidentRevision> = self.last_incidents.values().collect();
            incidents.sort_by(|a, b| {
                (a.first_event_time, &a.principal, &a.signals).cmp(&(b.first_event_time, &b.principal, &b.signals))
            });
            for incident in incidents {
                write_line(&mut self.incidents, &without(incident, &HISTORY))?;
            }
        }
        for output in [&mut self.signals, &mut self.incidents].into_iter().flatten() {
            output.flush()?;
        }
        let mut standing = Standing { signals: self.last_signals.len() as u64, incidents: [0; 3] };
        for incident in self.last_incidents.values() {
            standing.incidents[incident.verdict as usize] += 1;
        }
        Ok(standing)
    }
}

fn without(value: &impl serde::Serialize, members: &[&str]) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        for member in members {
            object.shift_remove(*member);
        }
    }
    value
}

fn write_line(output: &mut Option<Box<dyn Write>>, value: &impl serde::Serialize) -> std::io::Result<()> {
    let Some(output) = output else { return Ok(()) };
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}

/// How many different reasons are shown.
const SHOWN_REASONS: usize = 5;

/// Why records did not become history: each reason with how often it was given and where first.
#[derive(Clone, Default)]
pub struct Reasons {
    seen: Arc<Mutex<BTreeMap<String, (u64, String)>>>,
}

impl Reasons {
    /// The reasons given most often, one line each.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reasons: Vec<_> = seen.iter().collect();
        reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let mut lines: Vec<String> = reasons
            .iter()
            .take(SHOWN_REASONS)
            .map(|(reason, (count, first))| format!("  {count} × {} (first: {})", for_log(reason), for_log(first)))
            .collect();
        if reasons.len() > SHOWN_REASONS {
            lines.push(format!("  and {} other reasons", reasons.len() - SHOWN_REASONS));
        }
        lines
    }
}

impl DeadLetters for Reasons {
    fn write(&mut self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let place = || format!("{} record {}", letter.topic, letter.offset);
        seen.entry(letter.reason.clone()).or_insert_with(|| (0, place())).0 += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeadLetterError> {
        Ok(())
    }
}
