//! The core as a whole: what streams say against what their batch means.

mod driver;
mod explain;
mod history;
mod incidents;
mod lateness;
mod matching;
mod routing;
mod stream;
