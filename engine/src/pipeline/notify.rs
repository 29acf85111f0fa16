//! `notify`: who is told, and when, of what a turn gave.

use watershed_schemas::{Notification, Timestamp};

use super::{Error, Pipeline, Turn};
use crate::correlator::Telling;
use crate::outbox::OutboxRow;
use crate::router::{NewSilence, Router, Silence};

impl Pipeline {
    /// Puts what is told now in the outbox of the next commit, with what the router remembers of it.
    pub(super) fn notify(&mut self, tellings: &[Telling], turn: &mut Turn) -> Result<Vec<Notification>, Error> {
        let now = self.now();
        let Some(router) = &mut self.parts.router else { return Ok(Vec::new()) };
        let mut routed = router.take(tellings, now);
        if turn.ended {
            routed.extend(router.finish());
        }
        router.persist(&mut self.pending);
        turn.held_back = std::mem::take(&mut routed.held_back);
        let counts = &mut turn.counts;
        counts.unrouted += routed.unrouted;
        counts.held_back = [routed.silenced, routed.muted, routed.inhibited];
        counts.repeated += routed.repeated;
        counts.escalated += routed.escalated;
        for notification in &routed.notifications {
            let row = OutboxRow { seq: self.next_seq, notification: notification.clone() };
            let failed = |reason| Error::Outbox { id: notification.notification_id.clone(), reason };
            self.pending.puts.push(row.encode().map_err(failed)?);
            self.next_seq += 1;
            self.queued.push(row);
        }
        Ok(routed.notifications)
    }

    /// The time by which messages wait and silences end.
    pub fn now(&self) -> Timestamp {
        match &self.parts.clock {
            Some(clock) => clock(),
            None => self.heard(),
        }
    }

    /// Asks for silence; when this returns, it is durable.
    ///
    /// # Errors
    /// Why it can't be meant, inside; as [`Pipeline::commit`] outside.
    pub fn add_silence(&mut self, asked: NewSilence) -> Result<Result<Silence, String>, Error> {
        self.change_silences(|router, now| router.add_silence(asked, now))
    }

    /// Ends a silence; when this returns, that is durable.
    ///
    /// # Errors
    /// Why it can't be ended, inside; as [`Pipeline::commit`] outside.
    pub fn expire_silence(&mut self, id: &str) -> Result<Result<Silence, String>, Error> {
        self.change_silences(|router, now| router.expire_silence(id, now))
    }

    fn change_silences(
        &mut self,
        change: impl FnOnce(&mut Router, Timestamp) -> Result<Silence, String>,
    ) -> Result<Result<Silence, String>, Error> {
        let now = self.now();
        let Some(router) = &mut self.parts.router else {
            return Ok(Err("nobody is told anything here, so that there is nothing to silence".to_owned()));
        };
        let changed = change(router, now);
        if changed.is_ok() {
            router.persist(&mut self.pending);
            self.commit()?;
        }
        Ok(changed)
    }

    /// Every silence, with those that ended less than five days ago.
    pub fn silences(&self) -> Vec<Silence> {
        self.parts.router.as_ref().map(|router| router.silences(self.now())).unwrap_or_default()
    }

    /// Who is told what, where anybody is.
    pub fn router(&self) -> Option<&Router> {
        self.parts.router.as_ref()
    }
}
