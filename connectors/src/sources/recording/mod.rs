//! Recordings: the raw records of both streams in the order in which they arrived, for `replay`.
//!
//! A recording is a directory:
//!
//! * `manifest.json`: version, topics with plane, format and tenant, partitions, counts ([`Manifest`]).
//! * `segment-000001.zst`, …: entries in arrival order over all partitions, compressed with zstd.
//! * `index.jsonl`: one line per finished segment with its counts and times.
//!
//! Entries are what a source said: records, partition-end marks with their time, assignments and revocations. Nothing
//! is decoded, so a recording can be replayed by a later version that reads a format better. A recording whose writer
//! was killed is read up to its last whole entry, with a warning.

mod entry;
mod manifest;
mod reader;
mod segment;
mod writer;

pub use manifest::{Manifest, SegmentSummary, TopicSummary};
pub use reader::RecordingSource;
pub use writer::RecordingWriter;

/// Why a recording can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The system refused.
    #[error("recording `{path}`: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory has a recording already.
    #[error("`{path}` holds a recording already; name a new directory")]
    Exists {
        /// The directory.
        path: String,
    },
    /// It is not a recording, or one of a later version.
    #[error("`{path}` is not a recording that this version reads: {reason}")]
    Unreadable {
        /// The directory or file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A segment before the last is damaged: what follows would be read as if nothing were missing.
    #[error("segment `{path}` is damaged after entry {entries} and is not the last; restore it from a copy")]
    Damaged {
        /// The segment.
        path: String,
        /// Whole entries before the damage.
        entries: u64,
    },
}

impl RecordingError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> RecordingError {
        let path = path.display().to_string();
        move |source| RecordingError::Io { path, source }
    }
}

impl From<RecordingError> for super::SourceError {
    fn from(error: RecordingError) -> Self {
        super::SourceError::Stop(error.to_string())
    }
}
