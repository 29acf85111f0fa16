//! In which shape a notification is written where the receiver prescribes none.

use serde::Deserialize;
use serde_json::{Value, json};
use watershed_schemas::Notification;

use super::ocsf;

/// The shape of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Our own: `schemas/json/notification.schema.json`.
    #[default]
    Json,
    /// An Incident Finding of the Open Cybersecurity Schema Framework, version [`ocsf::VERSION`].
    Ocsf,
    /// A Detection Finding of the same, for systems that know no incidents.
    OcsfDetection,
}

impl Format {
    /// The message in this shape.
    pub fn body(self, notification: &Notification) -> Value {
        match self {
            Format::Json => json!(notification),
            Format::Ocsf => ocsf::incident_finding(notification),
            Format::OcsfDetection => ocsf::detection_finding(notification),
        }
    }

    /// The type of what it gives, as CloudEvents and Splunk name types of events.
    pub(super) fn event_type(self) -> &'static str {
        match self {
            Format::Json => "watershed:notification",
            Format::Ocsf => "ocsf:incident_finding",
            Format::OcsfDetection => "ocsf:detection_finding",
        }
    }
}

/// What is put around a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Envelope {
    /// Nothing.
    #[default]
    None,
    /// CloudEvents 1.0 in structured mode.
    CloudEvents,
}

impl Envelope {
    /// The value of `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Envelope::None => "application/json",
            Envelope::CloudEvents => "application/cloudevents+json; charset=utf-8",
        }
    }

    /// The message in its envelope. `source` says who sends, as a URI reference.
    pub(super) fn around(self, notification: &Notification, format: Format, source: &str) -> Value {
        let data = format.body(notification);
        match self {
            Envelope::None => data,
            Envelope::CloudEvents => json!({
                "specversion": "1.0",
                // Source and id together are unique: a repeat after a crash has the id of the first.
                "id": notification.notification_id,
                "source": source,
                "type": format!("io.watershed.incident.{}.v1", notification.reason.name()),
                "subject": notification.incident_id,
                "time": notification.last_event_time.to_string(),
                "datacontenttype": "application/json",
                "dataformat": format.event_type(),
                "data": data,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::fixtures;

    #[test]
    fn attributes_of_a_cloud_event_keep_to_the_specification() {
        let event = Envelope::CloudEvents.around(&fixtures::model_abuse(), Format::Json, "/watershed");
        for (name, value) in event.as_object().expect("an object").iter().filter(|(name, _)| *name != "data") {
            // CloudEvents 1.0, 2.1: names of lower-case letters and digits; required attributes are not empty.
            assert!(name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
            assert!(value.as_str().is_some_and(|value| !value.is_empty()), "{name}");
        }
        assert_eq!(event["data"]["incident_id"], event["subject"]);
    }
}
