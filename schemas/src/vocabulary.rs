//! The closed sets: columns whose values are words that rules may rely on.
//!
//! A format maps what its source says to these words and keeps the native name in `attributes` where no word fits.

use crate::plane::Plane;

/// What can happen on the runtime plane.
pub const RUNTIME_KINDS: &[&str] = &[
    "prompt",
    "completion",
    "tool_call",
    "tool_result",
    "retrieval",
    "guardrail",
    "policy_decision",
    "memory",
    "handoff",
    "session_start",
    "session_end",
    "config_change",
    "other",
];

/// What can happen on the identity plane.
pub const IDENTITY_KINDS: &[&str] = &[
    "authentication",
    "mfa_challenge",
    "session_started",
    "session_ended",
    "session_revoked",
    "token_issued",
    "token_refreshed",
    "token_exchanged",
    "token_revoked",
    "token_used",
    "credential_created",
    "credential_rotated",
    "credential_deleted",
    "account_created",
    "account_updated",
    "account_deactivated",
    "account_reactivated",
    "account_deleted",
    "group_added",
    "group_removed",
    "role_granted",
    "role_revoked",
    "consent_granted",
    "consent_revoked",
    "access_allowed",
    "access_denied",
    "policy_changed",
    "risk_changed",
    "other",
];

/// What a guardrail or policy can say.
pub const VERDICTS: &[&str] = &["allow", "deny", "modify", "warn", "escalate", "unknown"];

/// How an action can end.
pub const OUTCOMES: &[&str] = &["success", "failure", "unknown"];

/// What a principal can be.
pub const PRINCIPAL_TYPES: &[&str] = &["human", "service", "agent", "workload", "device"];

/// Levels of risk and severity, rising.
pub const LEVELS: &[&str] = &["info", "low", "medium", "high", "critical"];

/// The words that a column may hold, where its set is closed.
pub fn closed_set(plane: Plane, column: &str) -> Option<&'static [&'static str]> {
    match (plane, column) {
        (Plane::Model, "kind") => Some(RUNTIME_KINDS),
        (Plane::Access, "kind") => Some(IDENTITY_KINDS),
        (Plane::Model, "verdict") => Some(VERDICTS),
        (_, "outcome") => Some(OUTCOMES),
        (Plane::Access, "principal_type") => Some(PRINCIPAL_TYPES),
        (Plane::Access, "risk") => Some(LEVELS),
        _ => None,
    }
}

/// What a column of a closed set holds when the source's own word is not in it: `other` for a kind, `unknown` where
/// the set has it, else nothing.
pub fn fallback(plane: Plane, column: &str) -> Option<&'static str> {
    let set = closed_set(plane, column)?;
    ["other", "unknown"].into_iter().find(|word| set.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns' documentation lists the same words: people read it there.
    #[test]
    fn documentation_and_sets_agree() {
        for plane in Plane::ALL {
            for column in plane.columns() {
                let listed = column.doc.split_once("One of: ").map(|(_, words)| words.split(", ").collect::<Vec<_>>());
                assert_eq!(listed.as_deref(), closed_set(plane, column.name), "{}.{}", plane.table(), column.name);
            }
        }
    }

    #[test]
    fn every_fallback_is_in_its_set() {
        assert_eq!(fallback(Plane::Model, "kind"), Some("other"));
        assert_eq!(fallback(Plane::Model, "verdict"), Some("unknown"));
        assert_eq!(fallback(Plane::Access, "outcome"), Some("unknown"));
        assert_eq!(fallback(Plane::Access, "principal_type"), None);
        assert_eq!(fallback(Plane::Model, "tool"), None);
    }
}
