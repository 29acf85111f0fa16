//! Notifications for the tests of every sink.

use proptest::prelude::*;
use watershed_schemas::{
    Coverage, EvidenceItem, IncidentRevision, Notification, NotifyReason, Origin, Plane, PlaneCoverage, Related,
    RuleMention, Severity, Timestamp, Verdict,
};

use super::text::tests::hostile_text;

/// An ordinary message to the team of the model plane.
pub(super) fn model_abuse() -> Notification {
    let at = |second: i64| Timestamp::from_secs(1_780_000_000 + second);
    let about = IncidentRevision {
        origin: Origin::Model,
        coverage: Coverage { model: PlaneCoverage::Observed, access: PlaneCoverage::Silent { since: at(-60) } },
        severity: Severity::High,
        principal: Some("svc-reports@acme.example".to_owned()),
        sessions: vec!["s-1".to_owned()],
        last_event_time: at(30),
        ..IncidentRevision::opened("inc-1", "acme", Verdict::ModelAbuse, at(0))
    };
    Notification {
        notification_id: "n-1".to_owned(),
        title: "Injected document made report-agent send mail".to_owned(),
        first_move: "Pause report-agent and quarantine session s-1".to_owned(),
        rules: vec![RuleMention {
            id: "indirect-injection".to_owned(),
            title: "Flagged document, then a sensitive tool".to_owned(),
            runbook: Some("https://runbooks.acme.example/injection?a=1&b=2".to_owned()),
        }],
        evidence: vec![EvidenceItem {
            event_time: at(0),
            plane: Plane::Model,
            event_id: "e-1".to_owned(),
            kind: "guardrail".to_owned(),
            summary: "deny prompt_injection 0.97".to_owned(),
        }],
        evidence_omitted: 0,
        related: vec![],
        ..Notification::about(&about, "ai-security", "ai-security", &[Plane::Model], NotifyReason::Opened)
    }
}

/// Every free text at its worst and as long as it gets.
pub(super) fn huge() -> Notification {
    fill(&"&<!channel> https://evil.example 😀\n".repeat(2_000), 200)
}

/// Every free text hostile.
pub(super) fn hostile() -> impl Strategy<Value = Notification> {
    (hostile_text(), 0usize..40).prop_map(|(text, count)| fill(&text, count))
}

fn fill(text: &str, count: usize) -> Notification {
    let base = model_abuse();
    Notification {
        team: text.to_owned(),
        incident_id: text.to_owned(),
        tenant: text.to_owned(),
        principal: Some(text.to_owned()),
        sessions: vec![text.to_owned(); count],
        title: text.to_owned(),
        first_move: text.to_owned(),
        rules: vec![
            RuleMention {
                id: text.to_owned(),
                title: text.to_owned(),
                runbook: Some(format!("https://r.example/{text}"))
            };
            count
        ],
        evidence: vec![
            EvidenceItem {
                kind: text.to_owned(),
                event_id: text.to_owned(),
                summary: text.to_owned(),
                ..base.evidence[0].clone()
            };
            count
        ],
        related: vec![Related { team: text.to_owned(), incident_id: text.to_owned() }; count],
        ..base
    }
}
