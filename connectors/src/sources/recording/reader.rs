//! Reads a recording as a source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use watershed_schemas::Timestamp;

use super::RecordingError;
use super::entry::Entry;
use super::manifest::Manifest;
use super::segment::{self, SegmentReader, Step};
use crate::raw::{Partition, RawBatch, RawRecord};
use crate::sources::{Positions, Source, SourceError, SourceEvent};

/// Yields what a recording holds, in the order in which it was written.
///
/// Neighbouring records of one partition come as one batch, up to the size asked for. Records without a broker
/// timestamp are never put in a batch with those received at another time, because that time becomes theirs.
pub struct RecordingSource {
    dir: PathBuf,
    manifest: Manifest,
    segments: u32,
    number: u32,
    open: Option<SegmentReader>,
    /// Partitions by their number in the open segment.
    defined: BTreeMap<u32, Defined>,
    /// Definitions so far: a batch ends at one, because its partition may have got another format.
    definitions: u64,
    /// An entry that did not fit the batch before it.
    held: Option<Entry>,
    partitions: Vec<Partition>,
    resume: Positions,
    batch_records: usize,
    warnings: Vec<String>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
    paused: bool,
    ended: bool,
}

#[derive(Clone)]
struct Defined {
    partition: Partition,
    format: Arc<str>,
    tenant: Arc<str>,
}

impl RecordingSource {
    /// Opens the recording in a directory. A batch holds at most `batch_records` records.
    pub fn open(dir: &Path, batch_records: usize) -> Result<Self, RecordingError> {
        let manifest = Manifest::read(dir)?;
        let mut segments = 0;
        let mut bytes_total = 0;
        while let Ok(file) = segment::path(dir, segments + 1).metadata() {
            segments += 1;
            bytes_total += file.len();
        }
        let mut warnings = Vec::new();
        if segments < manifest.segments {
            return Err(RecordingError::Unreadable {
                path: dir.display().to_string(),
                reason: format!("its manifest names {} segments, {segments} are there", manifest.segments),
            });
        }
        if !manifest.complete {
            warnings.push(format!(
                "recording `{}` was not ended in order; it is read up to its last whole entry",
                dir.display()
            ));
        }
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Ok(RecordingSource {
            dir: dir.to_owned(),
            partitions: manifest.partitions.clone(),
            manifest,
            segments,
            number: 0,
            open: None,
            defined: BTreeMap::new(),
            definitions: 0,
            held: None,
            resume: Positions::new(),
            batch_records: batch_records.max(1),
            warnings,
            bytes_read: Arc::new(AtomicU64::new(0)),
            bytes_total,
            paused: false,
            ended: false,
        })
    }

    /// What the recording says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What is wrong with the recording as far as it was read; also logged.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Compressed bytes read so far, and in all.
    pub fn progress(&self) -> (u64, u64) {
        (self.bytes_read.load(Ordering::Relaxed), self.bytes_total)
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        if let Some(entry) = self.held.take() {
            return Ok(Some(entry));
        }
        loop {
            let path = segment::path(&self.dir, self.number);
            match &mut self.open {
                None if self.number == self.segments => return Ok(None),
                None => {
                    self.number += 1;
                    let path = segment::path(&self.dir, self.number);
                    let reader =
                        SegmentReader::open(&path, Arc::clone(&self.bytes_read)).map_err(RecordingError::io(&path))?;
                    self.open = Some(reader);
                    self.defined.clear();
                }
                Some(reader) => match reader.next().map_err(RecordingError::io(&path))? {
                    Step::Entry(Entry::Partition { id, plane, topic, index, format, tenant }) => {
                        let partition = Partition { plane, topic: topic.into(), index };
                        let defined = Defined { partition, format: format.into(), tenant: tenant.into() };
                        self.defined.insert(id, defined);
                        self.definitions += 1;
                    }
                    Step::Entry(entry) => return Ok(Some(entry)),
                    Step::End => self.open = None,
                    Step::Damaged => {
                        let entries = reader.entries;
                        if self.number < self.segments {
                            return Err(RecordingError::Damaged { path: path.display().to_string(), entries });
                        }
                        let warning = format!(
                            "the last segment `{}` is cut off after entry {entries}; what was written after it is lost",
                            path.display()
                        );
                        tracing::warn!("{warning}");
                        self.warnings.push(warning);
                        self.open = None;
                    }
                },
            }
        }
    }

