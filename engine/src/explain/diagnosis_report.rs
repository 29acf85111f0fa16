//! What a diagnosis says.

use serde::Serialize;
use watershed_schemas::{Signal, Timestamp};

use super::check::Check;

/// An event in a scan's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// The scan, such as `runtime r`.
    pub scan: String,
    /// The event's id.
    pub event_id: String,
    /// When it happened.
    pub event_time: Timestamp,
}

/// Whether an event can take a scan's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The scan.
    pub scan: String,
    /// Whether it meets all its conditions.
    pub fits: bool,
    /// The conditions that it doesn't meet.
    pub unmet: Vec<Check>,
}

/// What the rule makes of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventReport {
    /// Its id.
    pub event_id: String,
    /// Its table.
    pub table: &'static str,
    /// When it happened.
    pub event_time: Timestamp,
    /// Its kind.
    pub kind: String,
    /// Why it is not history; absent where it is.
    pub not_history: Option<&'static str>,
    /// Which scans' places it can take.
    pub scans: Vec<Fit>,
    /// The signals that the rule reads and that rest on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<Behind>,
}

/// A signal that the rule reads and that rests on an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// The scan that it fits.
    pub scan: String,
    /// Whose signal it is.
    pub rule: String,
    /// Its id.
    pub signal_id: String,
    /// When it happened.
    pub event_time: Timestamp,
}

/// Why there is no signal, at the part of the rule that decides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// An event is not history, so no rule sees it.
    NotHistory {
        /// Its id.
        event_id: String,
        /// Why.
        why: &'static str,
    },
    /// No event that is asked about can take the place of this scan.
    NoneFits {
        /// The scan.
        scan: String,
    },
    /// One side never came.
    NeverCame {
        /// Scans of the side.
        scan: String,
        /// Rows of its table in the recording.
        seen: u64,
        /// Rows of history that meet the scan's conditions.
        matched: u64,
        /// The first condition that leaves none, where there is one.
        emptied_by: Option<String>,
        /// An event that is asked about and misses the fewest of the scan's conditions, where it fits nowhere else.
        missed_by: Option<MissedBy>,
        /// A row that matches but has another key: the nearest in time.
        other_key: Option<OtherKey>,
    },
    /// Both sides came, but no two rows belong together: this is the pair that comes nearest.
    NoPair {
        /// The rows.
        events: Vec<Placed>,
        /// Every condition between them.
        checks: Vec<Check>,
        /// How many pairs were tried.
        pairs: usize,
    },
    /// Something came that must not come, but not so that it prevents anything.
    PreventsNothing {
        /// The rows, those that would prevent last.
        events: Vec<Placed>,
        /// Every condition between them.
        checks: Vec<Check>,
    },
    /// Something came that must not.
    Prevented {
        /// What would have been.
        events: Vec<Placed>,
        /// What prevents it.
        by: Vec<Placed>,
        /// Why it counts.
        checks: Vec<Check>,
    },
    /// Rows, or a group of them, that don't meet a condition.
    Unmet {
        /// The rows.
        events: Vec<Placed>,
        /// Rows in the group; 0 where it is none.
        group: usize,
        /// The conditions that don't hold.
        checks: Vec<Check>,
    },
    /// Everything that can be tried on single rows holds.
    Undecided {
        /// The rows.
        events: Vec<Placed>,
        /// What can't be tried.
        open: Vec<String>,
    },
}

/// An event that would do, were it not for these conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissedBy {
    /// Its id.
    pub event_id: String,
    /// What it misses.
    pub unmet: Vec<Check>,
}

/// A row that would do, were it not for its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherKey {
    /// The row.
    pub event: Placed,
    /// For each column that differs: its name, its value, and the values that were looked for.
    pub differs: Vec<(String, String, Vec<String>)>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The rule.
    pub rule: String,
    /// What it makes of each event that is asked about.
    pub events: Vec<EventReport>,
    /// Events that are asked about and can't be told of one by one.
    pub more_events: usize,
    /// Whether all events of a principal or session are asked about.
    pub entity: bool,
    /// Signals that these events show, withdrawn ones too.
    pub signals: Vec<Signal>,
    /// For each of the named events together: what holds between them.
    pub between: Vec<Reason>,
    /// Why there is no signal; empty where there is one.
    pub reasons: Vec<Reason>,
    /// What to bear in mind while reading.
    pub notes: Vec<String>,
}
