//! How signals become incidents.

use std::time::Duration;

use watershed_schemas::PlaneScores;

use crate::evaluator::EvidenceText;

/// How signals become incidents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Quiet time that ends an episode.
    pub gap: Duration,
    /// Longest episode; what follows is a linked continuation.
    pub max_duration: Duration,
    /// Score at which each plane is in the verdict.
    pub threshold: PlaneScores,
    /// What each further signal of a rule counts, as a part of the one before it: 0 lets repeats count for nothing, 1 as
    /// much as the first.
    pub repeat_factor: f64,
    /// Clocks of two planes that differ by no more than this say nothing about who moved first.
    pub clock_skew: Duration,
    /// How long a plane that does not reach an incident may say nothing before it counts as silent.
    pub silence_after: Duration,
    /// How long after it was last seen the principal of a session is remembered.
    pub links_keep: Duration,
    /// How many sessions' principals are remembered.
    pub links_limit: usize,
    /// A value that more incidents than this have in common at one time says nothing about any of them.
    pub related_limit: usize,
    /// How long after its last event an incident can still be acknowledged, closed or reopened.
    pub over_keep: Duration,
    /// How many incidents are kept for that once no evidence can join them; the oldest go first.
    pub over_limit: usize,
    /// Longest time that a signal may lag behind the watermark: lateness plus the rules' look-ahead.
    pub signal_lag: Duration,
    /// What is kept of prompts, completions and arguments.
    pub evidence_text: EvidenceText,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            gap: Duration::from_secs(30 * 60),
            max_duration: Duration::from_secs(12 * 3_600),
            threshold: PlaneScores { model: 1.0, access: 1.0 },
            repeat_factor: 0.5,
            clock_skew: Duration::from_secs(30),
            silence_after: Duration::from_secs(15 * 60),
            links_keep: Duration::from_secs(24 * 3_600),
            links_limit: 1_000_000,
            related_limit: 8,
            over_keep: Duration::from_secs(7 * 24 * 3_600),
            over_limit: 50_000,
            signal_lag: Duration::from_secs(15 * 60),
            evidence_text: EvidenceText::default(),
        }
    }
}

impl Settings {
    /// How long after its last event an incident may still be named by another that shares something with it: the other may
    /// have lasted as long as it can and still take up a signal that was there with it.
    pub(super) fn related_within(&self) -> Duration {
        self.max_duration.saturating_add(self.gap * 2).saturating_add(self.signal_lag)
    }
}
