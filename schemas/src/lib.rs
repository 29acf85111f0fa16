//! The canonical tables and messages of Watershed, defined once.
//!
//! * [`tables`]: the columns of `runtime`, `identity`, `signals` and the state tables ([`Table`]). Everything that mentions a column is generated from
//!   them: the Arrow schema, the Avro schema ([`avro`]) and the reference page ([`mod@reference`]).
//! * [`Row`] and [`EventBatchBuilder`]: how a decoder turns one event into one row.
//! * [`Signal`], [`IncidentRevision`], [`Notification`]: what the engine writes; [`json_schema`] publishes them.
//!
//! It is not a place for behaviour: no I/O, no rules, no formats.

pub mod avro;
mod batch;
mod case;
mod column;
mod incident;
pub mod json_schema;
mod notice;
mod notification;
mod plane;
pub mod reference;
mod row;
mod signal;
mod state_table;
mod table;
pub mod tables;
mod timestamp;
pub mod vocabulary;

pub use batch::{EventBatch, EventBatchBuilder, ReadFrom, Reject, Rest, Undecoded};
pub use case::{
    BlastRadius, Case, FirstMove, HeldBack, HeldBy, Moment, Move, Reach, Reached, SourceRecord, TimelineEntry, Told,
};
pub use column::{Column, ColumnSet, ColumnType};
pub use incident::{
    Act, Because, Change, Contribution, Coverage, Disposition, FirstMoved, Handled, IncidentRevision, IncidentStatus,
    Origin, PlaneCoverage, PlaneScores, RelatedIncident, Shared, Verdict,
};
pub use notice::{Notice, NoticeKind, NoticeState};
pub use notification::{EvidenceItem, Group, Notification, NotifyReason, Related, RuleMention, Untold, Withheld};
pub use plane::{Plane, RulePlane};
pub use row::{Cell, Row};
pub use signal::{Mark, Severity, Signal, SignalReason};
pub use state_table::StateTable;
pub use table::Table;
pub use timestamp::{Timestamp, TimestampError};
