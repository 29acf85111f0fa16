//! One worker per receiver: it takes the next message, makes an attempt, and does what the answer demands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use watershed_connectors::escape;
use watershed_connectors::sinks::{Attempt, SendError};

use super::lane::{Lane, ReceiverState, count};
use super::queue::Group;
use super::shared::{Fatal, Shared};
use crate::crash;

pub(super) struct Worker {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    stopping: watch::Receiver<bool>,
    /// Failed attempts of each message, by its first row.
    attempts: BTreeMap<u64, u32>,
    /// Failures in a row, of any message.
    failures: u32,
    /// No attempt before this, because the last one failed.
    retry_at: Duration,
    /// No attempt before this, because the receiver takes only so many.
    slot_at: Duration,
    /// The message that last probed a receiver that is down.
    probed: u64,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, lane: Arc<Lane>, stopping: watch::Receiver<bool>) -> Self {
        Worker {
            shared,
            lane,
            stopping,
            attempts: BTreeMap::new(),
            failures: 0,
            retry_at: Duration::ZERO,
            slot_at: Duration::ZERO,
            probed: 0,
        }
    }

    /// Works until told to stop; then until the queue is empty or the receiver fails.
    pub(super) async fn run(mut self) {
        while self.has_work().await && self.has_turn().await {
            // Chosen only now: what was queued while waiting coalesces too.
            let Some(group) = self.choose() else { continue };
            let done = match self.lane.state() {
                ReceiverState::Gone => self.reroute(group).await,
                ReceiverState::Up | ReceiverState::Down => self.attempt(group).await,
            };
            if let Err(Fatal(reason)) = done {
                tracing::error!(receiver = %self.lane.receiver.name, %reason, "delivery stopped: its rows stay in the outbox");
                self.shared.fail(reason);
                return;
            }
        }
    }

    /// Waits for a row; false when there is none and none is to come.
    async fn has_work(&mut self) -> bool {
        loop {
            if !self.lane.queue().is_empty() {
                return true;
            }
            if *self.stopping.borrow() {
                return false;
            }
            tokio::select! {
                () = self.lane.wake.notified() => {}
                _ = self.stopping.changed() => {}
            }
        }
    }

    /// Waits until an attempt may be made; false when the program stops before the receiver is to be asked again.
    async fn has_turn(&mut self) -> bool {
        let clock = Arc::clone(&self.shared.clock);
        loop {
            let wait = self.retry_at.saturating_sub(clock.elapsed());
            if wait.is_zero() {
                break;
            }
            tokio::select! {
                () = clock.sleep(wait) => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return false,
            }
        }
        let wait = self.slot_at.saturating_sub(clock.elapsed());
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
        true
    }

    /// The next message in the order of the outbox; of a receiver that is down the one behind the last probe, so that a
    /// message that it can't stomach does not pass for an outage.
    fn choose(&self) -> Option<Group> {
        let queue = self.lane.queue();
        match self.lane.state() {
            ReceiverState::Down => queue.after(self.probed),
            ReceiverState::Up | ReceiverState::Gone => queue.first(),
        }
    }

    async fn attempt(&mut self, group: Group) -> Result<(), Fatal> {
        let receiver = &self.lane.receiver;
        let recalled = self.shared.recall(&self.lane, &group).await?;
        crash::point("before_send");
        self.slot_at = self.shared.clock.elapsed() + receiver.settings.interval(receiver.sink.kind());
        let attempt = Attempt {
            memory: recalled.as_ref().map(|recalled| recalled.text.as_str()),
            former: &group.former,
            ..Attempt::at(self.shared.clock.now())
        };
        let sending = receiver.sink.send(&group.notification, &attempt);
        let limit = receiver.settings.attempt_timeout;
        let answer = tokio::time::timeout(limit, sending)
            .await
            .unwrap_or_else(|_| Err(SendError::Retry { after: None, reason: format!("no answer within {limit:?}") }));
        match answer {
            Ok(receipt) => {
                crash::point("after_send");
                self.recovered();
                self.attempts.remove(&group.head());
                self.shared.delivered(&self.lane, &group, recalled, receipt.memory).await?;
                count(&self.lane.counters.sent, 1);
                count(&self.lane.counters.coalesced, group.seqs.len() - 1);
                self.shared.done(&self.lane, &group);
                Ok(())
            }
            Err(SendError::Retry { after, reason }) => self.retry(group, after, reason).await,
            Err(SendError::Refused { reason }) => {
                count(&self.lane.counters.refused, 1);
                self.recovered();
                self.give_up(group, reason).await
            }
            Err(SendError::Gone { reason }) => {
                count(&self.lane.counters.gone, 1);
                self.lane.set_last_error(&reason);
                if self.lane.set_state(ReceiverState::Gone) {
                    tracing::error!(receiver = %receiver.name, %reason, "receiver is gone: its messages go to the fallback");
                }
                self.reroute(group).await
            }
        }
    }

    /// The receiver answered: whatever happens to the message, it is up.
    fn recovered(&mut self) {
        self.failures = 0;
        self.retry_at = Duration::ZERO;
        if self.lane.set_state(ReceiverState::Up) {
            tracing::info!(receiver = %self.lane.receiver.name, "receiver is up again");
        }
    }

    async fn retry(&mut self, group: Group, after: Option<Duration>, reason: String) -> Result<(), Fatal> {
        let receiver = &self.lane.receiver;
        let settings = &receiver.settings;
        let now = self.shared.clock.elapsed();
        self.failures = self.failures.saturating_add(1);
        self.lane.set_last_error(&reason);
        let attempts = self.attempts.entry(group.head()).or_default();
        if self.lane.state() == ReceiverState::Down {
            self.probed = group.head();
        } else {
            *attempts += 1;
        }
        let backoff = settings.backoff(self.failures, self.shared.clock.jitter());
        self.retry_at = now + backoff.max(after.unwrap_or_default().min(settings.retry_after_max));
        let given_up = *attempts >= settings.max_attempts || now.saturating_sub(group.since) >= settings.max_age;
        tracing::warn!(
            receiver = %receiver.name, incident = %escape::for_log(&group.notification.incident_id), failures = self.failures, %reason,
            "attempt failed"
        );
        if self.failures >= settings.breaker_threshold && self.lane.set_state(ReceiverState::Down) {
            self.probed = group.head();
            tracing::error!(receiver = %receiver.name, %reason, "receiver is down: it is only probed until it answers");
        }
        if given_up {
            return self.give_up(group, reason).await;
        }
        count(&self.lane.counters.retried, 1);
        Ok(())
    }

    /// Moves a message to the fallback, or to the dead letters where there is none that takes it.
    async fn reroute(&mut self, group: Group) -> Result<(), Fatal> {
        let Some(fallback) = self.shared.fallback_of(&self.lane.receiver.name) else {
            return self.give_up(group, "the receiver is gone and there is no fallback".to_owned()).await;
        };
        self.attempts.remove(&group.head());
        self.shared.reroute(&self.lane, &fallback, &group).await
    }

    async fn give_up(&mut self, group: Group, reason: String) -> Result<(), Fatal> {
        self.lane.set_last_error(&reason);
        tracing::error!(
            receiver = %self.lane.receiver.name, notification = %escape::for_log(&group.notification.notification_id), %reason,
            "message goes to the dead letters"
        );
        if let Err(error) = self.shared.bury(&group, &self.lane.receiver.name, &reason).await {
            // The row stays: a full disk must not lose it.
            tracing::error!(%error, "dead letters can't be written: the message is kept");
            self.lane.set_last_error(&error.to_string());
            self.retry_at = self.shared.clock.elapsed() + self.lane.receiver.settings.backoff_max;
            return Ok(());
        }
        self.attempts.remove(&group.head());
        self.shared.forget(&group).await?;
        count(&self.lane.counters.dead_lettered, 1);
        count(&self.lane.counters.coalesced, group.seqs.len() - 1);
        self.shared.done(&self.lane, &group);
        Ok(())
    }
}
