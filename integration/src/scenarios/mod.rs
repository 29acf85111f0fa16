//! Scenarios: what happens to a company, as a timeline, and what each of its teams must come to know of it.
//!
//! `integration/scenarios/<id>.yaml` holds one story and its **twin**: the same without the event that decides, and with
//! another outcome. The language is in `docs/scenarios.md`. Expectations are written by hand; nothing rewrites them.
//!
//! * [`Scenario::all`] reads the folder, and refuses what would prove nothing.
//! * [`play`] takes a story through the whole pipeline, from raw records to queued messages, and [`differences`] holds what
//!   came of it against what was expected.
//! * [`Played::outcome`] is what a story comes to; a twin's is another, and no order of arrival changes it.

mod arrival;
mod company;
mod deed;
mod event;
mod expect;
mod file;
mod judge;
mod never;
mod offset;
mod play;
mod scenario;
pub mod views;

pub use arrival::Arrival;
pub use company::Company;
pub use deed::Deed;
pub use expect::{Expected, Seen, Whom};
pub use file::Fault;
pub use judge::differences;
pub use never::Never;
pub use play::{Heard, Played, play};
pub use scenario::{Scenario, Story, directory};
