//! Records as they came, before anybody understood them.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use watershed_schemas::{Plane, Timestamp};

/// One ordered log: a Kafka partition, or a file (its path as topic, partition 0).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// Which plane's telemetry it carries.
    pub plane: Plane,
    /// The topic's name, or the file's path.
    pub topic: Arc<str>,
    /// The partition's number.
    pub index: i32,
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.index)
    }
}

/// One record as the broker or the file held it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Kafka offset, or the line's number from 0.
    pub offset: i64,
    /// The broker's timestamp; for plain files none.
    pub timestamp: Option<Timestamp>,
    /// The record's key.
    pub key: Option<Bytes>,
    /// The record's headers.
    pub headers: Vec<(String, Bytes)>,
    /// The payload; empty for a tombstone.
    pub payload: Bytes,
}

/// Records of one partition, in offset order.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// Where they come from.
    pub partition: Partition,
    /// Name of the format to decode them with; `auto` recognises each record.
    pub format: Arc<str>,
    /// The tenant of rows that name none.
    pub tenant: Arc<str>,
    /// When this process, or the recording, received the batch: the `ingest_time` of rows whose record has no broker
    /// timestamp. [`Timestamp::MIN`] means unknown (plain files): decoding then leaves `ingest_time` NULL unless the
    /// event itself says when it was ingested.
    pub received: Timestamp,
    /// The records.
    pub records: Vec<RawRecord>,
}
