//! What a template gets beside the notification itself.

use serde_json::{Value, json};
use watershed_schemas::Notification;

use super::words;

/// The closed sets of a notification in the words that all receivers' messages use: `verdict`, `reason`, `status`, `origin`,
/// `coverage_gaps` (a list, empty where both planes are heard), and `over`, whether the incident is over for its receiver.
pub fn in_words(notification: &Notification) -> Value {
    json!({
        "verdict": words::verdict(notification.verdict),
        "untold": words::untold(notification),
        "reason": words::reason(notification),
        "status": words::status(notification.status),
        "origin": words::origin(notification.origin),
        "coverage_gaps": words::coverage_gaps(notification.coverage),
        "over": words::is_over(notification),
    })
}
