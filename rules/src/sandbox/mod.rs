//! What a rule may say: one SELECT, from lists of allowed constructs and functions. Nothing is trusted that isn't listed.

mod functions;
mod not_in;
mod parameters;
mod plan;
mod statement;

pub(crate) use functions::{AGGREGATE, SCALAR, WINDOW};
pub(crate) use plan::plan;
pub(crate) use statement::{Parsed, planning_error, statement};
