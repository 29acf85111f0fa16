//! One thread that reads a part of the log for one rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use watershed_connectors::formats::Registry;
use watershed_connectors::sources::SourceError;
use watershed_connectors::sources::past::{Extent, PastEvent};
use watershed_connectors::{Partition, RawBatch};
use watershed_schemas::{EventBatch, Plane, Timestamp};

use super::Open;
use crate::acceptance::event_times;
use crate::core::{Backfill, Past};
use crate::intake::read_from;

/// Batches that are read ahead.
const AHEAD: usize = 2;
/// How long one look at the log waits.
const LOOK: Duration = Duration::from_millis(200);
/// How long a log that is away is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The receiving end of a thread. The thread ends when this is dropped, or when it has read everything.
pub(super) struct Reader {
    read: Receiver<Past>,
    ended: bool,
    /// Batches that it was asked for so far.
    pub(super) served: u64,
}

impl Reader {
    pub(super) fn start(backfill: Backfill, open: Arc<Open>, registry: Registry, skew: Duration) -> Reader {
        let (send, read) = sync_channel(AHEAD);
        let name = format!("backfill-{}", backfill.wanted.ticket);
        let work = move || {
            let end = match read_all(&backfill, open.as_ref(), &registry, skew, &send) {
                Ok(Some(since)) => Past::End { since, failed: None },
                // Nobody wants it any more.
                Ok(None) => return,
                Err(error) => Past::End { since: [Timestamp::MAX; 2], failed: Some(error.to_string()) },
            };
            let _ = send.send(end);
        };
        // Without a thread the channel is closed, and that is told as a failure.
        let _ = std::thread::Builder::new().name(name).spawn(work);
        Reader { read, ended: false, served: 0 }
    }

    /// What is ready.
    pub(super) fn take(&mut self) -> Option<Past> {
        if self.ended {
            return None;
        }
        let past = match self.read.try_recv() {
            Ok(past) => past,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => {
                let failed = Some("the thread that reads the log again has ended".to_owned());
                Past::End { since: [Timestamp::MAX; 2], failed }
            }
        };
        self.ended = matches!(past, Past::End { .. });
        self.served += 1;
        Some(past)
    }
}

/// Reads everything; returns since when nothing is missing, or nothing where nobody wants it any more.
fn read_all(
    backfill: &Backfill,
    open: &Open,
    registry: &Registry,
    skew: Duration,
    send: &SyncSender<Past>,
) -> Result<Option<[Timestamp; 2]>, SourceError> {
    // An event may have been written before the time that it names, by the skew of its clock.
    let since = backfill.wanted.since.map(|since| since.map(|since| since.minus(skew)));
    let mut past = with_patience(|| open(since, &backfill.wanted.until))?;
    let mut progress = Progress::new(past.extents());
    let mut heard = Instant::now();
    loop {
        match with_patience(|| past.poll(LOOK))? {
            PastEvent::End => return Ok(Some(progress.covered(skew))),
            PastEvent::Quiet if heard.elapsed() > PATIENCE => {
                let waited = PATIENCE.as_secs();
                return Err(SourceError::Stop(format!(
                    "nothing has come of the log for {waited} s, and it is not at its end"
                )));
            }
            PastEvent::Quiet => {}
            PastEvent::Batch(raw) => {
                let raw = Arc::new(raw);
                let mut batch = registry.decode_columns(&raw, backfill.columns[raw.partition.plane.index()]);
                batch.read_from = Some(read_from(&raw, &batch));
                progress.read(&raw, &batch);
                if batch.rows.num_rows() > 0 && send.send(Past::Rows { batch, percent: progress.percent() }).is_err() {
                    return Ok(None);
                }
                heard = Instant::now();
            }
        }
    }
}

/// Tries again what is worth another try.
fn with_patience<T>(mut ask: impl FnMut() -> Result<T, SourceError>) -> Result<T, SourceError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(SourceError::Retry(reason)) if Instant::now() < deadline => {
                tracing::warn!(%reason, "the log can't be read again for a rule; trying again");
                std::thread::park_timeout(LOOK);
            }
            other => return other,
        }
    }
}

/// How far each partition is read.
struct Progress {
    partitions: BTreeMap<Partition, (Extent, Read)>,
}

#[derive(Clone, Copy, Default)]
struct Read {
    /// Records read, as far as offsets tell.
    done: i64,
    /// When the first record was written; where nobody says so, the time of its event.
    first: Option<Timestamp>,
}

impl Progress {
    fn new(extents: BTreeMap<Partition, Extent>) -> Self {
        let unread = |(partition, extent)| (partition, (extent, Read::default()));
        Progress { partitions: extents.into_iter().map(unread).collect() }
    }

    fn read(&mut self, raw: &RawBatch, batch: &EventBatch) {
        let Some((extent, read)) = self.partitions.get_mut(&raw.partition) else { return };
        if let Some(last) = raw.records.last() {
            read.done = last.offset + 1 - extent.from;
        }
        if read.first.is_none() {
            let written = raw.records.first().and_then(|record| record.timestamp);
            let happened = || event_times(&batch.rows).iter().flatten().next().map(Timestamp::from_micros);
            read.first = written.or_else(happened);
        }
    }

    fn percent(&self) -> u8 {
        let (done, all) = self.partitions.values().fold((0, 0), |(done, all), (extent, read)| {
            (done + i128::from(read.done), all + i128::from(extent.until - extent.from))
        });
        if all <= 0 { 100 } else { u8::try_from((done * 100 / all).clamp(0, 100)).unwrap_or(100) }
    }

    /// For each plane the event time after which everything was there.
    fn covered(&self, skew: Duration) -> [Timestamp; 2] {
        Plane::ALL.map(|plane| {
            let own = self.partitions.iter().filter(|(partition, _)| partition.plane == plane);
            let since = own.map(|(_, (extent, read))| match read.first {
                _ if extent.whole => Timestamp::MIN,
                // What is gone was written before the first record that is there.
                Some(first) => first.plus(skew),
                None => Timestamp::MAX,
            });
            since.max().unwrap_or(Timestamp::MIN)
        })
    }
}
