//! What the shell sees of the engine itself, and hands to the watchman.

use std::time::Duration;

use watershed_schemas::{Notice, Notification, Plane, Timestamp};

use crate::config::Config;
use crate::operator::{self, Facts, PlaneFacts, Rejects, Settings, Watchman};
use crate::pipeline::{Pipeline, Turn};
use crate::store::StateStore;

/// How often it is looked whether something is wrong.
const LOOK: Duration = Duration::from_secs(1);

/// Watches over a pipeline. Time is handed in.
pub(crate) struct Operator {
    settings: Settings,
    /// Names of the receivers of the team.
    receivers: Vec<String>,
    present: [bool; 2],
    watchman: Watchman,
    heard: [Timestamp; 2],
    ever: [bool; 2],
    rejects: [Rejects; 2],
    looked: Option<Timestamp>,
}

/// What is to be told, and what is to be remembered of it.
pub(crate) struct Report {
    pub(crate) messages: Vec<Notification>,
    pub(crate) remember: (Vec<u8>, Vec<u8>),
}

impl Operator {
    /// Watches for the receivers of a configuration, and goes on where the store left off.
    pub(crate) fn new(config: &Config, store: &dyn StateStore, now: Timestamp) -> Self {
        let stored = store.scan(operator::KEY).unwrap_or_default();
        let watchman = stored.first().and_then(|(_, value)| serde_json::from_slice(value).ok()).unwrap_or_default();
        let team = config.receivers.iter().filter(|receiver| receiver.team == operator::TEAM);
        Operator {
            settings: config.operator,
            receivers: team.map(|receiver| receiver.name.clone()).collect(),
            present: config.core.present,
            watchman,
            heard: [now; 2],
            ever: [false; 2],
            rejects: Default::default(),
            looked: None,
        }
    }

    /// Takes in what a turn did. Nothing where there is nothing to tell.
    pub(crate) fn turn(&mut self, now: Timestamp, turn: &Turn, pipeline: &Pipeline) -> Option<Report> {
        for plane in Plane::ALL {
            let at = plane.index();
            if turn.counts.events[at] > 0 {
                self.heard[at] = now;
                self.ever[at] = true;
            }
            self.rejects[at].add(now, turn.counts.rejected[at]);
        }
        if self.looked.is_some_and(|looked| looked.plus(LOOK) > now) {
            return None;
        }
        self.looked = Some(now);
        let statuses: Vec<_> = pipeline.core().statuses().collect();
        let snapshot = pipeline.delivery().map(|delivery| delivery.snapshot()).unwrap_or_default();
        let mut planes = [0, 1].map(|at: usize| PlaneFacts {
            present: self.present[at],
            heard: self.heard[at],
            ever: self.ever[at],
            rejected: 0,
        });
        for (plane, rejects) in planes.iter_mut().zip(&mut self.rejects) {
            plane.rejected = rejects.lately(now);
        }
        let stopped = statuses.iter().filter(|status| status.stopped.is_some());
        let degraded = statuses.iter().filter(|status| status.degraded_keys > 0);
        let facts = Facts {
            now,
            planes,
            stopped: stopped.map(|status| status.rule.as_str()).collect(),
            degraded: degraded.map(|status| (status.rule.as_str(), status.degraded_keys as u64)).collect(),
            receivers: snapshot
                .iter()
                .map(|receiver| (receiver.name.as_str(), receiver.state, receiver.last_error.as_deref()))
                .collect(),
            full: turn.paused.then(|| pipeline.delivery().map_or(0, |delivery| delivery.pending())),
        };
        self.report(&facts)
    }

    /// What follows from facts.
    pub(crate) fn report(&mut self, facts: &Facts<'_>) -> Option<Report> {
        let wrong = operator::conditions(facts, &self.settings);
        let told = self.watchman.observe(facts.now, &wrong, self.settings.repeat);
        for told in &told {
            let notice = &told.notice;
            tracing::warn!(kind = notice.kind.name(), subject = %notice.subject, state = ?notice.state, "{}", notice.text);
        }
        if told.is_empty() {
            return None;
        }
        let receivers: Vec<&str> = self.receivers.iter().map(String::as_str).collect();
        let remember = (operator::KEY.to_vec(), serde_json::to_vec(&self.watchman).unwrap_or_default());
        Some(Report { messages: operator::messages(&told, &receivers, facts.now), remember })
    }

    /// Everything that is wrong now.
    pub(crate) fn standing(&self) -> Vec<Notice> {
        self.watchman.standing().collect()
    }
}
