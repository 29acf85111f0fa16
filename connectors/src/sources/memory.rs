//! A source that is fed from inside the process: the demo and tests.
//!
//! The channel is bounded: whoever feeds it waits for the engine, as a Kafka consumer would be paused.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watershed_schemas::Timestamp;

use super::{Positions, Source, SourceError, SourceEvent};
use crate::raw::{Partition, RawBatch};

/// The feeding end of a [`MemorySource`]. Clones feed the same source; when the last is dropped, the input has ended.
#[derive(Clone)]
pub struct MemoryHandle {
    events: SyncSender<SourceEvent>,
    committed: Arc<Mutex<Positions>>,
}

/// The reading end was dropped: nobody will ever take the event.
#[derive(Debug, thiserror::Error)]
#[error("the memory source was closed before its input ended")]
pub struct Closed;

/// Reads what its handles send.
pub struct MemorySource {
    events: Option<Receiver<SourceEvent>>,
    partitions: Vec<Partition>,
    resume: Positions,
    committed: Arc<Mutex<Positions>>,
    paused: bool,
    ended: bool,
}

/// A source of these partitions and the handle that feeds it, with room for `capacity` events between them.
pub fn channel(partitions: Vec<Partition>, capacity: usize) -> (MemoryHandle, MemorySource) {
    let (sender, receiver) = sync_channel(capacity.max(1));
    let committed = Arc::new(Mutex::new(Positions::new()));
    let handle = MemoryHandle { events: sender, committed: Arc::clone(&committed) };
    let source = MemorySource {
        events: Some(receiver),
        partitions,
        resume: Positions::new(),
        committed,
        paused: false,
        ended: false,
    };
    (handle, source)
}

impl MemoryHandle {
    /// Sends records; waits while the source has as many events as it has room for.
    pub fn send(&self, batch: RawBatch) -> Result<(), Closed> {
        self.event(SourceEvent::Batch(batch))
    }

    /// States that nothing older than `at` is still to come from the partition.
    pub fn caught_up(&self, partition: Partition, at: Timestamp) -> Result<(), Closed> {
        self.event(SourceEvent::CaughtUp { partition, at })
    }

    /// Ends the input.
    pub fn end(self) -> Result<(), Closed> {
        self.event(SourceEvent::End)
    }

    /// Sends any event: tests use it for assignments and revocations.
    pub fn event(&self, event: SourceEvent) -> Result<(), Closed> {
        self.events.send(event).map_err(|_| Closed)
    }

    /// What the engine has committed so far.
    pub fn committed(&self) -> Positions {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl MemorySource {
    /// Leaves out records that were processed before a restart; `None` where nothing is left.
    fn beyond_resume(&self, event: SourceEvent) -> Option<SourceEvent> {
        let SourceEvent::Batch(mut batch) = event else { return Some(event) };
        if let Some(&position) = self.resume.get(&batch.partition) {
            batch.records.retain(|record| record.offset >= position);
        }
        (!batch.records.is_empty()).then_some(SourceEvent::Batch(batch))
    }
}

impl Source for MemorySource {
    fn poll(&mut self, wait: Duration) -> Result<SourceEvent, SourceError> {
        let Some(events) = self.events.as_ref().filter(|_| !self.paused && !self.ended) else {
            std::thread::park_timeout(wait);
            return Ok(SourceEvent::Quiet);
        };
        match events.recv_timeout(wait) {
            Ok(SourceEvent::End) | Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                Ok(SourceEvent::End)
            }
            Ok(event) => {
                match &event {
                    SourceEvent::Assigned(partitions) => self.partitions.extend(partitions.iter().cloned()),
                    SourceEvent::Revoked { partitions, .. } => {
                        self.partitions.retain(|partition| !partitions.contains(partition));
                    }
                    _ => {}
                }
                Ok(self.beyond_resume(event).unwrap_or(SourceEvent::Quiet))
            }
            Err(RecvTimeoutError::Timeout) => Ok(SourceEvent::Quiet),
        }
    }

    fn partitions(&self) -> Vec<Partition> {
        self.partitions.clone()
    }

    fn resume_from(&mut self, positions: &Positions) -> Result<(), SourceError> {
        self.resume = positions.clone();
        Ok(())
    }

    fn commit(&mut self, positions: &Positions) -> Result<(), SourceError> {
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        committed.extend(positions.iter().map(|(partition, position)| (partition.clone(), *position)));
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<(), SourceError> {
        self.paused = paused;
        Ok(())
    }

    fn close(&mut self, _deadline: Duration) {
        self.events = None;
        self.ended = true;
    }
}
