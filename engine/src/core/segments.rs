//! The rows that rules remember, as they stand in the store.

use std::io::Cursor;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use watershed_schemas::{ColumnSet, EventBatch, Plane};

use crate::evaluator::Segment;
use crate::store::Commit;

/// First bytes of the keys that hold segments.
pub(super) const PREFIX: &[u8] = b"s/";
/// Holds the number of the next segment: one is never used twice, as rules begin with the first that they saw.
pub(super) const NEXT_KEY: &[u8] = b"m/next-segment";

/// Every segment that some rule may still hold rows of.
#[derive(Default)]
pub(super) struct Segments {
    live: Vec<Arc<Segment>>,
    next: u64,
    /// Segments that were there at the last look: looking is worth it when their number has doubled.
    looked_at: usize,
    /// Bytes of all of them.
    bytes: usize,
    /// Nobody keeps commits: segments need not be encoded.
    forgetful: bool,
}

impl Segments {
    /// States that nobody keeps commits.
    pub(super) fn forget(&mut self) {
        self.forgetful = true;
    }

    /// Copies these columns of these rows of a batch into a segment of their own.
    pub(super) fn add(
        &mut self,
        batch: &EventBatch,
        rows: &[u32],
        keep: ColumnSet,
        commit: &mut Commit,
    ) -> Option<Arc<Segment>> {
        let segment = Arc::new(Segment::new(self.next, batch.plane, batch.whole(rows).ok()?, keep));
        self.next += 1;
        commit.puts.push((NEXT_KEY.to_vec(), self.next.to_be_bytes().to_vec()));
        if !self.forgetful
            && let Ok(value) = encode(&segment)
        {
            commit.puts.push((key(segment.id), value));
        }
        self.bytes += segment.bytes;
        self.live.push(Arc::clone(&segment));
        Some(segment)
    }

    /// Forgets the segments that no rule holds a row of any more.
    pub(super) fn expire(&mut self, commit: &mut Commit) {
        if self.live.len() >= 2 * self.looked_at.max(32) {
            self.sweep(commit);
        }
    }

    /// The same, however few there are.
    pub(super) fn sweep(&mut self, commit: &mut Commit) {
        self.live.retain(|segment| {
            let held = Arc::strong_count(segment) > 1;
            if !held {
                commit.deletes.push(key(segment.id));
            }
            held
        });
        self.looked_at = self.live.len();
        self.bytes = self.live.iter().map(|segment| segment.bytes).sum();
    }

    /// What they all take in memory, each counted once.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every segment that some rule may hold rows of, oldest first.
    pub(super) fn live(&self) -> &[Arc<Segment>] {
        &self.live
    }

    /// For each plane the columns that all of them have kept.
    pub(super) fn columns(&self) -> [ColumnSet; 2] {
        Plane::ALL.map(|plane| {
            let own = self.live.iter().filter(|segment| segment.table.plane() == Some(plane));
            own.fold(ColumnSet::ALL, |columns, segment| columns.common(segment.columns))
        })
    }

    /// The number of the next segment.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Reads back what was durable.
    pub(super) fn restore(&mut self, stored: &[(Vec<u8>, Vec<u8>)], next: &[(Vec<u8>, Vec<u8>)]) {
        let number = |value: &Vec<u8>| value.as_slice().try_into().ok().map(u64::from_be_bytes);
        self.next = next.first().and_then(|(_, value)| number(value)).unwrap_or(0);
        for (key, value) in stored {
            let id = key.strip_prefix(PREFIX).and_then(|id| id.try_into().ok()).map(u64::from_be_bytes);
            if let (Some(id), Ok((plane, rows, columns))) = (id, decode(value)) {
                self.live.push(Arc::new(Segment::of(id, plane, rows, columns)));
                self.next = self.next.max(id + 1);
            }
        }
        self.bytes = self.live.iter().map(|segment| segment.bytes).sum();
    }
}

fn key(id: u64) -> Vec<u8> {
    [PREFIX, &id.to_be_bytes()].concat()
}

/// Name under which the schema of a stored segment lists the columns that were kept.
const KEPT: &str = "kept";

/// One byte for the plane, then an Arrow IPC stream.
fn encode(segment: &Segment) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = vec![u8::try_from(segment.table.index()).unwrap_or(0)];
    let kept = (0..segment.rows.num_columns()).filter(|column| segment.columns.contains(*column));
    let kept = kept.map(|column| column.to_string()).collect::<Vec<_>>().join(" ");
    let schema = segment.rows.schema().as_ref().clone().with_metadata([(KEPT.to_owned(), kept)].into());
    let rows = segment.rows.clone().with_schema(Arc::new(schema))?;
    let mut writer = StreamWriter::try_new(&mut bytes, &rows.schema())?;
    writer.write(&rows)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

fn decode(value: &[u8]) -> Result<(Plane, RecordBatch, ColumnSet), ArrowError> {
    let damaged = || ArrowError::IpcError("a stored segment is incomplete".to_owned());
    let (plane, stream) = value.split_first().ok_or_else(damaged)?;
    let plane = *Plane::ALL.get(usize::from(*plane)).ok_or_else(damaged)?;
    let rows = StreamReader::try_new(Cursor::new(stream), None)?.next().ok_or_else(damaged)??;
    let kept = rows.schema_ref().metadata().get(KEPT).ok_or_else(damaged)?;
    let columns = kept.split_ascii_whitespace().filter_map(|column| column.parse::<usize>().ok());
    let columns = columns.filter(|column| *column < rows.num_columns()).collect();
    Ok((plane, RecordBatch::try_new(plane.schema(), rows.columns().to_vec())?, columns))
}
