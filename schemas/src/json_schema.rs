//! The JSON Schemas of what the engine writes.

use serde_json::Value;

use crate::case::Case;
use crate::incident::IncidentRevision;
use crate::notification::Notification;
use crate::signal::Signal;

/// Name and JSON Schema (2020-12) of each message, as published in `schemas/json/<name>.schema.json`.
pub fn schemas() -> [(&'static str, Value); 4] {
    [
        ("signal", schemars::schema_for!(Signal).to_value()),
        ("incident", schemars::schema_for!(IncidentRevision).to_value()),
        ("case", schemars::schema_for!(Case).to_value()),
        ("notification", schemars::schema_for!(Notification).to_value()),
    ]
}
