//! `poll` and `decode`: raw records in, batches of rows out.

mod plain;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_connectors::dlq::{DeadLetter, shown};
use watershed_connectors::formats::Registry;
use watershed_connectors::sources::{Positions, Source, SourceError, SourceEvent};
use watershed_connectors::{Partition, RawBatch};
use watershed_schemas::{ColumnSet, EventBatch, ReadFrom, Reject, Timestamp};

use crate::acceptance::Refused;
use crate::core::Input;

use plain::Plain;
pub use plain::PlainInput;

/// What one poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// For the core, in the order of arrival.
    pub inputs: Vec<Input>,
    /// What could not be decoded.
    pub rejects: Vec<DeadLetter>,
    /// Whether partitions were given away: what was read of them must be committed now.
    pub revoked: bool,
    /// Whether all inputs have ended.
    pub ended: bool,
}

/// Where rows come from.
pub struct Intake {
    from: From,
    /// Rows that one poll gathers before it returns.
    batch_rows: usize,
    positions: Positions,
    /// Whether positions have moved since the last commit.
    moved: bool,
    /// Partitions that belong to somebody else once the next commit is done.
    released: BTreeSet<Partition>,
    /// For each plane the columns that somebody reads.
    columns: [ColumnSet; 2],
    /// The raw records of the last poll, for dead letters.
    raw: Vec<Arc<RawBatch>>,
    announced: bool,
    /// A failure of the source that came after records, for the next poll.
    failed: Option<SourceError>,
}

enum From {
    Source { source: Box<dyn Source>, registry: Registry },
    Plain(Box<Plain>),
}

impl Intake {
    /// Rows of a source's raw records.
    pub fn from_source(source: Box<dyn Source>, registry: Registry, batch_rows: usize) -> Self {
        Intake::new(From::Source { source, registry }, batch_rows)
    }

    /// Decodes a source's records with these formats from here on. Plain files are being read already.
    pub fn set_formats(&mut self, formats: Registry) {
        if let From::Source { registry, .. } = &mut self.from {
            *registry = formats;
        }
    }

    /// Rows of plain files, merged by their own times.
    pub fn from_plain(inputs: PlainInput, batch_rows: usize) -> Result<Self, SourceError> {
        Ok(Intake::new(From::Plain(Box::new(Plain::open(inputs, batch_rows.max(1))?)), batch_rows))
    }

    fn new(from: From, batch_rows: usize) -> Self {
        Intake {
            from,
            batch_rows: batch_rows.max(1),
            positions: Positions::new(),
            moved: false,
            released: BTreeSet::new(),
            columns: [ColumnSet::ALL; 2],
            raw: Vec::new(),
            announced: false,
            failed: None,
        }
    }

    /// From now on fills only these columns of each plane at first; the others of the rows that match.
    pub fn read_columns(&mut self, columns: [ColumnSet; 2]) {
        self.columns = columns;
        if let From::Plain(plain) = &mut self.from {
            plain.read_columns(columns);
        }
    }

    /// Where to take up reading; before the first poll.
    pub fn resume_from(&mut self, positions: &Positions) -> Result<(), SourceError> {
        self.positions = positions.clone();
        match &mut self.from {
            From::Source { source, .. } => source.resume_from(positions),
            From::Plain(_) => Ok(()),
        }
    }

    /// Waits at most `wait` for the first record, then takes what is there, up to a batch.
    pub fn poll(&mut self, wait: Duration) -> Result<Polled, SourceError> {
        self.raw.clear();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut polled = Polled::default();
        match &mut self.from {
            From::Plain(plain) => polled = plain.poll()?,
            From::Source { source, .. } => {
                if !self.announced {
                    self.announced = true;
                    polled.inputs.extend(source.partitions().into_iter().map(Input::Assigned));
                }
                self.poll_source(wait, &mut polled)?;
            }
        }
        Ok(polled)
    }

