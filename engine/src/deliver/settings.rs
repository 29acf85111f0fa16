//! How patient delivery is with a receiver.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// How one receiver is treated. Every limit has a default; `min_interval` depends on the kind of receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiverSettings {
    /// Shortest time between two attempts. Absent: what the kind of receiver asks for, a second for Slack, none else.
    #[serde(with = "optional_duration")]
    pub min_interval: Option<Duration>,
    /// Wait after a first failure; it doubles with each further one.
    #[serde(with = "watershed_connectors::duration")]
    pub backoff_initial: Duration,
    /// Longest wait after a failure.
    #[serde(with = "watershed_connectors::duration")]
    pub backoff_max: Duration,
    /// Longest `Retry-After` that is obeyed; a longer one counts as this.
    #[serde(with = "watershed_connectors::duration")]
    pub retry_after_max: Duration,
    /// Longest time that one attempt may take.
    #[serde(with = "watershed_connectors::duration")]
    pub attempt_timeout: Duration,
    /// Consecutive failures after which the receiver counts as down: from then on one message at a time probes it, and
    /// these attempts count against no message.
    pub breaker_threshold: u32,
    /// Failed attempts after which a message goes to the dead letters, counted while the receiver is not down.
    pub max_attempts: u32,
    /// Time since it was queued after which a message that fails goes to the dead letters.
    #[serde(with = "watershed_connectors::duration")]
    pub max_age: Duration,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        ReceiverSettings {
            min_interval: None,
            backoff_initial: Duration::from_secs(1),
            backoff_max: Duration::from_secs(5 * 60),
            retry_after_max: Duration::from_secs(60 * 60),
            attempt_timeout: Duration::from_secs(30),
            breaker_threshold: 5,
            max_attempts: 20,
            max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl ReceiverSettings {
    /// The wait after the `failures`-th failure in a row. `jitter` is in `[0, 1)` and takes away up to half, so that
    /// receivers that failed together are not asked together.
    pub(super) fn backoff(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.backoff_initial.saturating_mul(1 << doublings).min(self.backoff_max);
        full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// The shortest time between two attempts at a receiver of this kind.
    pub(super) fn interval(&self, kind: &str) -> Duration {
        // Slack: about one message a second per channel.
        let usual = if kind == "slack" { Duration::from_secs(1) } else { Duration::ZERO };
        self.min_interval.unwrap_or(usual)
    }
}

/// What all receivers share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// The receiver that takes what others can't: rows of a receiver that is gone or no longer configured.
    pub fallback: Option<String>,
    /// The file of JSON lines that keeps what nobody took.
    pub dead_letters: PathBuf,
    /// Most rows that may wait before [`super::Delivery::is_full`] asks intake to pause.
    pub outbox_limit: usize,
}

mod optional_duration {
    use std::time::Duration;

    use serde::Deserializer;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        watershed_connectors::duration::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_read_with_their_units() {
        let settings: ReceiverSettings =
            toml::from_str("min_interval = \"2s\"\nbackoff_max = \"1m\"\nmax_attempts = 3").expect("well formed");
        assert_eq!(settings.interval("webhook"), Duration::from_secs(2));
        assert_eq!(settings.backoff_max, Duration::from_secs(60));
        assert_eq!(settings.max_attempts, 3);
        assert!(toml::from_str::<ReceiverSettings>("max_atempts = 3").is_err());
        assert_eq!(ReceiverSettings::default().interval("slack"), Duration::from_secs(1));
    }

    #[test]
    fn waits_double_up_to_their_maximum() {
        let settings = ReceiverSettings::default();
        let waits: Vec<u64> = (1..=11).map(|failures| settings.backoff(failures, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    proptest! {
        #[test]
        fn jitter_takes_away_at_most_half(failures in 0u32..u32::MAX, jitter in 0.0f64..1.0) {
            let settings = ReceiverSettings::default();
            let (full, wait) = (settings.backoff(failures, 0.0), settings.backoff(failures, jitter));
            prop_assert!(wait <= full && wait >= full / 2);
        }
    }
}
