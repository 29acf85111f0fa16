//! Detection Finding, class 2004.

use serde_json::{Value, json};

use super::{ITEMS, View, analytic, millis, words};

pub(super) fn finding(view: &View<'_>) -> Value {
    let mut finding = view.base(2004, "Detection Finding");
    let (status_id, status) = words::finding_status(view.status, view.handled);
    finding["status_id"] = json!(status_id);
    finding["status"] = json!(status);
    let mut info = view.whole();
    let mut analytics = view.rules.iter().take(ITEMS).map(|finding| analytic(&finding.rule));
    if let Some(first) = analytics.next() {
        info["analytic"] = first;
    }
    let others: Vec<Value> = analytics.collect();
    if !others.is_empty() {
        info["related_analytics"] = json!(others);
    }
    finding["finding_info"] = info;
    if !view.evidence.is_empty() {
        finding["evidences"] = view
            .evidence
            .iter()
            .take(ITEMS)
            .map(|item| {
                json!({
                    "name": item.kind,
                    "data": {
                        "event_id": item.event_id,
                        "event_time": millis(item.event_time),
                        "plane": item.plane,
                        "kind": item.kind,
                        "summary": item.summary,
                    },
                })
            })
            .collect();
    }
    if !view.agents.is_empty() {
        finding["resources"] =
            view.agents.iter().take(ITEMS).map(|agent| json!({ "uid": agent, "type": "agent" })).collect();
    }
    if let Some(step) = &view.first_move {
        let references: Vec<&String> =
            view.rules.iter().filter_map(|finding| finding.rule.runbook.as_ref()).take(ITEMS).collect();
        finding["remediation"] = json!({ "desc": step });
        if !references.is_empty() {
            finding["remediation"]["references"] = json!(references);
        }
    }
    finding
}
