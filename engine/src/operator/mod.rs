//! Self-monitoring: what is wrong with the engine, or with what it lives from, goes to the team `operator`.
//!
//! * [`Facts`] are what the shell sees at a moment; [`conditions`] says which of them are wrong. Neither looks at a clock.
//! * [`Watchman`] makes notices of conditions: one when something begins, at most one more each `repeat` while it stands, and one
//!   at its end. What comes and goes within `repeat` is not told again.
//! * A notice is an ordinary message: it goes through the outbox, and out by the same sinks.
//!
//! It is not: an alert about agents or identities. No rule and no route has a part in it.

mod conditions;
mod rejects;
#[cfg(test)]
mod tests;
mod watchman;

use std::time::Duration;

use watershed_schemas::{Notice, NoticeState, Notification, NotifyReason, Timestamp};

pub use conditions::{Condition, Facts, PlaneFacts, conditions};
pub use rejects::Rejects;
pub use watchman::{Told, Watchman};

/// The team that is told.
pub const TEAM: &str = "operator";

/// Holds what the watchman remembers, so that a restart does not tell everything again.
pub const KEY: &[u8] = b"m/operator";

/// How much is made of what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often a message about what stands may be repeated.
    pub repeat: Duration,
    /// A plane that is not heard for this long is silent.
    pub silence_after: Duration,
    /// So many records in five minutes that can't be decoded are a few.
    pub rejects: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { repeat: Duration::from_secs(4 * 3_600), silence_after: Duration::from_secs(15 * 60), rejects: 100 }
    }
}

/// The messages that these notices amount to: to every receiver of the team but the one that a notice is about.
pub fn messages(told: &[Told], receivers: &[&str], now: Timestamp) -> Vec<Notification> {
    let mut messages = Vec::new();
    for Told { notice, again } in told {
        let reason = match (notice.state, again) {
            (NoticeState::Resolved, _) => NotifyReason::Resolved,
            (NoticeState::Firing, true) => NotifyReason::Repeated,
            (NoticeState::Firing, false) => NotifyReason::Opened,
        };
        let takes = |name: &&&str| !is_about(notice, name);
        let to = receivers.iter().filter(takes);
        messages.extend(to.map(|receiver| Notification::of_notice(notice, receiver, TEAM, reason, now)));
    }
    messages
}

fn is_about(notice: &Notice, receiver: &str) -> bool {
    notice.kind == watershed_schemas::NoticeKind::ReceiverDisabled && notice.subject == receiver
}
