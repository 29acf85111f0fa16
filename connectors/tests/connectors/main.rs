//! The connectors as a user of the crate sees them.

mod formats;
mod sinks;
mod sources;
