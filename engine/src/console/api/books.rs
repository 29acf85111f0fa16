//! Who is who, what there is, and when access changed.

use std::time::Duration;

use axum::response::Response;
use serde_json::Value;

use super::parameter::{Kind, Parameter};
use super::problem::Problem;
use super::question::Question;
use super::route::{Asked, json};
use crate::{inventory, lifecycle};

pub(super) const IDENTITY: &[Parameter] = &[
    Parameter::new("tenant", "The organisation; `default` where it is left out.", Kind::Text),
    Parameter::new("at", "Only what events up to this time said, and what held then.", Kind::Time),
];
pub(super) const BLAST_RADIUS: &[Parameter] = &[
    Parameter::new("tenant", "The organisation; `default` where it is left out.", Kind::Text),
    Parameter::new("at", "As of when; the newest event where it is left out.", Kind::Time),
    Parameter::new(
        "window",
        "How long before that its deeds are counted, in seconds; a day where it is left out.",
        AGE,
    ),
];
pub(super) const CONFLICTS: &[Parameter] = &[
    Parameter::new("tenant", "Only those of this organisation.", Kind::Text),
    Parameter::new(
        "limit",
        "At most so many; `count` counts all.",
        Kind::Number { least: 0, most: 10_000, usual: Some(100) },
    ),
];
const AGE: Kind = Kind::Number { least: 0, most: 1 << 40, usual: None };
pub(super) const INVENTORY: &[Parameter] = &[
    Parameter::new("max_age", "How long a credential may be in force, in seconds; 90 days where it is left out.", AGE),
    Parameter::new(
        "unused_after",
        "Quiet time after which something is unused, in seconds; 30 days where it is left out.",
        AGE,
    ),
];
pub(super) const LIFECYCLE: &[Parameter] = &[Parameter::new(
    "grace",
    "How long access may go on after it was said to have ended, in seconds; 300 where it is left out.",
    AGE,
)];

async fn answer(asked: &Asked, question: Question) -> Result<Value, Problem> {
    asked.console.asker().look(move |engine| question.answer(engine.core())).await
}

pub(super) async fn identity(asked: Asked) -> Result<Response, Problem> {
    let tenant = asked.query.text("tenant").unwrap_or_else(|| "default".to_owned());
    let question = Question::Identity { tenant, id: asked.path("id"), at: asked.query.time("at") };
    Ok(json(&answer(&asked, question).await?))
}

pub(super) async fn blast_radius(asked: Asked) -> Result<Response, Problem> {
    let tenant = asked.query.text("tenant").unwrap_or_else(|| "default".to_owned());
    let window = asked.query.number("window").map(|seconds| Duration::from_secs(seconds as u64));
    let question = Question::BlastRadius { tenant, id: asked.path("id"), at: asked.query.time("at"), window };
    Ok(json(&answer(&asked, question).await?))
}

pub(super) async fn conflicts(asked: Asked) -> Result<Response, Problem> {
    let limit = asked.query.number("limit").unwrap_or(100);
    let question = Question::Conflicts { tenant: asked.query.text("tenant"), limit };
    Ok(json(&answer(&asked, question).await?))
}

pub(super) async fn inventory(asked: Asked) -> Result<Response, Problem> {
    let options = inventory::Options::from_query(asked.query_text.as_deref()).map_err(Problem::bad)?;
    kept(&answer(&asked, Question::Inventory(options)).await?)
}

pub(super) async fn lifecycle(asked: Asked) -> Result<Response, Problem> {
    let options = lifecycle::Options::from_query(asked.query_text.as_deref()).map_err(Problem::bad)?;
    kept(&answer(&asked, Question::Lifecycle(options)).await?)
}

/// A report, where the engine keeps it.
fn kept(report: &Value) -> Result<Response, Problem> {
    if report.is_null() {
        let detail = "this engine keeps no inventory; set `enabled = true` in [inventory] of its configuration";
        return Err(Problem::unknown(detail));
    }
    Ok(json(report))
}
