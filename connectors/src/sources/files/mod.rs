//! Plain files for `replay`: JSON lines, JSON documents, Avro containers, protobuf; compressed or not.
//!
//! They have no arrival order, so they merge by (`ingest_time` where the event itself says when it was ingested, else
//! `event_time`; plane; file; line). Rows must be decoded to be merged, so this is not a [`Source`](super::Source): it
//! gives decoded batches.
//!
//! A file is decoded window by window (8,192 records or 16 MiB). Inside a window rows are sorted; between windows they
//! are taken as they come. A file whose disorder reaches further than a window yields rows that are late, and the
//! engine treats them so.

mod content;
mod lines;
mod merge;
mod window;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use watershed_schemas::{ColumnSet, EventBatch, Plane};

use self::window::{FileCursor, Window};
use super::SourceError;
use crate::formats::Registry;
use crate::raw::Partition;

/// One file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInput {
    /// Whose telemetry it holds.
    pub plane: Plane,
    /// The file. `.gz` and `.zst` are known by their first bytes, whatever the name.
    pub path: PathBuf,
    /// The format of its records; `auto` recognises each.
    pub format: Arc<str>,
}

/// Rows of one file, decoded, in merge order.
#[derive(Clone, Debug)]
pub struct DecodedBatch {
    /// The file, as topic; partition 0.
    pub partition: Partition,
    /// For each row the line, or the record's number, from 0. `batch.record_of_row` holds positions in it.
    pub offsets: Vec<i64>,
    /// The rows. Those of a reject's `record` are positions in `rejected`.
    pub batch: EventBatch,
    /// What could not be decoded, one for each of `batch.rejects`.
    pub rejected: Vec<RejectedRecord>,
}

/// The raw side of a reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its line, or number, from 0.
    pub offset: i64,
    /// The beginning of its payload, at most [`crate::dlq::SHOWN_BYTES`].
    pub first_bytes: Bytes,
}

/// Files of both planes, merged.
pub struct PlainFiles {
    files: Vec<FileCursor>,
    registry: Registry,
    /// For each plane the columns that are filled at first.
    columns: [ColumnSet; 2],
    progress: Progress,
}

/// How far files have been read; it can be watched while somebody else reads.
#[derive(Clone, Debug)]
pub struct Progress {
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
}

impl Progress {
    /// Bytes of the files (compressed, where they are) read so far, and in all.
    pub fn so_far(&self) -> (u64, u64) {
        (self.bytes_read.load(Ordering::Relaxed), self.bytes_total)
    }
}

impl PlainFiles {
    /// Opens every file. `tenant` is that of rows that name none.
    pub fn open(inputs: Vec<FileInput>, registry: Registry, tenant: &str) -> Result<Self, SourceError> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let mut bytes_total = 0;
        let mut files = Vec::with_capacity(inputs.len());
        let tenant: Arc<str> = tenant.into();
        for input in inputs {
            let cursor = FileCursor::open(&input, Arc::clone(&tenant), Arc::clone(&bytes_read))?;
            bytes_total += cursor.size;
            files.push(cursor);
        }
        // Ties go to the model plane's files, then to the order in which they were named.
        files.sort_by_key(|file| file.partition.plane);
        Ok(PlainFiles { files, registry, columns: [ColumnSet::ALL; 2], progress: Progress { bytes_read, bytes_total } })
    }

    /// From the next window on fills only these columns of each plane at first.
    pub fn read_columns(&mut self, columns: [ColumnSet; 2]) {
        self.columns = columns;
    }

    /// The files as partitions.
    pub fn partitions(&self) -> Vec<Partition> {
        self.files.iter().map(|file| file.partition.clone()).collect()
    }

    /// The next rows of the merged order, at most `rows`, as one batch for each file that has some of them; `None` at
    /// the end of all files. A call ends early where a file's window does. A batch without rows carries rejects.
    pub fn next(&mut self, rows: usize) -> Result<Option<Vec<DecodedBatch>>, SourceError> {
        for file in &mut self.files {
            file.fill(&self.registry, self.columns[file.partition.plane.index()])?;
        }
        let windows: Vec<Option<&Window>> = self.files.iter().map(FileCursor::window).collect();
        if windows.iter().all(Option::is_none) {
            return Ok(None);
        }
        let heads: Vec<&[i64]> = windows.iter().map(|window| window.map_or(&[][..], Window::keys)).collect();
        // A window of rejects alone says nothing about its file's next rows: the others wait for the next window.
        let unknown = windows.iter().flatten().any(|window| window.keys().is_empty());
        let counts = merge::counts(&heads, if unknown { 0 } else { rows.max(1) });
        let mut batches = Vec::with_capacity(self.files.len());
        for (file, count) in self.files.iter_mut().zip(counts) {
            batches.extend(file.take(count));
        }
        Ok(Some(batches))
    }

    /// How far they have been read.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}
