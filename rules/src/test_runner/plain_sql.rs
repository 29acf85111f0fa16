//! The meaning of a rule by DataFusion alone: two tables in memory, the rule's SQL, no analysis and no streams. It shows that
//! the cases of the catalog say what the SQL says; that production agrees is shown by running them through the engine.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use serde_json::{Map, Value};
use watershed_schemas::{
    Cell, ColumnType, EventBatchBuilder, IncidentRevision, Plane, Row, Signal, Table, Timestamp, Verdict,
};

use super::{Outcome, TestEvent};
use crate::catalog::{CATALOG, reference_of_tests};
use crate::compile::{compile, signals_read};
use crate::finding::Finding;
use crate::front_matter::RuleSource;
use crate::functions;
use crate::reference::ReferenceTables;
use crate::signals::rows;
use crate::state;

/// Runs one rule as plain SQL.
pub(crate) struct PlainSql<'a>(pub(crate) &'a RuleSource);

impl PlainSql<'_> {
    pub(crate) fn run(&self, timeline: Vec<TestEvent>) -> Result<Outcome, String> {
        let looked_at = timeline.len() as u64;
        let below = signals_read(self.0, &ReferenceTables::default()).map_err(|findings| format!("{findings:?}"))?;
        let tables = Plane::ALL.map(|plane| table(plane, &timeline));
        let signals = if below.is_empty() { None } else { Some(self.below(&below, &timeline)?) };
        let sql = self.0.text[self.0.sql_offset..].to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        let batches = runtime.block_on(async {
            let context = SessionContext::new();
            functions::register(&context);
            for (name, rows) in reference_of_tests().iter() {
                let rows = vec![vec![rows.clone()]];
                let table = MemTable::try_new(rows[0][0].schema(), rows).map_err(|error| error.to_string())?;
                context.register_table(name, Arc::new(table)).map_err(|error| error.to_string())?;
            }
            if let Some(rows) = signals {
                let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(|error| error.to_string())?;
                context.register_table(Table::Signals.name(), Arc::new(table)).map_err(|error| error.to_string())?;
            }
            for (plane, rows) in Plane::ALL.into_iter().zip(tables) {
                let rows = rows?;
                let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(|error| error.to_string())?;
                context.register_table(plane.table(), Arc::new(table)).map_err(|error| error.to_string())?;
            }
            state::register(&context, state::named(&sql)).await.map_err(|error| error.to_string())?;
            let frame = context.sql(&sql).await.map_err(|error| error.to_string())?;
            frame.collect().await.map_err(|error| error.to_string())
        })?;
        let signals = self.signals(&batches);
        let incidents = signals.iter().map(incident).collect();
        Ok(Outcome { signals, incidents, scans_matched: vec![vec![looked_at]], only_final: true })
    }

    /// What these rules of the catalog find, as rows of `signals`.
    fn below(&self, ids: &BTreeSet<String>, timeline: &[TestEvent]) -> Result<RecordBatch, String> {
        let mut all = vec![RecordBatch::new_empty(Table::Signals.schema())];
        for rule in CATALOG.iter().filter(|rule| ids.iter().any(|id| rule.path.ends_with(&format!("/{id}.sql")))) {
            let source = rule.source().map_err(|findings| format!("{findings:?}"))?;
            let found = PlainSql(&source).run(timeline.to_vec())?.signals.into_iter().map(|signal| Finding {
                signal_id: format!("{} {}", signal.rule, signal.signal_id),
                tenant: signal.tenant,
                principal: signal.principal,
                session_id: signal.session_id,
                event_time: signal.event_time,
                key: signal.key,
                details: signal.details,
                evidence: signal.evidence,
            });
            let found: Vec<Finding> = found.collect();
            let rule = compile(&source, &ReferenceTables::default()).map_err(|findings| format!("{findings:?}"))?;
            all.push(rows(&rule, &found.iter().collect::<Vec<_>>()));
        }
        concat_batches(&Table::Signals.schema(), &all).map_err(|error| error.to_string())
    }

    /// One signal a key: the earliest row, with the evidence of all.
    fn signals(&self, batches: &[RecordBatch]) -> Vec<Signal> {
        let meta = &self.0.meta;
        let mut groups: BTreeMap<String, (Map<String, Value>, BTreeSet<String>)> = BTreeMap::new();
        for batch in batches {
            for at in 0..batch.num_rows() {
                let names = batch.schema();
                let row: Map<String, Value> = names
                    .fields()
                    .iter()
                    .zip(batch.columns())
                    .map(|(field, column)| (field.name().clone(), json(column.as_ref(), at)))
                    .collect();
                let key: Vec<&Value> = meta.key.iter().map(|name| &row[name]).collect();
                let ids = row.iter().filter(|(name, _)| name.ends_with("_event_id") || name.ends_with("_event_ids"));
                let ids: BTreeSet<String> = ids.flat_map(|(_, value)| texts(value)).collect();
                let id = format!("{}{key:?}", row["tenant"]);
                let group = groups.entry(id).or_insert_with(|| (row.clone(), BTreeSet::new()));
                if row["event_time"].as_str() < group.0["event_time"].as_str() {
                    group.0 = row;
                }
                group.1.extend(ids);
            }
        }
        let signals = groups.into_iter().map(|(id, (row, evidence))| {
            let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
            let (key, details): (Map<_, _>, Map<_, _>) =
                row.clone().into_iter().partition(|(name, _)| meta.key.contains(name));
            Signal {
                signal_id: id,
                rule: meta.id.clone(),
                rule_version: String::new(),
                plane: meta.plane,
                severity: meta.severity,
                tenant: text("tenant").unwrap_or_default(),
                principal: text("principal"),
                session_id: text("session_id"),
                event_time: Timestamp::parse(&text("event_time").unwrap_or_default()).expect("a time that we wrote"),
                key,
                details,
                evidence: evidence.into_iter().collect(),
                revision: 1,
                withdrawn: false,
                reason: watershed_schemas::SignalReason::Found,
                marks: BTreeSet::new(),
            }
        });
        signals.collect()
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// What one signal alone amounts to by the plane of its rule.
pub(crate) fn incident(signal: &Signal) -> IncidentRevision {
    let planes = signal.plane.planes();
    let (model, access) = (planes.contains(&Plane::Model), planes.contains(&Plane::Access));
    let verdict = Verdict::of(model, access).expect("a rule has a plane");
    IncidentRevision {
        severity: signal.severity,
        principal: signal.principal.clone(),
        sessions: signal.session_id.iter().cloned().collect(),
        rules: vec![signal.rule.clone()],
        signals: vec![signal.signal_id.clone()],
        ..IncidentRevision::opened(&signal.signal_id, &signal.tenant, verdict, signal.event_time)
    }
}

/// The events of one plane as a batch.
pub(crate) fn table(plane: Plane, timeline: &[TestEvent]) -> Result<RecordBatch, String> {
    let mut builder = EventBatchBuilder::new(plane);
    for event in timeline.iter().filter(|event| event.plane == plane) {
        let mut row = Row::new(plane);
        for (name, value) in &event.row {
            let column = plane.column(name).ok_or_else(|| format!("no column {name}"))?;
            row.set(column, cell(plane.columns()[column].ty, value)?);
        }
        builder.append(&row, None);
    }
    let batch = builder.finish();
    match batch.rejects.first() {
        Some(reject) => Err(reject.reason.clone()),
        None => Ok(batch.rows),
    }
}

fn cell(ty: ColumnType, value: &Value) -> Result<Cell<'_>, String> {
    Ok(match (ty, value) {
        (ColumnType::Timestamp, Value::String(text)) => {
            Cell::Time(Timestamp::parse(text).map_err(|error| error.to_string())?)
        }
        (_, Value::String(text)) => Cell::Text(Cow::Borrowed(text)),
        (_, Value::Bool(value)) => Cell::Bool(*value),
        (ColumnType::Float, Value::Number(number)) => Cell::Float(number.as_f64().unwrap_or_default()),
        (_, Value::Number(number)) => Cell::Int(number.as_i64().unwrap_or_default()),
        (_, Value::Array(items)) => Cell::List(items.iter().filter_map(Value::as_str).map(Cow::Borrowed).collect()),
        _ => return Err(format!("{value} is no cell")),
    })
}

fn json(column: &dyn Array, at: usize) -> Value {
    if column.is_null(at) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(at)),
        DataType::Utf8View => Value::from(column.as_string_view().value(at)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(at)),
        DataType::Float64 => Value::from(column.as_primitive::<Float64Type>().value(at)),
        DataType::Boolean => Value::from(column.as_boolean().value(at)),
        DataType::Timestamp(_, _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(at);
            Value::from(Timestamp::from_micros(micros).to_string())
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(at);
            (0..items.len()).map(|at| json(items.as_ref(), at)).collect()
        }
        other => panic!("no catalog rule has an output column of the type {other}"),
    }
}
