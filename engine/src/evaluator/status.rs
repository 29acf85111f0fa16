//! What can be told of rules while they run.

use serde::Serialize;
use watershed_schemas::Timestamp;

/// What happened to a rule and its state, for counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Changed keys that a plan was run for, alone or with others.
    pub evaluations: u64,
    /// Rows that these plans read.
    pub rows_read: u64,
    /// Keys whose guards did not hold, so that no plan ran.
    pub guarded: u64,
    /// Rows not kept because a cap was reached.
    pub capped: u64,
    /// How often a key became one for which rows are missing.
    pub degraded: u64,
    /// Runs that were left out because rows could not be had back from the shelf.
    pub unreadable: u64,
    /// Findings not said because rows that could show them to be false were not kept.
    pub suppressed: u64,
    /// Findings not said because the rule had not seen all that it looks back to.
    pub held_back: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Tally) {
        self.evaluations += other.evaluations;
        self.rows_read += other.rows_read;
        self.guarded += other.guarded;
        self.capped += other.capped;
        self.degraded += other.degraded;
        self.unreadable += other.unreadable;
        self.suppressed += other.suppressed;
        self.held_back += other.held_back;
    }
}

/// How a rule stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleStatus {
    /// Its id.
    pub rule: String,
    /// Hash of its SQL and key columns.
    pub version: String,
    /// Why it was stopped; absent while it runs.
    pub stopped: Option<String>,
    /// Event time after which it says everything; absent where it does already. [`Timestamp::MAX`]: not known yet.
    pub warming_until: Option<Timestamp>,
    /// Present while the log is read again for it.
    pub backfilling: Option<Backfilling>,
    /// Keys for which rows are missing now.
    pub degraded_keys: usize,
    /// Keys that it remembers.
    pub keys: usize,
    /// Rows that it remembers.
    pub rows: usize,
    /// Bytes that it holds; what it shares with other rules is counted in each.
    pub bytes: usize,
    /// How much of that is on a shelf and not in memory.
    pub cold_bytes: usize,
    /// What happened to it since it was loaded.
    pub tally: Tally,
}

/// How far a rule is with its past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Backfilling {
    /// How much of the log was read, of a hundred.
    pub percent: u8,
    /// Rows that the rule can use among what was read.
    pub rows: u64,
}

/// What a change of the rule set meant for one rule, or why it was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum RuleChange {
    /// It is new.
    Added,
    /// It says something else now.
    Edited,
    /// It is gone, with all that it remembered.
    Removed,
    /// It reads other reference data for outputs after this event time.
    ReferenceChanged {
        /// The largest event time accepted before.
        after: Timestamp,
    },
    /// It had been stopped and starts anew.
    Revived,
    /// The log was read again for it, as far as it could be, and it says what a rule that was always there would say.
    Backfilled {
        /// What kept the log from being read.
        failed: Option<String>,
    },
    /// It was stopped.
    Stopped {
        /// Why.
        reason: String,
    },
}

/// News of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleNews {
    /// Its id.
    pub rule: String,
    /// Its version after the change; for one that is gone the last one.
    pub version: String,
    /// What happened.
    #[serde(flatten)]
    pub change: RuleChange,
    /// Event time after which it says everything; absent where it does already.
    pub warming_until: Option<Timestamp>,
}