    fn defined(&self, id: u32) -> Result<&Defined, RecordingError> {
        self.defined.get(&id).ok_or_else(|| RecordingError::Unreadable {
            path: segment::path(&self.dir, self.number).display().to_string(),
            reason: format!("an entry names partition number {id}, which was not defined before it"),
        })
    }

    fn all_defined(&self, ids: &[u32]) -> Result<Vec<Partition>, RecordingError> {
        ids.iter().map(|id| self.defined(*id).map(|defined| defined.partition.clone())).collect()
    }

    /// The batch that begins with this record, or nothing where all of it lies before the resume position.
    fn batch(&mut self, id: u32, received: Timestamp, first: RawRecord) -> Result<Option<RawBatch>, RecordingError> {
        let Defined { partition, format, tenant } = self.defined(id)?.clone();
        let resume = self.resume.get(&partition).copied().unwrap_or(i64::MIN);
        let definitions = self.definitions;
        let stamped = first.timestamp.is_some();
        let mut taken = 1;
        let mut records = Vec::new();
        if first.offset >= resume {
            records.push(first);
        }
        while taken < self.batch_records {
            let entry = self.next_entry()?;
            match entry {
                Some(Entry::Record { partition, received: at, record })
                    if partition == id
                        && self.definitions == definitions
                        && record.timestamp.is_some() == stamped
                        && (stamped || at == received) =>
                {
                    taken += 1;
                    if record.offset >= resume {
                        records.push(record);
                    }
                }
                other => {
                    self.held = other;
                    break;
                }
            }
        }
        Ok((!records.is_empty()).then_some(RawBatch { partition, format, tenant, received, records }))
    }

    fn next_event(&mut self) -> Result<SourceEvent, RecordingError> {
        let Some(entry) = self.next_entry()? else {
            self.ended = true;
            return Ok(SourceEvent::End);
        };
        Ok(match entry {
            Entry::Partition { .. } => SourceEvent::Quiet,
            Entry::Record { partition, received, record } => {
                self.batch(partition, received, record)?.map_or(SourceEvent::Quiet, SourceEvent::Batch)
            }
            Entry::CaughtUp { partition, at } => {
                SourceEvent::CaughtUp { partition: self.defined(partition)?.partition.clone(), at }
            }
            Entry::Assigned { partitions } => {
                let assigned = self.all_defined(&partitions)?;
                let known = &mut self.partitions;
                known.extend(
                    assigned.iter().filter(|partition| !known.contains(partition)).cloned().collect::<Vec<_>>(),
                );
                SourceEvent::Assigned(assigned)
            }
            Entry::Revoked { partitions, lost } => {
                let partitions = self.all_defined(&partitions)?;
                self.partitions.retain(|partition| !partitions.contains(partition));
                SourceEvent::Revoked { partitions, lost }
            }
        })
    }
}

impl Source for RecordingSource {
    fn poll(&mut self, wait: Duration) -> Result<SourceEvent, SourceError> {
        if self.paused || self.ended {
            std::thread::park_timeout(wait);
            return Ok(SourceEvent::Quiet);
        }
        Ok(self.next_event()?)
    }

    fn partitions(&self) -> Vec<Partition> {
        self.partitions.clone()
    }

    fn resume_from(&mut self, positions: &Positions) -> Result<(), SourceError> {
        self.resume = positions.clone();
        Ok(())
    }

    fn commit(&mut self, _positions: &Positions) -> Result<(), SourceError> {
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<(), SourceError> {
        self.paused = paused;
        Ok(())
    }

    fn close(&mut self, _deadline: Duration) {
        self.open = None;
        self.ended = true;
    }
}
