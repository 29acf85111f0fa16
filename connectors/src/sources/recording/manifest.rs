//! What a recording says about itself.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use watershed_schemas::{Plane, Timestamp};

use super::RecordingError;
use crate::raw::Partition;

const FILE: &str = "manifest.json";
/// The layout that this version writes, and the newest that it reads.
const VERSION: u32 = 1;

/// One topic of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSummary {
    /// Its plane.
    pub plane: Plane,
    /// Its name.
    pub topic: String,
    /// The format of its records.
    pub format: String,
    /// The tenant of rows that name none.
    pub tenant: String,
}

/// The head of a recording: `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout's version.
    pub version: u32,
    /// The program that wrote it, with its version.
    pub created_by: String,
    /// Whether the writer ended in order. A recording that did not has counts of its finished segments only.
    pub complete: bool,
    /// The topics, in the order in which they were first heard.
    pub topics: Vec<TopicSummary>,
    /// The partitions that were known from the start, or heard without having been assigned.
    pub partitions: Vec<Partition>,
    /// Segments.
    pub segments: u32,
    /// Records in all segments.
    pub records: u64,
    /// Partition-end marks in all segments.
    pub marks: u64,
    /// Bytes of payloads, keys and headers before compression.
    pub bytes: u64,
    /// When the first record was received.
    pub first_received: Option<Timestamp>,
    /// When the last record was received.
    pub last_received: Option<Timestamp>,
}

/// What one segment holds: a line of `index.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentSummary {
    /// The segment's number, from 1.
    pub segment: u32,
    /// Entries of every kind.
    pub entries: u64,
    /// Records.
    pub records: u64,
    /// Partition-end marks.
    pub marks: u64,
    /// Bytes of payloads, keys and headers before compression.
    pub bytes: u64,
    /// When its first record was received.
    pub first_received: Option<Timestamp>,
    /// When its last record was received.
    pub last_received: Option<Timestamp>,
}

impl Manifest {
    pub(super) fn new(created_by: &str, partitions: Vec<Partition>) -> Self {
        Manifest {
            version: VERSION,
            created_by: created_by.to_owned(),
            complete: false,
            topics: Vec::new(),
            partitions,
            segments: 0,
            records: 0,
            marks: 0,
            bytes: 0,
            first_received: None,
            last_received: None,
        }
    }

    pub(super) fn add(&mut self, segment: &SegmentSummary) {
        self.segments = segment.segment;
        self.records += segment.records;
        self.marks += segment.marks;
        self.bytes += segment.bytes;
        self.first_received = self.first_received.or(segment.first_received);
        self.last_received = segment.last_received.or(self.last_received);
    }

    /// Whether the directory holds a recording, judged by its manifest.
    pub fn is_in(dir: &Path) -> bool {
        dir.join(FILE).is_file()
    }

    /// Reads the manifest of the recording in a directory.
    pub fn read(dir: &Path) -> Result<Self, RecordingError> {
        let path = dir.join(FILE);
        let unreadable = |reason: String| RecordingError::Unreadable { path: dir.display().to_string(), reason };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(unreadable(format!("it has no `{FILE}`")));
            }
            Err(source) => return Err(RecordingError::io(&path)(source)),
        };
        let version = serde_json::from_slice::<serde_json::Value>(&text)
            .map_err(|error| unreadable(format!("`{FILE}` is not JSON: {error}")))?
            .get("version")
            .and_then(serde_json::Value::as_u64)
            .ok_or_else(|| unreadable(format!("`{FILE}` states no version")))?;
        if version != u64::from(VERSION) {
            return Err(unreadable(format!("its version is {version}, this program reads version {VERSION}")));
        }
        serde_json::from_slice(&text).map_err(|error| unreadable(format!("`{FILE}`: {error}")))
    }

    /// Writes the manifest so that a reader sees the old one or the new one, never a part.
    pub(super) fn write(&self, dir: &Path) -> Result<(), RecordingError> {
        let path = dir.join(FILE);
        let new = dir.join("manifest.json.new");
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| RecordingError::io(&path)(std::io::Error::other(error)))?;
        text.push(b'\n');
        fs::write(&new, text).map_err(RecordingError::io(&new))?;
        fs::rename(&new, &path).map_err(RecordingError::io(&path))
    }
}
