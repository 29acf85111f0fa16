//! Takes a story through the pipeline: decoded, matched, evaluated, correlated, routed. Only nobody is called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watershed_connectors::sources::SourceEvent;
use watershed_connectors::sources::memory;
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_engine::core::Core;
use watershed_engine::intake::Intake;
use watershed_engine::pipeline::{Parts, Pipeline};
use watershed_engine::router::Router;
use watershed_schemas::{IncidentRevision, IncidentStatus, Notification, Plane, Timestamp};

use super::arrival::Arrival;
use super::company::Company;
use super::deed::Deed;
use super::expect::Whom;
use super::views::ends;

/// Records that one turn takes at most.
const BATCH: usize = 100_000;
/// Records that come within this time are taken in one turn.
const TURN_MICROS: i64 = 1_000_000;

/// A message, and when it was queued.
#[derive(Clone, Debug)]
pub struct Heard {
    /// By the clock of the story.
    pub at: Timestamp,
    /// The message.
    pub message: Notification,
}

/// What came of a story.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Every message, in the order in which it was queued.
    pub heard: Vec<Heard>,
    /// Every revision, and when it was written.
    pub revisions: Vec<(Timestamp, IncidentRevision)>,
    /// The last word on each incident once everything was over.
    pub last: BTreeMap<String, IncidentRevision>,
    /// Records that could not be decoded.
    pub rejected: u64,
    /// Rows that came too late or from the future.
    pub refused: u64,
    /// What people could not do, and why.
    pub refusals: Vec<String>,
    /// Messages that were queued only because the input ended.
    pub at_the_end: Vec<Notification>,
}

/// Plays these records, marks of idle topics, and what people do, under this configuration.
///
/// # Errors
/// When the pipeline can't be set up or stops.
pub fn play(
    company: &Company,
    config: &str,
    arrivals: &[Arrival],
    idle: &[(Timestamp, Plane)],
    deeds: &[Deed],
) -> Result<Played> {
    let config = company.config(config)?;
    let setups = company.rules(&config)?;
    let partitions = Plane::ALL.map(partition);
    let (feed, source) = memory::channel(partitions.to_vec(), BATCH);
    let intake = Intake::from_source(Box::new(source), config.formats.clone(), BATCH);
    let router = Router::new(config.routes.clone(), &setups).redacting(config.redaction.for_replay());
    let mut core = Core::new(config.core, setups);
    core.except(config.rules.exceptions.clone());
    let clock = Arc::new(AtomicI64::new(0));
    let read = Arc::clone(&clock);
    let parts = Parts {
        router: Some(router),
        clock: Some(Box::new(move || Timestamp::from_micros(read.load(Ordering::Relaxed)))),
        ..Parts::default()
    };
    let mut pipeline = Pipeline::resume(intake, core, parts)?;
    pipeline.name(company.reference.aliases());
    pipeline.share(config.shared_principals.clone());
    pipeline.refer_to(company.reference.clone());
    let mut played = Played::default();
    let mut offsets = [0; 2];
    let mut arrivals = arrivals.iter().peekable();
    let mut idle = idle.iter().peekable();
    let mut deeds = deeds.iter().peekable();
    loop {
        let next = [
            arrivals.peek().map(|arrival| arrival.at),
            idle.peek().map(|(at, _)| *at),
            deeds.peek().map(|deed| deed.at()),
        ];
        let Some(now) = next.into_iter().flatten().min() else { break };
        let together = |at: Timestamp| at.micros() < now.micros() + TURN_MICROS;
        let mut last = now;
        while let Some(arrival) = arrivals.next_if(|arrival| together(arrival.at)) {
            last = last.max(arrival.at);
            feed.send(batch(arrival, &mut offsets)).context("feeding the pipeline")?;
        }
        while let Some((at, plane)) = idle.next_if(|(at, _)| together(*at)) {
            feed.event(SourceEvent::CaughtUp { partition: partition(*plane), at: *at })?;
        }
        while let Some(deed) = deeds.next_if(|deed| together(deed.at())) {
            match played.incident(&deed.whom, deed.number, now, false) {
                Ok(incident) => pipeline.act(incident.incident_id.clone(), deed.handled.clone()),
                Err(there) => {
                    played.refusals.push(format!("line {}: there is no such incident; there is {there}", deed.line))
                }
            }
        }
        clock.store(last.micros(), Ordering::Relaxed);
        let turn = pipeline.turn(Duration::ZERO)?;
        played.rejected += turn.counts.rejected.iter().sum::<u64>();
        played.refused += turn.counts.late.iter().chain(&turn.counts.quarantined).sum::<u64>();
        played.heard.extend(turn.notifications.into_iter().map(|message| Heard { at: last, message }));
        let refused =
            turn.acted.into_iter().filter_map(|(incident, came)| Some(format!("{incident}: {}", came.err()?)));
        played.refusals.extend(refused);
        played.take(last, turn.incidents);
    }
    feed.end()?;
    let turn = pipeline.turn(Duration::ZERO)?;
    ensure!(turn.ended, "everything was read");
    played.at_the_end = turn.notifications;
    for incident in turn.incidents {
        played.last.insert(incident.incident_id.clone(), incident);
    }
    let stopped: Vec<_> = pipeline.core().quarantined().collect();
    ensure!(stopped.is_empty(), "no rule is stopped: {stopped:?}");
    Ok(played)
}

