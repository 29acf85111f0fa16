//! Incident Finding, class 2005.

use serde_json::{Value, json};
use watershed_schemas::{Act, Handled};

use super::{ITEMS, View, words};

pub(super) fn finding(view: &View<'_>) -> Value {
    let mut finding = view.base(2005, "Incident Finding");
    let (status_id, status) = words::incident_status(view.status);
    let (verdict_id, verdict) = words::verdict(view.handled);
    let (priority_id, priority) = words::priority(view.severity);
    let mut put = |name: &str, value: Value| finding[name] = value;
    put("status_id", json!(status_id));
    put("status", json!(status));
    put("verdict_id", json!(verdict_id));
    put("verdict", json!(verdict));
    put("priority_id", json!(priority_id));
    put("priority", json!(priority));
    put("desc", json!(view.title));
    // The class asks for an assignee, or a group of them: at first there is only the team.
    put("assignee_group", json!({ "name": view.team.unwrap_or("unassigned") }));
    let has_it = |handled: &&Handled| matches!(handled.act, Act::Acknowledge | Act::Close { .. });
    if let Some(handled) = view.handled.filter(has_it) {
        put("assignee", json!({ "name": handled.by }));
    }
    put(
        "finding_info_list",
        std::iter::once(view.whole()).chain(view.rules.iter().take(ITEMS).map(|rule| view.of_rule(rule))).collect(),
    );
    if let Some(link) = view.link {
        put("src_url", json!(link));
    }
    finding
}
