//! Rows that rules remember: kept once, however many scans use them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::buffer::ScalarBuffer;
use datafusion::arrow::compute::interleave;
use datafusion::arrow::error::ArrowError;
use watershed_schemas::tables::runtime;
use watershed_schemas::{ColumnSet, EventBatch, Plane, ReadFrom, SourceRecord, Table, Timestamp};

use super::ipc::{self, Decoded};
use super::thin::{EvidenceText, thinned};
use crate::acceptance::event_times;
use crate::principals::InForce;
use crate::shelf::{self, Cold};

/// Rows of one table that came together and that some rule can use. By what they are ordered stays in memory; the rest may
/// be on a shelf.
#[derive(Debug)]
pub struct Segment {
    /// Its number in the store.
    pub id: u64,
    /// Whose rows they are.
    pub table: Table,
    /// The columns that are as they were decoded.
    pub columns: ColumnSet,
    /// The one rule that they are for, and its version, where the log was read again for it.
    pub owner: Option<Owner>,
    /// What the rows take in memory while they are there.
    pub bytes: usize,
    newest: i64,
    /// Their times, which are looked at more than all else.
    times: ScalarBuffer<i64>,
    /// Event id, source and tenant.
    names: [StringArray; 3],
    /// Where the rows were read, where that is known.
    read_from: Option<ReadFrom>,
    body: RwLock<Body>,
    /// What the ids in its rows are called.
    called: InForce,
    /// Hashes of the ids in its rows, once somebody asked.
    ids: OnceLock<Box<[u64]>>,
    /// For each plane how long after the rows they are needed for what is not late; `i64::MIN`: not at all.
    needed: [AtomicI64; 2],
}

/// Where the rows are.
#[derive(Clone)]
enum Body {
    Here(Arc<RecordBatch>),
    OnShelf(Arc<Cold>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Body::Here(_) => "in memory",
            Body::OnShelf(_) => "on the shelf",
        })
    }
}

/// A version of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The rule's id.
    pub rule: String,
    /// Hash of its SQL and key columns.
    pub version: String,
}

/// Rows that are needed could not be had back from the shelf.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the rows of segment {0} can't be had back")]
pub struct Unreadable(pub u64);

impl Segment {
    /// A segment of these rows that keeps these columns, and of long texts otherwise a fingerprint and perhaps an excerpt.
    pub fn new(id: u64, plane: Plane, rows: RecordBatch, keep: ColumnSet, texts: EvidenceText) -> Segment {
        Segment::of(id, plane, thinned(plane, rows, keep, texts), keep)
    }

    /// A segment of these rows as they are.
    pub fn of(id: u64, table: impl Into<Table>, rows: RecordBatch, columns: ColumnSet) -> Segment {
        // Buffers may be shared with others: what counts is the part that these rows are in.
        let bytes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let names = [runtime::EVENT_ID, runtime::SOURCE, runtime::TENANT];
        let texts = |column: usize| {
            let texts = rows.column(column).as_string_opt::<i32>();
            texts.cloned().unwrap_or_else(|| StringArray::new_null(rows.num_rows()))
        };
        Segment {
            id,
            table: table.into(),
            columns,
            owner: None,
            bytes,
            newest: event_times(&rows).values().iter().max().copied().unwrap_or(i64::MIN),
            times: event_times(&rows).values().clone(),
            names: names.map(texts),
            read_from: None,
            body: RwLock::new(Body::Here(Arc::new(rows))),
            called: InForce::default(),
            ids: OnceLock::new(),
            needed: [AtomicI64::new(i64::MIN), AtomicI64::new(i64::MIN)],
        }
    }

    /// A segment as it was stored.
    pub fn restored(id: u64, stored: Decoded) -> Segment {
        let Decoded { plane, rows, columns, owner, read_from } = stored;
        let segment = Segment { owner, ..Segment::of(id, plane, rows, columns) }.read_from(read_from);
        // What was read shares one buffer with all columns: what stays in memory must not hold it.
        let times = ScalarBuffer::from(segment.times.to_vec());
        let names = segment.names.each_ref().map(|names| names.iter().collect::<StringArray>());
        Segment { times, names, ..segment }
    }

    /// How many rows it has.
    pub fn row_count(&self) -> usize {
        self.times.len()
    }

    /// The same for one rule alone.
    pub fn owned_by(self, owner: Option<Owner>) -> Segment {
        Segment { owner, ..self }
    }

    /// The same, read from there.
    pub fn read_from(self, read_from: Option<ReadFrom>) -> Segment {
        let bytes = self.bytes + read_from.as_ref().map_or(0, |from| size_of_val(&*from.offsets));
        Segment { read_from, bytes, ..self }
    }

    /// The record that a row came from, where that is known.
    pub fn source(&self, row: u32) -> Option<SourceRecord> {
        self.read_from.as_ref()?.record(row)
    }

    /// Where the rows were read, for the store.
    pub(super) fn origin(&self) -> Option<&ReadFrom> {
        self.read_from.as_ref()
    }

    /// The same, with ids read by these names.
    pub fn called(self, called: InForce) -> Segment {
        Segment { called, ..self }
    }

