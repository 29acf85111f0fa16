//! What reaches the engine, and when.

use serde_json::{Map, Value};
use watershed_schemas::{Plane, Timestamp};

/// One record on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// When the broker has it.
    pub at: Timestamp,
    /// When it happened, by its source's clock.
    pub event_time: Timestamp,
    /// Which topic carries it.
    pub plane: Plane,
    /// The event as the canonical JSON writes it.
    pub event: Map<String, Value>,
}

impl Arrival {
    /// The record's payload.
    pub fn payload(&self) -> String {
        Value::Object(self.event.clone()).to_string()
    }

    /// The event's id.
    pub fn id(&self) -> &str {
        self.event.get("event_id").and_then(Value::as_str).unwrap_or_default()
    }
}
