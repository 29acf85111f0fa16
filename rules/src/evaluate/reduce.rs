//! The rows of a result, reduced to one finding per key. Stream and batch share it: it is part of what a rule means.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::{SortOptions, cast, concat_batches, take};
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use serde_json::Value;
use watershed_schemas::Timestamp;

use super::json;
use crate::finding::Finding;
use crate::version::signal_id;

/// Which output column is what.
#[derive(Clone, Debug)]
pub(crate) struct Reduction {
    pub(crate) rule: String,
    pub(crate) version: String,
    /// Names of the output columns, in order.
    pub(crate) names: Vec<String>,
    pub(crate) event_time: usize,
    pub(crate) tenant: usize,
    pub(crate) principal: Option<usize>,
    pub(crate) session_id: Option<usize>,
    /// The key columns, in the order of the front matter.
    pub(crate) key: Vec<usize>,
    /// Columns that hold event ids or lists of them.
    pub(crate) evidence: Vec<usize>,
    /// Columns that an aggregate computes.
    pub(crate) gathered: Vec<usize>,
    /// Columns that tell the partition key of a row.
    pub(crate) owner: OwnerColumns,
}

/// Output columns that tell to which partition key a row belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum OwnerColumns {
    /// None does.
    #[default]
    None,
    /// These hold the partition key, in the order of [`Scan::key`](crate::Scan::key).
    Key(Vec<usize>),
    /// This one always holds the id of an event that some scan read.
    Event(usize),
}

/// What one run over the rows of many partition keys gives.
#[derive(Debug, Default)]
pub struct Apart {
    /// One finding per key of the rule, sorted by signal id.
    pub findings: Vec<Finding>,
    /// To which partition key each belongs.
    pub owner: Owner,
}

/// What tells to which partition key findings belong: one value in each column for each of them.
#[derive(Debug, Default)]
pub enum Owner {
    /// Nothing.
    #[default]
    Unknown,
    /// The columns of the partition key, in the order of [`Scan::key`](crate::Scan::key).
    Key(Vec<ArrayRef>),
    /// The id of an event that some scan read.
    Event(ArrayRef),
}

/// What one key has gathered.
struct Group {
    least: OwnedRow,
    row: usize,
    evidence: BTreeSet<String>,
}

impl Reduction {
    /// One finding per key: the least row by (event_time, then all columns, NULLs last), with the evidence of all rows of
    /// the key. Sorted by signal id.
    pub(crate) fn reduce(&self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Apart, String> {
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(Apart::default());
        }
        let rows = concat_batches(schema, batches).map_err(|error| error.to_string())?;
        let times = self.times(&rows)?;
        let columns: Vec<ArrayRef> = rows.columns().iter().map(json::normalised).collect();
        let mut order: Vec<ArrayRef> = vec![ArrayRef::clone(&times)];
        order.extend(
            columns.iter().enumerate().map(|(at, column)| json::comparable(column, self.gathered.contains(&at))),
        );
        let order = encode(&order)?;
        let mut identity: Vec<ArrayRef> = vec![ArrayRef::clone(&columns[self.tenant])];
        identity.extend(self.key.iter().map(|&at| ArrayRef::clone(&columns[at])));
        let identity = encode(&identity)?;

        let mut groups: BTreeMap<OwnedRow, Group> = BTreeMap::new();
        for (row, (key, rank)) in identity.into_iter().zip(order).enumerate() {
            let group =
                groups.entry(key).or_insert_with(|| Group { least: rank.clone(), row, evidence: BTreeSet::new() });
            if rank < group.least {
                group.least = rank;
                group.row = row;
            }
            for &at in &self.evidence {
                gather(&columns[at], row, &mut group.evidence);
            }
        }
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let mut findings: Vec<(Finding, u64)> = groups
            .into_values()
            .map(|group| {
                let row = group.row;
                (self.finding(&columns, group, |row| Timestamp::from_micros(times.value(row))), row as u64)
            })
            .collect();
        findings.sort_by(|(a, _), (b, _)| a.signal_id.cmp(&b.signal_id));
        let (findings, of_row): (Vec<Finding>, Vec<u64>) = findings.into_iter().unzip();
        let of_row = UInt64Array::from(of_row);
        let owner = self.owner(&rows, &of_row).map_err(|error| error.to_string())?;
        Ok(Apart { findings, owner })
    }

    fn owner(&self, rows: &RecordBatch, of_row: &UInt64Array) -> Result<Owner, ArrowError> {
        let column = |at: usize| take(rows.column(at), of_row, None);
        Ok(match &self.owner {
            OwnerColumns::None => Owner::Unknown,
            OwnerColumns::Key(columns) => Owner::Key(columns.iter().map(|at| column(*at)).collect::<Result<_, _>>()?),
            OwnerColumns::Event(at) => Owner::Event(cast(&column(*at)?, &DataType::Utf8)?),
        })
    }

    fn times(&self, rows: &RecordBatch) -> Result<ArrayRef, String> {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let times = cast(rows.column(self.event_time), &micros).map_err(|error| error.to_string())?;
        if times.null_count() > 0 {
            return Err("a row of the result has no `event_time`; take it from a table that always has one".into());
        }
        if rows.column(self.tenant).null_count() > 0 {
            return Err("a row of the result has no `tenant`; take it from a table that always has one".into());
        }
        Ok(times)
    }

    fn finding(&self, columns: &[ArrayRef], group: Group, time: impl Fn(usize) -> Timestamp) -> Finding {
        let at = |column: usize| json::value_of(&columns[column], group.row, self.gathered.contains(&column));
        let text = |column: usize| match at(column) {
            Value::String(text) => Some(text),
            _ => None,
        };
        let tenant = text(self.tenant).unwrap_or_default();
        let values: Vec<Value> = self.key.iter().map(|&column| at(column)).collect();
        let named = [Some(self.event_time), Some(self.tenant), self.principal, self.session_id];
        let details = (0..columns.len()).filter(|column| !self.key.contains(column) && !named.contains(&Some(*column)));
        Finding {
            signal_id: signal_id(&self.rule, &self.version, &tenant, &values),
            principal: self.principal.and_then(text),
            session_id: self.session_id.and_then(text),
            event_time: time(group.row),
            details: details.map(|column| (self.names[column].clone(), at(column))).collect(),
            key: self.key.iter().map(|&column| self.names[column].clone()).zip(values).collect(),
            evidence: group.evidence.into_iter().collect(),
            tenant,
        }
    }
}

fn encode(columns: &[ArrayRef]) -> Result<Vec<OwnedRow>, String> {
    let nulls_last = SortOptions { descending: false, nulls_first: false };
    let fields =
        columns.iter().map(|column| SortField::new_with_options(column.data_type().clone(), nulls_last)).collect();
    let converter = RowConverter::new(fields).map_err(|error| error.to_string())?;
    let rows = converter.convert_columns(columns).map_err(|error| error.to_string())?;
    Ok(rows.iter().map(|row| row.owned()).collect())
}

fn gather(column: &ArrayRef, row: usize, evidence: &mut BTreeSet<String>) {
    match json::value(column, row) {
        Value::String(id) => {
            evidence.insert(id);
        }
        Value::Array(ids) => evidence.extend(ids.into_iter().filter_map(|id| match id {
            Value::String(id) => Some(id),
            _ => None,
        })),
        _ => {}
    }
}
