//! Our closed sets in the numbers and captions of the schema.

use watershed_schemas::{Act, Disposition, Handled, IncidentStatus, Severity};

/// `severity_id` and `severity`.
pub(super) fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

/// `priority_id` and `priority`.
pub(super) fn priority(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Info | Severity::Low => (1, "Low"),
        Severity::Medium => (2, "Medium"),
        Severity::High => (3, "High"),
        Severity::Critical => (4, "Critical"),
    }
}

/// `status_id` and `status` of an Incident Finding.
pub(super) fn incident_status(status: IncidentStatus) -> (u8, &'static str) {
    match status {
        IncidentStatus::Open => (1, "New"),
        IncidentStatus::Acknowledged => (2, "In Progress"),
        IncidentStatus::Resolved => (4, "Resolved"),
        IncidentStatus::Closed | IncidentStatus::Merged | IncidentStatus::Withdrawn => (5, "Closed"),
    }
}

/// `status_id` and `status` of a Detection Finding.
pub(super) fn finding_status(status: IncidentStatus, handled: Option<&Handled>) -> (u8, &'static str) {
    match (status, disposition(handled)) {
        (IncidentStatus::Open, _) => (1, "New"),
        (IncidentStatus::Acknowledged, _) => (2, "In Progress"),
        (IncidentStatus::Closed, Some(Disposition::Benign | Disposition::FalsePositive)) => (3, "Suppressed"),
        (IncidentStatus::Closed | IncidentStatus::Resolved, _) => (4, "Resolved"),
        (IncidentStatus::Merged | IncidentStatus::Withdrawn, _) => (5, "Archived"),
    }
}

/// `verdict_id` and `verdict`: what an analyst has said of it in the end.
pub(super) fn verdict(handled: Option<&Handled>) -> (u8, &'static str) {
    match disposition(handled) {
        None => (0, "Unknown"),
        Some(Disposition::FalsePositive) => (1, "False Positive"),
        Some(Disposition::TruePositive) => (2, "True Positive"),
        Some(Disposition::Benign) => (5, "Benign"),
    }
}

fn disposition(handled: Option<&Handled>) -> Option<Disposition> {
    match handled?.act {
        Act::Close { disposition } => Some(disposition),
        Act::Acknowledge | Act::Reopen | Act::Comment => None,
    }
}