    fn body(&self) -> Body {
        self.body.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rows, in the table's full schema. Columns that are not among `columns` hold NULLs or fingerprints.
    ///
    /// # Errors
    /// Where they were put on a shelf that does not give them back.
    pub fn rows(&self) -> Result<Arc<RecordBatch>, Unreadable> {
        match self.body() {
            Body::Here(rows) => Ok(rows),
            Body::OnShelf(cold) => {
                let decoded = |stored: &[u8]| ipc::decode(stored).ok().map(|decoded| decoded.rows);
                let rows = cold.load(self.id, self.bytes, decoded);
                rows.filter(|rows| rows.num_rows() == self.times.len()).ok_or(Unreadable(self.id))
            }
        }
    }

    /// The rows as they were decoded, where they are events.
    ///
    /// # Errors
    /// As [`Segment::rows`].
    pub fn batch(&self) -> Result<Option<EventBatch>, Unreadable> {
        let Some(plane) = self.table.plane() else { return Ok(None) };
        Ok(Some(EventBatch::of(plane, self.rows()?.as_ref().clone())))
    }

    /// Lets go of the rows in memory, once they are on the shelf.
    ///
    /// # Errors
    /// Where they are not: they stay.
    pub fn shelve(&self, cold: &Arc<Cold>) -> Result<(), shelf::Error> {
        let Body::Here(rows) = self.body() else { return Ok(()) };
        cold.put(self.id, || ipc::encode(self, &rows).ok())?;
        *self.body.write().unwrap_or_else(PoisonError::into_inner) = Body::OnShelf(Arc::clone(cold));
        Ok(())
    }

    /// Whether its rows are on a shelf.
    pub fn is_cold(&self) -> bool {
        matches!(*self.body.read().unwrap_or_else(PoisonError::into_inner), Body::OnShelf(_))
    }

    /// What it takes in memory where its rows are on a shelf.
    pub fn head_bytes(&self) -> usize {
        let size = |array: &dyn Array| array.to_data().get_slice_memory_size().unwrap_or(0);
        let offsets = self.read_from.as_ref().map_or(0, |from| size_of_val(&*from.offsets));
        size_of_val(&*self.times) + offsets + self.names.iter().map(|names| size(names)).sum::<usize>()
    }

    /// Some scan keeps rows of it for so long.
    pub fn needed_for(&self, keep: &[Option<i64>; 2]) {
        for (needed, keep) in self.needed.iter().zip(keep) {
            if let Some(keep) = keep {
                needed.fetch_max(*keep, Ordering::Relaxed);
            }
        }
    }

    /// For each plane the watermark beyond which only late rows can need it; nothing where the plane does not matter.
    pub fn due(&self) -> [Option<Timestamp>; 2] {
        self.needed.each_ref().map(|needed| match needed.load(Ordering::Relaxed) {
            i64::MIN => None,
            needed => Some(Timestamp::from_micros(self.newest.saturating_add(needed))),
        })
    }

    /// The times of its oldest and newest rows.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let oldest = self.times.iter().min().copied().unwrap_or(self.newest);
        (Timestamp::from_micros(oldest), Timestamp::from_micros(self.newest))
    }

    /// The time of one row.
    pub fn event_time(&self, row: u32) -> Timestamp {
        Timestamp::from_micros(self.times[row as usize])
    }

    /// The id of one row.
    pub fn event_id(&self, row: u32) -> &str {
        self.names[0].value(row as usize)
    }

