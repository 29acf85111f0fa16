//! Notifications for the tests of every sink.

use proptest::prelude::*;
use watershed_schemas::{
    Act, Because, BlastRadius, Contribution, Coverage, EvidenceItem, FirstMove, Group, Handled, IncidentRevision, Move,
    Notification, NotifyReason, Origin, Plane, PlaneCoverage, PlaneScores, Reach, Reached, Related, RelatedIncident,
    RuleMention, Severity, Shared, Timestamp, Verdict, Withheld,
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
        dedup_key: format!("{text}:model:1"),
        their_first_move: Some(text.to_owned()),
        because: Because {
            rules: vec![
                Contribution {
                    rule: text.to_owned(),
                    severity: Severity::High,
                    count: 3,
                    weight: PlaneScores { model: 1.0, access: 0.0 },
                    factor: 1.5,
                    score: PlaneScores { model: 1.5, access: 0.0 },
                };
                count
            ],
            ..Because::default()
        },
        blast_radius: Some(BlastRadius {
            principal: text.to_owned(),
            at: base.last_event_time,
            could: Reach {
                credentials: vec![text.to_owned(); count],
                scopes: vec![text.to_owned(); count],
                ..Reach::default()
            },
            did: vec![
                Reached {
                    what: "tool".to_owned(),
                    name: text.to_owned(),
                    times: 2,
                    first: base.first_event_time,
                    last: base.last_event_time,
                };
                count
            ],
            unknown: vec![text.to_owned(); count],
        }),
        first_moves: vec![
            FirstMove {
                plane: Plane::Model,
                order: 1,
                action: Move::PauseAgent,
                object: Some(text.to_owned()),
                text: text.to_owned(),
                how: Some(text.to_owned()),
                rule: Some(text.to_owned()),
            };
            count
        ],
        handled: Some(Handled {
            act: Act::Acknowledge,
            by: text.to_owned(),
            at: base.last_event_time,
            note: Some(text.to_owned()),
        }),
        agents: vec![text.to_owned(); count],
        tags: vec![text.to_owned(); count],
        frameworks: vec![text.to_owned(); count],
        shares: vec![
            RelatedIncident {
                incident_id: text.to_owned(),
                shares: Shared::Credential,
                value: text.to_owned()
            };
            count
        ],
        link: Some(format!("https://watershed.example/{text}")),
        withheld: vec![Withheld { class: text.to_owned(), count: 2 }; count],
        group: Some(Group {
            key: text.to_owned(),
            labels: std::collections::BTreeMap::from([(text.to_owned(), text.to_owned())]),
            incidents: vec![text.to_owned(); count],
            omitted: 7,
        }),
        ..base
    }
}
