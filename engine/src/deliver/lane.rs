//! One receiver: what waits for it, how it has fared, and what anyone may know of that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use watershed_connectors::sinks::Sink;

use super::queue::Queue;
use super::settings::ReceiverSettings;
use crate::redact::Sight;

/// A receiver as the configuration names it.
pub struct Receiver {
    /// Its name in the configuration, and in [`watershed_schemas::Notification::receiver`].
    pub name: String,
    /// How it is reached.
    pub sink: Arc<dyn Sink>,
    /// What it may see: a message that moves to it from another receiver shows no more.
    pub sight: Sight,
    /// How patient delivery is with it.
    pub settings: ReceiverSettings,
}

impl Receiver {
    /// Its name and what it may see.
    pub(super) fn seen_as(&self) -> (&str, &Sight) {
        (&self.name, &self.sight)
    }
}

/// Where a receiver stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiverState {
    /// It takes messages, or failed a few times at most.
    #[default]
    Up,
    /// It failed so often in a row that it is only probed.
    Down,
    /// It said that it is gone; its messages go to the fallback until the next start.
    Gone,
}

impl ReceiverState {
    /// `up`, `down` or `gone`.
    pub fn name(self) -> &'static str {
        match self {
            ReceiverState::Up => "up",
            ReceiverState::Down => "down",
            ReceiverState::Gone => "gone",
        }
    }
}

/// What is known of one receiver at one moment. Counts are since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverSnapshot {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Where it stands.
    pub state: ReceiverState,
    /// Rows that wait for it.
    pub pending: usize,
    /// How long the oldest of them has waited.
    pub oldest_pending: Option<Duration>,
    /// Messages that it accepted.
    pub sent: u64,
    /// Attempts that failed and are made again.
    pub retried: u64,
    /// Messages that it refused for good.
    pub refused: u64,
    /// Answers that said it is gone.
    pub gone: u64,
    /// Rows that went out inside a newer message about the same incident.
    pub coalesced: u64,
    /// Messages that moved to the fallback.
    pub rerouted: u64,
    /// Messages that nobody took and that went to the dead letters.
    pub dead_lettered: u64,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
}

/// Counters of one receiver; written by its worker, read by anyone.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) gone: AtomicU64,
    pub(super) coalesced: AtomicU64,
    pub(super) rerouted: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
}

/// Adds to a counter. Counters order nothing.
pub(super) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

#[derive(Clone, Debug, Default)]
struct Health {
    state: ReceiverState,
    last_error: Option<String>,
}

/// What a worker and the rest of the program share about one receiver.
pub(super) struct Lane {
    pub(super) receiver: Receiver,
    pub(super) counters: Counters,
    /// Tells the worker that rows were queued.
    pub(super) wake: Notify,
    queue: Mutex<Queue>,
    health: Mutex<Health>,
}

impl Lane {
    pub(super) fn new(receiver: Receiver) -> Self {
        Lane {
            receiver,
            counters: Counters::default(),
            wake: Notify::new(),
            queue: Mutex::default(),
            health: Mutex::default(),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> ReceiverState {
        self.health().state
    }

    /// Changes the state; says whether that is news.
    pub(super) fn set_state(&self, state: ReceiverState) -> bool {
        std::mem::replace(&mut self.health().state, state) != state
    }

    pub(super) fn set_last_error(&self, reason: &str) {
        self.health().last_error = Some(reason.to_owned());
    }

    pub(super) fn snapshot(&self, now: Duration) -> ReceiverSnapshot {
        let Health { state, last_error } = self.health().clone();
        let (pending, oldest) = {
            let queue = self.queue();
            (queue.len(), queue.oldest())
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReceiverSnapshot {
            name: self.receiver.name.clone(),
            kind: self.receiver.sink.kind(),
            state,
            pending,
            oldest_pending: oldest.map(|since| now.saturating_sub(since)),
            sent: read(&self.counters.sent),
            retried: read(&self.counters.retried),
            refused: read(&self.counters.refused),
            gone: read(&self.counters.gone),
            coalesced: read(&self.counters.coalesced),
            rerouted: read(&self.counters.rerouted),
            dead_lettered: read(&self.counters.dead_lettered),
            last_error,
        }
    }
}
