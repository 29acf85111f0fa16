//! What has just happened: the last signals, and revisions of incidents for those who listen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use watershed_schemas::{IncidentRevision, Signal};

use crate::redact::mask_signal;

/// Signals that are kept.
const SIGNALS: usize = 2_000;
/// Revisions that are kept for readers that come back.
const EVENTS: usize = 1_000;
/// Bytes of them.
const EVENT_BYTES: usize = 16 << 20;

/// The last signals and revisions. The pipeline writes, readers never hold it up.
#[derive(Debug)]
pub(super) struct Live {
    signals: Mutex<VecDeque<Signal>>,
    events: Mutex<Ring>,
    /// Number of the next event.
    newest: watch::Sender<u64>,
    /// Tells this process from another: numbers begin anew with each.
    pub(super) run: String,
}

/// A revision as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    /// Its number.
    pub(super) number: u64,
    /// The revision, to be filtered by.
    pub(super) incident: Arc<IncidentRevision>,
    /// Its length as JSON.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Event>,
    bytes: usize,
    next: u64,
}

/// What a reader finds from a number on.
#[derive(Debug, PartialEq)]
pub(super) enum Since {
    /// These events; none where nothing is new.
    Events(Vec<Event>),
    /// What came next is not kept any more: so many events are gone.
    Gone(u64),
    /// There never was such a number.
    Unknown,
}

impl Live {
    /// Nothing has happened yet in the run of this name.
    pub(super) fn new(run: String) -> Self {
        Live { signals: Mutex::default(), events: Mutex::default(), newest: watch::Sender::new(0), run }
    }

    /// This has just happened.
    pub(super) fn publish(&self, signals: &[Signal], incidents: &[IncidentRevision]) {
        if !signals.is_empty() {
            let mut kept = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(signals[signals.len().saturating_sub(SIGNALS)..].iter().cloned());
            let over = kept.len().saturating_sub(SIGNALS);
            kept.drain(..over);
        }
        if incidents.is_empty() {
            return;
        }
        let next = {
            let mut ring = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            for incident in incidents {
                ring.push(incident);
            }
            ring.next
        };
        self.newest.send_replace(next);
    }

    /// The newest signals first, those that pass, with secrets masked.
    pub(super) fn signals(&self, passes: impl Fn(&Signal) -> bool, limit: usize) -> Vec<Signal> {
        let kept = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut signals: Vec<Signal> = kept.iter().rev().filter(|signal| passes(signal)).take(limit).cloned().collect();
        drop(kept);
        signals.iter_mut().for_each(mask_signal);
        signals
    }

    /// Forgets what is kept of a principal; of revisions everything is forgotten, whoever they are about.
    pub(super) fn erase(&self, tenant: &str, principal: &str) {
        let mut signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        signals.retain(|signal| signal.tenant != tenant || signal.principal.as_deref() != Some(principal));
        drop(signals);
        let mut ring = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        ring.kept.clear();
        ring.bytes = 0;
    }

    /// Wakes when events come; shows the number of the next.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// What there is from this number on, at most so many.
    pub(super) fn since(&self, number: u64, most: usize) -> Since {
        let ring = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if number > ring.next {
            return Since::Unknown;
        }
        let oldest = ring.kept.front().map_or(ring.next, |event| event.number);
        if number < oldest {
            return Since::Gone(oldest - number);
        }
        let skip = usize::try_from(number - oldest).unwrap_or(usize::MAX);
        Since::Events(ring.kept.iter().skip(skip).take(most).cloned().collect())
    }
}

impl Ring {
    fn push(&mut self, incident: &IncidentRevision) {
        let bytes = serde_json::to_vec(incident).map_or(0, |json| json.len());
        self.bytes += bytes;
        self.kept.push_back(Event { number: self.next, incident: Arc::new(incident.clone()), bytes });
        self.next += 1;
        while self.kept.len() > EVENTS || (self.bytes > EVENT_BYTES && self.kept.len() > 1) {
            self.bytes -= self.kept.pop_front().map_or(0, |event| event.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watershed_schemas::{Timestamp, Verdict};

    fn incident(id: usize) -> IncidentRevision {
        IncidentRevision::opened(&format!("inc-{id}"), "acme", Verdict::Both, Timestamp::from_secs(1))
    }

    fn ids(since: Since) -> Vec<String> {
        let Since::Events(events) = since else { panic!("{since:?}") };
        events.iter().map(|event| event.incident.incident_id.clone()).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was_until_that_is_gone() {
        let live = Live::new("r".to_owned());
        assert_eq!(live.since(0, 10), Since::Events(Vec::new()));
        assert_eq!(live.since(1, 10), Since::Unknown);
        live.publish(&[], &[incident(0), incident(1), incident(2)]);
        assert_eq!(ids(live.since(1, 10)), ["inc-1", "inc-2"]);
        assert_eq!(ids(live.since(0, 2)), ["inc-0", "inc-1"]);
        assert_eq!(ids(live.since(3, 2)), Vec::<String>::new());
        let more: Vec<_> = (3..EVENTS + 2).map(incident).collect();
        live.publish(&[], &more);
        assert_eq!(live.since(1, 1), Since::Gone(1));
        assert_eq!(ids(live.since(2, 1)), ["inc-2"]);
    }

    #[test]
    fn what_is_erased_is_not_sent_again() {
        let live = Live::new("r".to_owned());
        live.publish(&[], &[incident(0), incident(1)]);
        live.erase("acme", "ada");
        assert_eq!(live.since(0, 10), Since::Gone(2));
        live.publish(&[], &[incident(2)]);
        assert_eq!(ids(live.since(2, 10)), ["inc-2"]);
    }

    #[test]
    fn big_revisions_are_bounded_by_their_bytes() {
        let live = Live::new("r".to_owned());
        let mut big = incident(0);
        big.signals = vec!["s".repeat(1 << 20)];
        for _ in 0..20 {
            live.publish(&[], std::slice::from_ref(&big));
        }
        assert_eq!(live.since(0, 1), Since::Gone(5));
    }
}
