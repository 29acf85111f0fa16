//! `repeat`: what stands and nobody has taken is said again.

use watershed_schemas::{NotifyReason, Timestamp};

use super::page::{Key, Page};
use super::{Routed, Router};
use crate::correlator::Telling;

/// How long a repeat that nobody may be called with waits for the next try.
const LATER: i64 = 60_000_000;

impl Router {
    /// Says again what stands.
    pub(super) fn repeat(&mut self, key: &Key, page: &mut Page, routed: &mut Routed) {
        let tellings = self.free(page, page.newest());
        if tellings.is_empty() {
            page.retry = Some(self.later());
        } else {
            routed.repeated += 1;
            self.send(key, page, tellings, NotifyReason::Repeated, routed);
        }
    }

    /// Those of them that somebody may be called about now.
    pub(super) fn free(&self, page: &Page, tellings: Vec<Telling>) -> Vec<Telling> {
        let mute = self.muted(page);
        tellings.into_iter().filter(|telling| self.holding(telling, mute.as_deref()).is_none()).collect()
    }

    /// When what could not be said is tried again.
    pub(super) fn later(&self) -> Timestamp {
        self.now.plus_micros(LATER)
    }
}
