//! What all workers share: the store, the clock, the fallback, and how much is pending.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use watershed_connectors::sinks::Memory;
use watershed_schemas::Notification;

use super::clock::Clock;
use super::dead_letters::{DeadLetter, DeadLetters};
use super::lane::{Lane, ReceiverState, count};
use super::memory::{self, Recalled};
use super::queue::Group;
use crate::messages::{self, Lost};
use crate::outbox::OutboxRow;
use crate::store::{Commit, StateStore};

/// The store can't be used: nothing more can be delivered, because nothing could be marked as delivered.
pub(super) struct Fatal(pub(super) String);

pub(super) struct Shared {
    pub(super) lanes: BTreeMap<String, Arc<Lane>>,
    pub(super) store: Arc<dyn StateStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) fallback: Option<String>,
    pub(super) dead_letters: Arc<DeadLetters>,
    pub(super) pending: watch::Sender<usize>,
    pub(super) failure: OnceLock<String>,
}

impl Shared {
    /// Queues a row at its receiver; gives it back where neither the receiver nor a fallback is configured.
    pub(super) fn queue(&self, row: OutboxRow) -> Result<(), Box<OutboxRow>> {
        let named = self.lanes.get(&row.notification.receiver);
        let Some(lane) = named.or_else(|| self.lanes.get(self.fallback.as_ref()?)) else { return Err(Box::new(row)) };
        let notification = if named.is_some() {
            row.notification
        } else {
            count(&lane.counters.rerouted, 1);
            messages::moved(row.notification, (Lost::Removed, None), lane.receiver.seen_as())
        };
        if lane.queue().push(row.seq, notification, self.clock.elapsed()) {
            self.pending.send_modify(|pending| *pending += 1);
            lane.wake.notify_one();
        }
        Ok(())
    }

    /// The receiver that takes over from `name`, where there is one that is not gone itself.
    pub(super) fn fallback_of(&self, name: &str) -> Option<Arc<Lane>> {
        let fallback = self.fallback.as_ref().filter(|fallback| *fallback != name)?;
        self.lanes.get(fallback).filter(|lane| lane.state() != ReceiverState::Gone).cloned()
    }

    /// What the sink remembers of the message's incident.
    pub(super) async fn recall(&self, lane: &Lane, group: &Group) -> Result<Option<Recalled>, Fatal> {
        if !lane.receiver.sink.remembers() {
            return Ok(None);
        }
        let (store, name, group) = (Arc::clone(&self.store), lane.receiver.name.clone(), group.clone());
        match tokio::task::spawn_blocking(move || memory::recall(store.as_ref(), &name, &group)).await {
            Ok(Ok(recalled)) => Ok(recalled),
            Ok(Err(error)) => Err(Fatal(error.to_string())),
            Err(error) => Err(Fatal(format!("the store's task was stopped: {error}"))),
        }
    }

    /// Deletes the rows of a message that was accepted, and writes down in the same commit what its sink remembers.
    pub(super) async fn delivered(
        &self,
        lane: &Lane,
        group: &Group,
        recalled: Option<Recalled>,
        memory: Memory,
    ) -> Result<(), Fatal> {
        let deletes = group.seqs.iter().map(|seq| OutboxRow::key(*seq)).collect();
        let mut commit = Commit { deletes, ..Commit::default() };
        if lane.receiver.sink.remembers() {
            memory::keep(&mut commit, &lane.receiver.name, group, recalled, memory, self.clock.now());
        }
        self.commit(commit).await
    }

    /// Deletes a message's rows from the store.
    pub(super) async fn forget(&self, group: &Group) -> Result<(), Fatal> {
        let deletes = group.seqs.iter().map(|seq| OutboxRow::key(*seq)).collect();
        self.commit(Commit { deletes, ..Commit::default() }).await
    }

    /// Takes a message's rows, which are no longer in the store, out of the queue.
    pub(super) fn done(&self, lane: &Lane, group: &Group) {
        lane.queue().remove(&group.seqs);
        self.pending.send_modify(|pending| *pending -= group.seqs.len());
    }

    /// Moves a message of a receiver that is gone to another one, as that one may see it: first in the store, then in memory.
    /// Its id stays.
    pub(super) async fn reroute(&self, from: &Lane, to: &Lane, group: &Group) -> Result<(), Fatal> {
        // Of all that it takes the place of, the oldest is what an earlier message may have left there.
        let replaces = group.former.first().cloned().or_else(|| group.notification.replaces.clone());
        let notification = Notification { replaces, ..group.notification.clone() };
        let lost = (Lost::Gone, Some(&from.receiver.sight));
        let notification = messages::moved(notification, lost, to.receiver.seen_as());
        let row = OutboxRow { seq: group.newest(), notification };
        let put = row.encode().map_err(|error| Fatal(format!("an outbox row can't be written as JSON: {error}")))?;
        let older = group.seqs.iter().filter(|seq| **seq != row.seq).map(|seq| OutboxRow::key(*seq)).collect();
        self.commit(Commit { puts: vec![put], deletes: older, ..Commit::default() }).await?;
        count(&from.counters.rerouted, 1);
        count(&from.counters.coalesced, group.seqs.len() - 1);
        if to.queue().push(row.seq, row.notification, group.since) {
            self.pending.send_modify(|pending| *pending += 1);
        }
        self.done(from, group);
        to.wake.notify_one();
        Ok(())
    }

    /// Writes a message to the dead letters; it stays in the store until [`Shared::forget`].
    pub(super) async fn bury(&self, group: &Group, receiver: &str, reason: &str) -> std::io::Result<()> {
        let letter = DeadLetter {
            time: self.clock.now(),
            receiver: receiver.to_owned(),
            reason: reason.to_owned(),
            notification: serde_json::to_value(&group.notification)?,
        };
        let letters = Arc::clone(&self.dead_letters);
        tokio::task::spawn_blocking(move || letters.append(&letter)).await.map_err(std::io::Error::other)?
    }

    /// Remembers why delivery can't go on.
    pub(super) fn fail(&self, reason: String) {
        // Only the first reason is kept; the others follow from it.
        let _ = self.failure.set(reason);
    }

    async fn commit(&self, commit: Commit) -> Result<(), Fatal> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || store.commit(commit)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fatal(error.to_string())),
            Err(error) => Err(Fatal(format!("the store's task was stopped: {error}"))),
        }
    }
}
