//! The last signals.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use watershed_schemas::{RulePlane, Severity, Signal};

use super::incidents::{PAGE, SEVERITIES};
use super::parameter::{Kind, Parameter};
use super::problem::Problem;
use super::route::{Asked, json};

pub(super) const LISTED: &[Parameter] = &[
    Parameter::new("rule", "Only those of this rule.", Kind::Text),
    Parameter::new("plane", "Only those of rules of this plane.", Kind::OneOf(&["model", "access", "both"])),
    Parameter::new("severity_at_least", "Only those of this severity or a worse one.", Kind::OneOf(SEVERITIES)),
    Parameter::new("tenant", "Only those of this organisation.", Kind::Text),
    Parameter::new("principal", "Only those of this principal.", Kind::Text),
    Parameter::new("session", "Only those of this session.", Kind::Text),
    Parameter::new("limit", "At most so many.", Kind::Number { least: 1, most: PAGE[1], usual: Some(PAGE[0]) }),
];

/// What rules have found of late.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Signals {
    /// Statements about findings, the last first. A finding that was corrected or taken back is there more than once.
    signals: Vec<Signal>,
}

pub(super) async fn list(asked: Asked) -> Result<Response, Problem> {
    let query = &asked.query;
    let (rule, tenant) = (query.text("rule"), query.text("tenant"));
    let (principal, session) = (query.text("principal"), query.text("session"));
    let plane: Option<RulePlane> = query.word("plane");
    let severity: Option<Severity> = query.word("severity_at_least");
    let passes = |signal: &Signal| {
        rule.as_ref().is_none_or(|rule| signal.rule == *rule)
            && plane.is_none_or(|plane| signal.plane == plane)
            && severity.is_none_or(|severity| signal.severity >= severity)
            && tenant.as_ref().is_none_or(|tenant| signal.tenant == *tenant)
            && principal.as_ref().is_none_or(|principal| signal.principal.as_ref() == Some(principal))
            && session.as_ref().is_none_or(|session| signal.session_id.as_ref() == Some(session))
    };
    let limit = query.number("limit").unwrap_or(100);
    Ok(json(&Signals { signals: asked.console.asker().live.signals(passes, limit) }))
}
