//! What goes into an attempt beside its message, and what comes out of one that succeeded.

use std::sync::{Mutex, PoisonError};

use watershed_schemas::{Notification, Timestamp};

/// What an attempt knows beside its message.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The time of day, for signatures: every attempt is signed afresh under the same id.
    pub now: Timestamp,
    /// What the sink asked to remember when it last sent something under this deduplication key, or a former one.
    pub memory: Option<&'a str>,
    /// Deduplication keys that this message takes the place of, oldest first, beside [`Notification::replaces`]: several
    /// waiting messages became this one.
    pub former: &'a [String],
    /// Listens in on what the receiver answers; for people who try a receiver out.
    pub heard: Option<&'a Heard>,
}

impl Attempt<'static> {
    /// An attempt that knows only the time.
    pub fn at(now: Timestamp) -> Self {
        Attempt { now, memory: None, former: &[], heard: None }
    }
}

impl Attempt<'_> {
    /// Every key that the message takes the place of, once each, oldest first.
    pub fn former_keys<'n>(&'n self, notification: &'n Notification) -> Vec<&'n str> {
        let mut keys: Vec<&str> = Vec::new();
        for key in self.former.iter().chain(&notification.replaces) {
            if *key != notification.dedup_key && !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        keys
    }
}

/// What a receiver said to a notification that it accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// HTTP status, where there is one.
    pub status: Option<u16>,
    /// What to keep for the next message about the same thing.
    pub memory: Memory,
}

/// What a sink wants of its memory of one deduplication key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Nothing.
    #[default]
    AsItIs,
    /// Keep this text, and hand it back with the next message.
    Keep(String),
    /// Forget what was kept.
    Forget,
}

/// What receivers answered, as they answered it: hostile text, bounded.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Vec<Said>>);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// HTTP status, where there is one.
    pub status: Option<u16>,
    /// The beginning of the body.
    pub body: String,
}

impl Heard {
    /// Longest piece of a body that is kept, in characters.
    const EXCERPT: usize = 500;

    pub(super) fn note(&self, status: Option<u16>, body: &[u8]) {
        let body = String::from_utf8_lossy(body).chars().take(Heard::EXCERPT).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Said { status, body });
    }

    /// Everything that was heard, in order.
    pub fn all(&self) -> Vec<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::fixtures;

    #[test]
    fn former_keys_are_those_of_all_that_waited_and_never_its_own() {
        let notification = Notification {
            dedup_key: "i:model:4".to_owned(),
            replaces: Some("i:model:3".to_owned()),
            ..fixtures::model_abuse()
        };
        let waited = ["i:model:1", "i:model:2", "i:model:3", "i:model:4"].map(str::to_owned);
        let attempt = Attempt { former: &waited, ..Attempt::at(Timestamp::from_secs(0)) };
        assert_eq!(attempt.former_keys(&notification), ["i:model:1", "i:model:2", "i:model:3"]);
        assert_eq!(Attempt::at(Timestamp::from_secs(0)).former_keys(&notification), ["i:model:3"]);
    }
}
