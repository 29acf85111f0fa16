//! `deliver`: drains the outbox to the receivers, at least once and in order.
//!
//! One worker per receiver, so that a slow one harms no other. A worker takes the next message (all waiting rows about
//! one incident are one message), makes an attempt, and does what the answer demands: accepted, the rows leave the
//! store; worth another attempt, it waits (back-off with jitter, `Retry-After`); refused or too old, the message goes
//! to the dead letters; gone, it goes to the fallback, and so does all that follows.
//!
//! Nothing is bounded by dropping: [`Delivery::is_full`] tells intake to pause, and what a worker holds in memory is
//! what the store holds. A kill at any moment repeats a message under the same id at most.
//!
//! Some sinks edit what they sent: what they remember for that is stored with the delivery, see `memory.rs`.

mod clock;
mod dead_letters;
mod lane;
mod memory;
mod queue;
mod settings;
mod shared;
#[cfg(test)]
pub(crate) mod tests;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use watershed_schemas::Notification;

pub use clock::{Clock, SystemClock};
pub use dead_letters::DeadLetter;
pub use lane::{Receiver, ReceiverSnapshot, ReceiverState};
pub use settings::{DeliverySettings, ReceiverSettings};

use crate::outbox::{self, OutboxRow};
use crate::store::{self, Commit, StateStore};
use dead_letters::DeadLetters;
use lane::Lane;
use shared::Shared;
use worker::Worker;

/// Why delivery can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two receivers have one name.
    #[error("two receivers are named `{0}`: rename one")]
    DuplicateReceiver(String),
    /// The fallback is no receiver.
    #[error("the fallback `{0}` is not among the receivers: name one that is, or leave it out")]
    UnknownFallback(String),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A row that nobody can take can't be kept either.
    #[error("the dead letters can't be written: {0}")]
    DeadLetters(#[from] std::io::Error),
}

/// The workers of all receivers.
pub struct Delivery {
    shared: Arc<Shared>,
    stopping: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    limit: usize,
}

impl Delivery {
    /// Starts a worker for each receiver on `runtime`, with the rows that the store still holds. Call it before anything
    /// commits new rows; it blocks while it reads the store.
    pub fn start(
        runtime: &Handle,
        store: Arc<dyn StateStore>,
        receivers: Vec<Receiver>,
        settings: DeliverySettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Delivery, Error> {
        let mut lanes = BTreeMap::new();
        for receiver in receivers {
            let name = receiver.name.clone();
            if lanes.insert(name.clone(), Arc::new(Lane::new(receiver))).is_some() {
                return Err(Error::DuplicateReceiver(name));
            }
        }
        if let Some(fallback) = settings.fallback.as_ref().filter(|fallback| !lanes.contains_key(*fallback)) {
            return Err(Error::UnknownFallback(fallback.clone()));
        }
        let shared = Arc::new(Shared {
            lanes,
            store,
            clock,
            fallback: settings.fallback,
            dead_letters: Arc::new(DeadLetters::new(settings.dead_letters)),
            pending: watch::Sender::new(0),
            failure: OnceLock::new(),
        });
        memory::prune(shared.store.as_ref(), shared.clock.now())?;
        recover(&shared)?;
        let stopping = watch::Sender::new(false);
        let workers = shared
            .lanes
            .values()
            .map(|lane| runtime.spawn(Worker::new(Arc::clone(&shared), Arc::clone(lane), stopping.subscribe()).run()))
            .collect();
        Ok(Delivery { shared, stopping, workers, limit: settings.outbox_limit })
    }

    /// Hands over rows that a commit has just made durable. Never blocks.
    pub fn enqueue(&self, rows: impl IntoIterator<Item = OutboxRow>) {
        for row in rows {
            if let Err(row) = self.shared.queue(row) {
                // It stays in the store, and the next start puts it to the dead letters if nobody takes it then.
                tracing::error!(
                    receiver = %row.notification.receiver, seq = row.seq,
                    "an outbox row names no receiver of the configuration and there is no fallback"
                );
            }
        }
    }

    /// Rows that wait, of all receivers.
    pub fn pending(&self) -> usize {
        *self.shared.pending.borrow()
    }

    /// Whether so many rows wait that intake has to pause.
    pub fn is_full(&self) -> bool {
        self.pending() >= self.limit
    }

    /// Returns when at most `rows` rows wait: with 0 when all is delivered, with less than the limit when intake may go on.
    pub async fn drained_to(&self, rows: usize) {
        // The sender lives as long as `self`: the wait can't fail.
        let _ = self.shared.pending.subscribe().wait_for(|pending| *pending <= rows).await;
    }

    /// What is known of each receiver, by name.
    pub fn snapshot(&self) -> Vec<ReceiverSnapshot> {
        let now = self.shared.clock.elapsed();
        self.shared.lanes.values().map(|lane| lane.snapshot(now)).collect()
    }

    /// The kind of a receiver, and the body that it would be sent for a message.
    pub fn preview(&self, notification: &Notification) -> Option<(&'static str, serde_json::Value)> {
        let sink = &self.shared.lanes.get(&notification.receiver)?.receiver.sink;
        Some((sink.kind(), sink.preview(notification)))
    }

    /// Why delivery can't go on, where it can't: the store failed, and the process should end.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.get().cloned()
    }

    /// Delivers what receivers take at once, within `deadline`, and stops; returns how many rows stay for the next start.
    pub async fn stop(mut self, deadline: Duration) -> usize {
        self.stopping.send_replace(true);
        let workers = std::mem::take(&mut self.workers);
        let aborts: Vec<_> = workers.iter().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(deadline, futures::future::join_all(workers)).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        self.pending()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.workers.iter().for_each(JoinHandle::abort);
    }
}

/// Queues what the store holds. What can't be read, or has no receiver any more, goes to the dead letters.
fn recover(shared: &Shared) -> Result<(), Error> {
    for (key, value) in shared.store.scan(outbox::PREFIX)? {
        let letter = match OutboxRow::decode(&value) {
            Ok(row) => match shared.queue(row) {
                Ok(()) => continue,
                Err(row) => DeadLetter {
                    time: shared.clock.now(),
                    receiver: row.notification.receiver.clone(),
                    reason: "the receiver is no longer configured and there is no fallback".to_owned(),
                    notification: serde_json::to_value(&row.notification).unwrap_or_default(),
                },
            },
            Err(error) => DeadLetter {
                time: shared.clock.now(),
                receiver: String::new(),
                reason: format!("the stored row can't be read: {error}"),
                notification: String::from_utf8_lossy(&value).into_owned().into(),
            },
        };
        tracing::error!(receiver = %letter.receiver, reason = %letter.reason, "an outbox row goes to the dead letters");
        shared.dead_letters.append(&letter)?;
        shared.store.commit(Commit { deletes: vec![key], ..Commit::default() })?;
    }
    Ok(())
}
