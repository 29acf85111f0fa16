//! Why does a rule fire, and why does it not? For its author, over a recording.
//!
//! * [`Sample`]: a recording as one rule sees it: what its filters leave, what it said, and the events that are asked about.
//! * [`overview`]: what the compiler knows about the rule, and how it fares on the sample.
//! * [`diagnose`]: for concrete events which conditions held, which did not and with what values, by how much a window was
//!   missed, which side never came. It tries the compiled rule's own parts on the rows; what can't be taken apart it says so.

mod check;
mod diagnosis;
mod diagnosis_report;
mod overview;
mod sample;
mod selectivity;
mod tuples;
mod words;

pub use check::{Check, Looked, Missed};
pub use diagnosis::diagnose;
pub use diagnosis_report::{Behind, Diagnosis, EventReport, Fit, MissedBy, OtherKey, Placed, Reason};
pub use overview::{CostReport, FilterReport, Link, Overview, ReachReport, ScanReport, SignalsOf, overview};
pub use sample::{Asked, AskedEvent, Error, Fate, Sample};
pub use selectivity::Selectivity;
pub(crate) use selectivity::select;