    fn poll_source(&mut self, wait: Duration, polled: &mut Polled) -> Result<(), SourceError> {
        let From::Source { source, registry } = &mut self.from else { return Ok(()) };
        let deadline = Instant::now() + wait;
        let mut rows = 0;
        let mut wait = wait;
        while rows < self.batch_rows {
            let event = match source.poll(wait) {
                Ok(event) => event,
                Err(SourceError::Retry(reason)) => {
                    tracing::warn!(%reason, "the source is away; trying again");
                    break;
                }
                // What was taken before the failure still goes its way: positions have moved past it.
                Err(error) if !polled.inputs.is_empty() => {
                    self.failed = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            match event {
                SourceEvent::Quiet => break,
                SourceEvent::End => {
                    polled.inputs.push(Input::End);
                    polled.ended = true;
                    break;
                }
                SourceEvent::Assigned(partitions) => polled.inputs.extend(partitions.into_iter().map(Input::Assigned)),
                SourceEvent::Revoked { partitions, lost } => {
                    for partition in partitions {
                        if lost {
                            self.positions.remove(&partition);
                        }
                        self.released.insert(partition.clone());
                        polled.inputs.push(Input::Revoked(partition));
                    }
                    polled.revoked = true;
                    break;
                }
                SourceEvent::Finished(partition) => polled.inputs.push(Input::Revoked(partition)),
                SourceEvent::CaughtUp { partition, at } => polled.inputs.push(Input::CaughtUp(partition, at)),
                SourceEvent::Batch(raw) => {
                    let raw = Arc::new(raw);
                    let mut batch = registry.decode_columns(&raw, self.columns[raw.partition.plane.index()]);
                    batch.read_from = Some(read_from(&raw, &batch));
                    polled.rejects.extend(batch.rejects.iter().map(|reject| rejected(&raw, reject)));
                    // Records that gave no row count too, or a topic full of poison would be read for ever.
                    rows += raw.records.len().max(batch.rows.num_rows());
                    if let Some(last) = raw.records.last() {
                        self.positions.insert(raw.partition.clone(), last.offset + 1);
                        self.moved = true;
                    }
                    let partition = raw.partition.clone();
                    polled.inputs.push(Input::Rows { origin: self.raw.len(), partition, batch });
                    self.raw.push(raw);
                }
            }
            wait = if rows == 0 { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
        }
        Ok(())
    }

    /// The dead letter of a row that was not accepted.
    pub fn letter(&self, refused: &Refused) -> DeadLetter {
        if let From::Plain(plain) = &self.from {
            return plain.letter(refused);
        }
        let raw = self.raw.get(refused.origin).map(|batch| (batch, batch.records.get(refused.record as usize)));
        let (received, record) = raw.map_or((Timestamp::MIN, None), |(batch, record)| (batch.received, record));
        DeadLetter {
            reason: refused.refusal.reason().to_owned(),
            plane: refused.partition.plane,
            topic: refused.partition.topic.to_string(),
            partition: refused.partition.index,
            offset: record.map_or(i64::from(refused.record), |record| record.offset),
            part: None,
            event_id: Some(refused.event_id.clone()),
            event_time: Some(refused.event_time),
            first_bytes: record.map(|record| shown(&record.payload)).unwrap_or_default(),
            received,
            payload: record.map(|record| record.payload.clone()).unwrap_or_default(),
        }
    }

    /// Next record to read of each partition, as of the last poll.
    pub fn positions(&self) -> Positions {
        self.positions.clone()
    }

    /// Up to where each partition that is read by this process has been read, as of the last poll.
    pub fn read_to(&self) -> Positions {
        let From::Source { source, .. } = &self.from else { return self.positions.clone() };
        let mut positions = source.starts();
        let read = source.partitions();
        let known = self.positions.iter().filter(|(partition, _)| read.contains(partition));
        positions.extend(known.map(|(partition, position)| (partition.clone(), *position)));
        positions
    }

    /// Tells the source what is durable, and lets go of what was revoked.
    pub fn commit(&mut self, positions: &Positions) -> Result<(), SourceError> {
        if let From::Source { source, .. } = &mut self.from {
            match source.commit(positions) {
                // The store has the positions: the group learns them with the next commit.
                Err(SourceError::Retry(reason)) => tracing::warn!(%reason, "offsets were not committed"),
                other => other?,
            }
        }
        self.moved = false;
        for partition in std::mem::take(&mut self.released) {
            self.positions.remove(&partition);
        }
        Ok(())
    }

    /// Stops or restarts fetching.
    pub fn pause(&mut self, paused: bool) -> Result<(), SourceError> {
        match &mut self.from {
            From::Source { source, .. } => source.pause(paused),
            From::Plain(_) => Ok(()),
        }
    }

    /// Leaves the source.
    pub fn close(&mut self, deadline: Duration) {
        if let From::Source { source, .. } = &mut self.from {
            source.close(deadline);
        }
    }

    /// Whether there are positions that no commit has made durable.
    pub fn has_news(&self) -> bool {
        self.moved || !self.released.is_empty()
    }

    /// Whether some partition is read by this process.
    pub fn is_assigned(&self) -> bool {
        match &self.from {
            From::Source { source, .. } => !source.partitions().is_empty(),
            From::Plain(_) => true,
        }
    }

    /// Records not read yet, where the source knows.
    pub fn lag(&self) -> Option<u64> {
        match &self.from {
            From::Source { source, .. } => source.lag(),
            From::Plain(_) => None,
        }
    }

    /// Bytes read and bytes in all, where the input is files.
    pub fn progress(&self) -> Option<(u64, u64)> {
        match &self.from {
            From::Source { .. } => None,
            From::Plain(plain) => Some(plain.progress()),
        }
    }
}

/// Where the rows of a decoded batch were read.
pub(crate) fn read_from(raw: &RawBatch, batch: &EventBatch) -> ReadFrom {
    let offset = |record: &u32| raw.records.get(*record as usize).map_or(-1, |record| record.offset);
    ReadFrom {
        topic: Arc::clone(&raw.partition.topic),
        partition: raw.partition.index,
        offsets: batch.record_of_row.iter().map(offset).collect(),
    }
}

/// The dead letter of a record, or a part of one, that could not be decoded.
fn rejected(raw: &RawBatch, reject: &Reject) -> DeadLetter {
    let record = raw.records.get(reject.record);
    DeadLetter {
        reason: reject.reason.clone(),
        plane: raw.partition.plane,
        topic: raw.partition.topic.to_string(),
        partition: raw.partition.index,
        offset: record.map_or(-1, |record| record.offset),
        part: reject.part,
        event_id: None,
        event_time: None,
        first_bytes: record.map(|record| shown(&record.payload)).unwrap_or_default(),
        received: raw.received,
        payload: record.map(|record| record.payload.clone()).unwrap_or_default(),
    }
}
