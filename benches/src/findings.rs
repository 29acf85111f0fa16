//! Findings as rules make them, with the rows that show them: what the correlator is measured with.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde_json::json;
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_engine::evaluator::{Found, RowRef, RuleSetup, Segment};
use watershed_rules::{ReferenceTables, RuleSource, compile};
use watershed_schemas::{ColumnSet, EventBatch, Plane, Signal, SignalReason, Timestamp};

/// Four rules, two of each plane: which of them found something, and where.
const RULES: [(&str, Plane); 4] = [
    ("injected-text", Plane::Model),
    ("unusual-tool", Plane::Model),
    ("risk-raised", Plane::Access),
    ("foreign-country", Plane::Access),
];
const TENANT: &str = "northwind";

/// One finding to be made.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// When.
    pub time: Timestamp,
    /// Whose.
    pub person: usize,
    /// By which rule.
    pub rule: usize,
}

/// Makes findings, each with an id of its own.
pub struct Findings {
    /// The rules, as the correlator is to know them.
    pub setups: Vec<RuleSetup>,
    registry: Registry,
    made: u64,
}

impl Findings {
    /// How many rules there are.
    pub const RULES: usize = RULES.len();

    /// A maker of findings.
    ///
    /// # Errors
    /// When a rule does not compile.
    pub fn new() -> anyhow::Result<Findings> {
        let setup = |(id, plane): &(&str, Plane)| {
            let (table, side) = if *plane == Plane::Model { ("runtime", "model") } else { ("identity", "access") };
            let text = format!(
                "/*---\nid: {id}\ntitle: {id}\nplane: {side}\nseverity: high\nkey: [event_id]\n---*/\n\
                 SELECT event_time, tenant, principal, session_id, event_id FROM {table} WHERE kind = 'other'"
            );
            let source =
                RuleSource::parse(Path::new("rule.sql"), &text).map_err(|found| anyhow::anyhow!("{found:?}"))?;
            let rule = compile(&source, &ReferenceTables::default()).map_err(|found| anyhow::anyhow!("{found:?}"))?;
            Ok(RuleSetup::as_written(Arc::new(rule)))
        };
        let setups = RULES.iter().map(setup).collect::<anyhow::Result<_>>()?;
        Ok(Findings { setups, registry: Registry::builtin(Limits::default()), made: 0 })
    }

    /// Findings with one row each, and the batches in which these came.
    ///
    /// # Errors
    /// When a row can't be made.
    pub fn make(&mut self, wanted: &[Wanted]) -> anyhow::Result<(Vec<Found>, Vec<EventBatch>)> {
        let first = self.made;
        self.made += wanted.len() as u64;
        let mut found: Vec<Option<Found>> = Vec::new();
        found.resize_with(wanted.len(), || None);
        let mut batches = Vec::new();
        for plane in Plane::ALL {
            let own: Vec<usize> = (0..wanted.len()).filter(|at| RULES[wanted[*at].rule].1 == plane).collect();
            if own.is_empty() {
                continue;
            }
            let batch = self.rows(plane, own.iter().map(|at| (first + *at as u64, wanted[*at])));
            ensure!(batch.rows.num_rows() == own.len(), "a row was refused: {:?}", batch.rejects.first());
            let segment = Arc::new(Segment::of(first, plane, batch.rows.clone(), ColumnSet::ALL));
            for (row, at) in (0_u32..).zip(&own) {
                let signal = signal(&self.setups[wanted[*at].rule], first + *at as u64, wanted[*at]);
                let evidence = vec![RowRef { segment: Arc::clone(&segment), row }];
                found[*at] = Some(Found { signal, rule: wanted[*at].rule, evidence });
            }
            batches.push(batch);
        }
        Ok((found.into_iter().collect::<Option<_>>().context("each finding has a plane")?, batches))
    }

    fn rows(&self, plane: Plane, wanted: impl Iterator<Item = (u64, Wanted)>) -> EventBatch {
        let records = wanted.map(|(number, wanted)| {
            let mut event = json!({
                "event_id": format!("ev-{number:09}"), "event_time": wanted.time.to_string(), "tenant": TENANT,
                "source": "gateway", "principal": person(wanted.person), "session_id": session(plane, wanted.person),
                "credential_id": format!("tok-{:07}", wanted.person), "outcome": "success", "ip": "10.1.2.3",
            });
            let more = match plane {
                Plane::Model => json!({
                    "kind": "tool_call", "agent_id": format!("agent-{:07}", wanted.person), "tool": "send_email",
                    "arguments": {"to": "someone@elsewhere.example", "text": "The figures of the northern region."},
                }),
                Plane::Access => json!({"kind": "authentication", "country": "BR", "risk": "high"}),
            };
            if let (Some(event), serde_json::Value::Object(more)) = (event.as_object_mut(), more) {
                event.extend(more);
            }
            let payload = Bytes::from(event.to_string());
            RawRecord {
                offset: i64::try_from(number).unwrap_or(0),
                timestamp: None,
                key: None,
                headers: Vec::new(),
                payload,
            }
        });
        self.registry.decode(&RawBatch {
            partition: partition(plane),
            format: "watershed".into(),
            tenant: TENANT.into(),
            received: Timestamp::MIN,
            records: records.collect(),
        })
    }
}

/// The partition that everything of a plane comes from.
pub fn partition(plane: Plane) -> Partition {
    Partition { plane, topic: plane.table().into(), index: 0 }
}

fn person(number: usize) -> String {
    format!("person.{number:07}@northwind.example")
}

fn session(plane: Plane, number: usize) -> String {
    format!("{}-{number:07}", plane.table())
}

fn signal(setup: &RuleSetup, number: u64, wanted: Wanted) -> Signal {
    let (rule, plane) = RULES[wanted.rule];
    let key = serde_json::Map::from_iter([("event_id".to_owned(), json!(format!("ev-{number:09}")))]);
    Signal {
        signal_id: format!("sig_{number:024x}"),
        rule: rule.to_owned(),
        rule_version: "1".to_owned(),
        plane: setup.rule.meta.plane,
        severity: setup.severity,
        tenant: TENANT.to_owned(),
        principal: Some(person(wanted.person)),
        session_id: Some(session(plane, wanted.person)),
        event_time: wanted.time,
        evidence: vec![format!("ev-{number:09}")],
        key,
        details: serde_json::Map::new(),
        revision: 1,
        withdrawn: false,
        reason: SignalReason::Found,
        marks: std::collections::BTreeSet::new(),
    }
}