    /// Positions of its columns that name principals.
    fn principal_columns(&self) -> &'static [usize] {
        self.table.plane().map_or(&[], Plane::principal_columns)
    }

    /// A column of some of its rows, with ids as they are called now.
    pub(super) fn as_called(&self, column: usize, values: ArrayRef, rows: impl Fn(usize) -> u32) -> ArrayRef {
        if !self.principal_columns().contains(&column) {
            return values;
        }
        let names = self.called.read();
        let called = values.as_string_opt::<i32>().and_then(|ids| names.resolved_by(ids, |at| self.tenant(rows(at))));
        called.unwrap_or(values)
    }

    /// What the id in a column of a row is called now; the text itself where the column names no principal.
    pub fn called_in<'a>(&self, column: usize, row: u32, text: &'a str) -> Cow<'a, str> {
        if !self.principal_columns().contains(&column) {
            return Cow::Borrowed(text);
        }
        let names = self.called.read();
        let called = self.tenant(row).map_or(text, |tenant| names.canonical(tenant, text));
        if called == text { Cow::Borrowed(text) } else { Cow::Owned(called.to_owned()) }
    }

    /// The rows that name one of these ids, given with [`id_hash`] and sorted.
    ///
    /// # Errors
    /// As [`Segment::rows`].
    pub fn naming(&self, hashes: &[u64]) -> Result<Vec<u32>, Unreadable> {
        let columns = self.principal_columns();
        let hash_of = |ids: &StringArray, row: usize| {
            let tenant = self.tenant(u32::try_from(row).ok()?)?;
            (!ids.is_null(row)).then(|| id_hash(tenant, ids.value(row)))
        };
        if self.ids.get().is_none() && !columns.is_empty() {
            let rows = self.rows()?;
            let all = columns.iter().filter_map(|column| rows.column(*column).as_string_opt::<i32>());
            let mut all: Vec<u64> =
                all.flat_map(|ids| (0..ids.len()).filter_map(move |row| hash_of(ids, row))).collect();
            all.sort_unstable();
            all.dedup();
            let _ = self.ids.set(all.into());
        }
        let known = self.ids.get().map_or(&[][..], AsRef::as_ref);
        let (few, many) = if hashes.len() < known.len() { (hashes, known) } else { (known, hashes) };
        if !few.iter().any(|hash| many.binary_search(hash).is_ok()) {
            return Ok(Vec::new());
        }
        let rows = self.rows()?;
        let ids: Vec<&StringArray> =
            columns.iter().filter_map(|column| rows.column(*column).as_string_opt::<i32>()).collect();
        let names = |row: &u32| {
            let hash = |ids: &&StringArray| hash_of(ids, *row as usize);
            ids.iter().filter_map(hash).any(|hash| hashes.binary_search(&hash).is_ok())
        };
        Ok((0..u32::try_from(self.row_count()).unwrap_or(u32::MAX)).filter(names).collect())
    }

    fn tenant(&self, row: u32) -> Option<&str> {
        let tenants = &self.names[2];
        (!tenants.is_null(row as usize)).then(|| tenants.value(row as usize))
    }

    /// Source and tenant of one row.
    fn source_and_tenant(&self, row: u32) -> [Option<&str>; 2] {
        let text = |names: &StringArray| -> bool { !names.is_null(row as usize) };
        let [_, source, tenant] = &self.names;
        [source, tenant].map(|names| text(names).then(|| names.value(row as usize)))
    }
}

/// What an id of a tenant is looked for by.
pub fn id_hash(tenant: &str, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tenant, id).hash(&mut hasher);
    hasher.finish()
}

/// Some rows of a segment.
#[derive(Debug)]
pub struct Picked {
    /// Where they are.
    pub segment: Arc<Segment>,
    /// Which of the segment's rows.
    pub rows: Vec<u32>,
    /// The newest event time of them.
    pub newest: Timestamp,
}

impl Picked {
    /// These rows of a segment.
    pub fn new(segment: &Arc<Segment>, rows: Vec<u32>) -> Self {
        let newest = rows.iter().map(|row| segment.event_time(*row)).max().unwrap_or(Timestamp::MIN);
        Picked { segment: Arc::clone(segment), rows, newest }
    }
}

/// One remembered row.
#[derive(Clone, Debug)]
pub struct RowRef {
    /// Where it is.
    pub segment: Arc<Segment>,
    /// Which of the segment's rows.
    pub row: u32,
}

impl RowRef {
    /// What rows of one key are ordered by, so that a result never depends on the order of arrival. Ids are unique per
    /// tenant and source.
    pub fn order(&self) -> (Timestamp, &str, [Option<&str>; 2]) {
        (self.segment.event_time(self.row), self.segment.event_id(self.row), self.segment.source_and_tenant(self.row))
    }
}

/// The chosen columns of these rows as one batch.
///
/// # Errors
/// [`Unreadable`] as an external error, where rows can't be had back from their shelf.
pub fn gather(table: Table, columns: &[usize], rows: &[RowRef]) -> Result<RecordBatch, ArrowError> {
    let schema = Arc::new(table.schema().project(columns)?);
    if rows.is_empty() {
        return Ok(RecordBatch::new_empty(schema));
    }
    let mut segments: Vec<&Arc<Segment>> = Vec::new();
    let mut place_of: HashMap<u64, usize> = HashMap::new();
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(rows.len());
    for row in rows {
        let place = *place_of.entry(row.segment.id).or_insert_with(|| {
            segments.push(&row.segment);
            segments.len() - 1
        });
        places.push((place, row.row as usize));
    }
    let batches: Vec<Arc<RecordBatch>> = segments
        .iter()
        .map(|segment| segment.rows().map_err(|error| ArrowError::ExternalError(Box::new(error))))
        .collect::<Result<_, _>>()?;
    let columns: Vec<ArrayRef> = columns
        .iter()
        .map(|column| {
            let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(*column).as_ref()).collect();
            let values = interleave(&arrays, &places)?;
            Ok(table.plane().map_or_else(|| Arc::clone(&values), |plane| called(plane, *column, &values, rows)))
        })
        .collect::<Result<_, ArrowError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema, columns, &options)
}

/// A column of rows of one plane, with ids as they are called now.
fn called(plane: Plane, column: usize, values: &ArrayRef, rows: &[RowRef]) -> ArrayRef {
    let resolved = || {
        if !plane.principal_columns().contains(&column) {
            return None;
        }
        let names = rows.first()?.segment.called.read();
        names.resolved_by(values.as_string_opt::<i32>()?, |at| rows[at].segment.tenant(rows[at].row))
    };
    resolved().unwrap_or_else(|| Arc::clone(values))
}
