//! The edges of Watershed: where telemetry comes from, how its records become rows, where notifications go.
//!
//! * [`sources`]: Kafka, recordings, plain files, memory. A source yields [`RawBatch`]es and control records.
//! * [`formats`]: one module per format of a record; each turns a payload into rows of one canonical table.
//! * [`sinks`]: Slack, PagerDuty, signed webhooks, files. A sink sends one notification and says how that went.
//! * [`dlq`]: where what could not become a row goes, with the reason.
//! * [`escape`]: making hostile text harmless before it is logged or shown.
//!
//! It is not: rules, incidents, retries (the engine decides when to try again) or configuration files
//! (the engine reads them; the settings of each connector are declared beside it).

pub mod byte_size;
pub mod dlq;
pub mod duration;
pub mod escape;
pub mod formats;
mod raw;
pub mod secret;
pub mod sinks;
pub mod sources;

pub use raw::{Partition, RawBatch, RawRecord};
pub use secret::{SecretError, SecretRef};
