//! Plain files: rows merged by their own times, as if one log of each plane had brought them.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_connectors::Partition;
use watershed_connectors::dlq::{DeadLetter, shown};
use watershed_connectors::formats::Registry;
use watershed_connectors::sources::SourceError;
use watershed_connectors::sources::files::{DecodedBatch, FileInput, PlainFiles};
use watershed_schemas::{ColumnSet, Plane, Timestamp};

use super::Polled;
use crate::acceptance::Refused;
use crate::core::Input;

/// Which files, and how they are read.
pub struct PlainInput {
    /// The files.
    pub files: Vec<FileInput>,
    /// The formats.
    pub registry: Registry,
    /// The tenant of rows that name none.
    pub tenant: Arc<str>,
}

/// The files being read.
pub(super) struct Plain {
    files: PlainFiles,
    planes: BTreeSet<Plane>,
    announced: bool,
    /// The file and the lines of each batch of the last poll, for dead letters.
    lines: Vec<(Partition, Vec<i64>)>,
}

impl Plain {
    pub(super) fn open(input: PlainInput) -> Result<Self, SourceError> {
        let planes = input.files.iter().map(|file| file.plane).collect();
        let files = PlainFiles::open(input.files, input.registry, &input.tenant)?;
        Ok(Plain { files, planes, announced: false, lines: Vec::new() })
    }

    pub(super) fn read_columns(&mut self, columns: [ColumnSet; 2]) {
        self.files.read_columns(columns);
    }

    pub(super) fn poll(&mut self, rows: usize, polled: &mut Polled) -> Result<(), SourceError> {
        self.lines.clear();
        if !self.announced {
            self.announced = true;
            polled.inputs.extend(self.planes.iter().map(|plane| Input::Assigned(merged(*plane))));
        }
        let mut taken = 0;
        while taken < rows {
            match self.files.next(rows - taken)? {
                Some(batches) => taken += batches.into_iter().map(|batch| self.take(batch, polled)).sum::<usize>(),
                None if taken > 0 => break,
                None => {
                    polled.inputs.push(Input::End);
                    polled.ended = true;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Hands one file's rows and rejects on; gives the number of rows.
    fn take(&mut self, batch: DecodedBatch, polled: &mut Polled) -> usize {
        let DecodedBatch { partition, offsets, batch, rejected } = batch;
        for (reject, record) in batch.rejects.iter().zip(rejected) {
            polled.rejects.push(DeadLetter {
                reason: reject.reason.clone(),
                plane: partition.plane,
                topic: partition.topic.to_string(),
                partition: partition.index,
                offset: record.offset,
                part: reject.part,
                event_id: None,
                event_time: None,
                first_bytes: shown(&record.first_bytes),
                received: Timestamp::MIN,
                payload: record.first_bytes,
            });
        }
        let rows = batch.rows.num_rows();
        polled.inputs.push(Input::Rows { origin: self.lines.len(), partition: merged(partition.plane), batch });
        self.lines.push((partition, offsets));
        rows
    }

    /// The dead letter of a row that was not accepted.
    pub(super) fn letter(&self, refused: &Refused) -> DeadLetter {
        let line = self.lines.get(refused.origin);
        let partition = line.map_or(&refused.partition, |(partition, _)| partition);
        DeadLetter {
            reason: refused.refusal.reason().to_owned(),
            plane: partition.plane,
            topic: partition.topic.to_string(),
            partition: partition.index,
            offset: line.and_then(|(_, lines)| lines.get(refused.row as usize).copied()).unwrap_or(-1),
            part: None,
            event_id: Some(refused.event_id.clone()),
            event_time: Some(refused.event_time),
            first_bytes: String::new(),
            received: Timestamp::MIN,
            payload: bytes::Bytes::new(),
        }
    }

    pub(super) fn progress(&self) -> (u64, u64) {
        self.files.progress()
    }
}

/// All files of a plane are one log: they are merged before anybody sees them, so none of them holds the others back.
fn merged(plane: Plane) -> Partition {
    Partition { plane, topic: "files".into(), index: 0 }
}
