//! The core as a whole: what streams say against what their batch means.

mod driver;
mod history;
mod incidents;
mod lateness;
mod matching;
mod routing;
#[path = "../../../rules/tests/rules/shape_file.rs"]
mod shape_file;
mod shapes;
mod stream;
