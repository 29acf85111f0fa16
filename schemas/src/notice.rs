//! What the engine says of itself, to whoever operates it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::incident::{IncidentRevision, IncidentStatus, Verdict};
use crate::notification::{Notification, NotifyReason};
use crate::signal::Severity;
use crate::timestamp::Timestamp;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A plane that has a source is not heard any more: verdicts say nothing about it.
    PlaneSilent,
    /// Records of a plane can't be decoded, more than a few.
    DlqGrowing,
    /// A rule was stopped.
    RuleStopped,
    /// A rule does not keep what it needs.
    RuleDegraded,
    /// A receiver takes nothing.
    ReceiverDisabled,
    /// So much waits for receivers that intake is paused.
    OutboxFull,
}

impl NoticeKind {
    /// Every kind, in the order of their names in reports.
    pub const ALL: [NoticeKind; 6] = [
        NoticeKind::PlaneSilent,
        NoticeKind::DlqGrowing,
        NoticeKind::RuleStopped,
        NoticeKind::RuleDegraded,
        NoticeKind::ReceiverDisabled,
        NoticeKind::OutboxFull,
    ];

    /// The name in snake case.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::PlaneSilent => "plane_silent",
            NoticeKind::DlqGrowing => "dlq_growing",
            NoticeKind::RuleStopped => "rule_stopped",
            NoticeKind::RuleDegraded => "rule_degraded",
            NoticeKind::ReceiverDisabled => "receiver_disabled",
            NoticeKind::OutboxFull => "outbox_full",
        }
    }

    /// How bad it is: whether something goes unseen or untold.
    pub fn severity(self) -> Severity {
        match self {
            NoticeKind::PlaneSilent | NoticeKind::OutboxFull | NoticeKind::ReceiverDisabled => Severity::High,
            NoticeKind::RuleStopped => Severity::Medium,
            NoticeKind::DlqGrowing | NoticeKind::RuleDegraded => Severity::Low,
        }
    }

    /// Where to begin.
    pub fn first_move(self) -> &'static str {
        match self {
            NoticeKind::PlaneSilent => {
                "look at the source's topic and its lag; until it is heard, read verdicts as one-sided"
            }
            NoticeKind::DlqGrowing => {
                "read the newest dead letters: their reasons name the field; fix the source or its mapping"
            }
            NoticeKind::RuleStopped => {
                "read why in /readyz, edit the rule or its limits, and send SIGHUP to start it anew"
            }
            NoticeKind::RuleDegraded => {
                "raise limits.rows_per_key or limits.rule_memory, or narrow what the rule keeps"
            }
            NoticeKind::ReceiverDisabled => "test the receiver; its messages wait, or go to the fallback",
            NoticeKind::OutboxFull => {
                "see which receiver does not keep up; nothing is read until it does, and nothing is lost"
            }
        }
    }
}

/// Whether it still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// It is so.
    Firing,
    /// It is over.
    Resolved,
}

/// One thing that is wrong with the engine or what it lives from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// What is wrong.
    pub kind: NoticeKind,
    /// With what: a plane, a rule, a receiver.
    pub subject: String,
    /// Whether it still is.
    pub state: NoticeState,
    /// Since when.
    pub since: Timestamp,
    /// One line for a person.
    pub text: String,
}

impl Notification {
    /// A message about the engine itself: no incident, no plane, no verdict of its own. Its `incident_id` names kind and
    /// subject, so that receivers update what stands; `verdict` has no meaning in it.
    pub fn of_notice(notice: &Notice, receiver: &str, team: &str, reason: NotifyReason, now: Timestamp) -> Self {
        let subject: String = notice
            .subject
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .take(64)
            .collect();
        let id = format!("operator-{}-{subject}", notice.kind.name());
        let over = notice.state == NoticeState::Resolved;
        let about = IncidentRevision {
            status: if over { IncidentStatus::Resolved } else { IncidentStatus::Open },
            severity: notice.kind.severity(),
            last_event_time: now,
            reason: notice.text.clone(),
            owners: vec![team.to_owned()],
            ..IncidentRevision::opened(&id, "", Verdict::Both, notice.since)
        };
        let state = if over { "resolved" } else { "firing" };
        Notification {
            notification_id: format!("{id}-{}-{state}-{receiver}", now.micros()),
            dedup_key: id,
            title: format!("[{}] Watershed: {}", notice.kind.severity().name(), notice.text),
            first_move: if over { "nothing: it is over".to_owned() } else { notice.kind.first_move().to_owned() },
            notice: Some(notice.clone()),
            ..Notification::about(&about, receiver, team, &[], reason)
        }
    }
}