fn partition(plane: Plane) -> Partition {
    Partition { plane, topic: plane.table().into(), index: 0 }
}

fn batch(arrival: &Arrival, offsets: &mut [i64; 2]) -> RawBatch {
    let offset = &mut offsets[arrival.plane.index()];
    *offset += 1;
    let record = RawRecord {
        offset: *offset - 1,
        timestamp: Some(arrival.at),
        key: None,
        headers: Vec::new(),
        payload: arrival.payload().into(),
    };
    RawBatch {
        partition: partition(arrival.plane),
        format: "watershed".into(),
        tenant: "default".into(),
        received: arrival.at,
        records: vec![record],
    }
}

/// An incident in few words.
pub(super) fn described(incident: &IncidentRevision) -> String {
    format!("{} ({}: {})", Whom::of(incident), incident.verdict.name(), incident.rules.join(", "))
}

impl Played {
    fn take(&mut self, at: Timestamp, incidents: Vec<IncidentRevision>) {
        for incident in incidents {
            self.last.insert(incident.incident_id.clone(), incident.clone());
            self.revisions.push((at, incident));
        }
    }

    /// The last revision of each incident that was written by then.
    pub fn incidents_at(&self, at: Timestamp) -> BTreeMap<&str, &IncidentRevision> {
        let until = self.revisions.iter().filter(|(written, _)| *written <= at);
        until.map(|(_, incident)| (incident.incident_id.as_str(), incident)).collect()
    }

    /// An incident as it was then: the nth about somebody, or what else there is.
    pub(super) fn incident(
        &self,
        whom: &Whom,
        number: usize,
        at: Timestamp,
        merged: bool,
    ) -> Result<&IncidentRevision, String> {
        let there = self.incidents_at(at);
        let mut about: Vec<&IncidentRevision> = there
            .values()
            .copied()
            .filter(|incident| Whom::of(incident) == *whom)
            .filter(|incident| merged || incident.status != IncidentStatus::Merged)
            .collect();
        about.sort_by_key(|incident| (incident.first_event_time, incident.incident_id.clone()));
        about.get(number.saturating_sub(1)).copied().ok_or_else(|| {
            let known: Vec<String> = there.values().map(|incident| described(incident)).collect();
            if known.is_empty() { "none at all".to_owned() } else { known.join("; ") }
        })
    }

    /// What a receiver was told by then of an incident: alone, or with others in one message.
    pub fn told(&self, receiver: &str, incident: &str, at: Timestamp) -> Vec<&Heard> {
        let mut groups: BTreeSet<&str> = BTreeSet::new();
        let mut told = Vec::new();
        for heard in self.heard.iter().filter(|heard| heard.at <= at && heard.message.receiver == receiver) {
            let message = &heard.message;
            let about = match &message.group {
                None => message.incident_id == incident,
                // The end of a group is that of everything it listed; nothing is left to be listed then.
                Some(group) if ends(message.reason) => groups.remove(group.key.as_str()),
                Some(group) if group.incidents.iter().any(|listed| listed == incident) => {
                    groups.insert(&group.key);
                    true
                }
                Some(_) => false,
            };
            if about {
                told.push(heard);
            }
        }
        told
    }

    /// What the story comes to: its incidents that stand, without ids, revisions and what depends on when one looks.
    pub fn outcome(&self) -> Vec<Value> {
        let stands = |incident: &&IncidentRevision| {
            !matches!(incident.status, IncidentStatus::Merged | IncidentStatus::Withdrawn)
        };
        let whom =
            |id: &str| self.last.get(id).map(|other| json!([Whom::of(other).to_string(), other.first_event_time]));
        let mut outcome: Vec<Value> = self
            .last
            .values()
            .filter(stands)
            .map(|incident| {
                let related: BTreeSet<String> =
                    incident.related.iter().map(|other| json!(whom(&other.incident_id)).to_string()).collect();
                json!({
                    "related": related,
                    "continues": incident.continues.as_deref().map(whom),
                    "principal": incident.principal,
                    "sessions": incident.sessions,
                    "first": incident.first_event_time,
                    "last": incident.last_event_time,
                    "verdict": incident.verdict,
                    "origin": incident.origin,
                    "severity": incident.severity,
                    "scores": incident.scores,
                    "rules": incident.rules,
                    "signals": incident.signals,
                    "owners": incident.owners,
                })
            })
            .collect();
        outcome.sort_by_key(Value::to_string);
        outcome
    }
}
