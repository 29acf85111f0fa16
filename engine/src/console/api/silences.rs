//! What nobody is to be called about for a while.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use watershed_schemas::Timestamp;

use super::change::{Made, audited};
use super::now;
use super::problem::Problem;
use super::route::{Asked, json};
use crate::router::{NewSilence, Silence, SilenceState};

/// All silences.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Silences {
    /// The silences, by their end; those that ended of late among them.
    silences: Vec<Shown>,
}

/// A silence and how it stands.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Shown {
    /// The silence.
    #[serde(flatten)]
    silence: Silence,
    /// How it stands.
    state: SilenceState,
}

impl Shown {
    fn at(silence: Silence, now: Timestamp) -> Self {
        Shown { state: silence.state(now), silence }
    }
}

pub(super) async fn list(asked: Asked) -> Result<Response, Problem> {
    let silences = asked.console.asker().look(|engine| engine.silences()).await?;
    let now = now();
    Ok(json(&Silences { silences: silences.into_iter().map(|silence| Shown::at(silence, now)).collect() }))
}

pub(super) async fn add(asked: Asked) -> Result<Response, Problem> {
    let mut wanted: NewSilence = asked.body()?;
    let who = asked.caller.name.as_deref().unwrap_or_default();
    // Who it is in truth is known by the token.
    wanted.author = match wanted.author.trim() {
        "" => who.to_owned(),
        said if said == who => who.to_owned(),
        said => format!("{said} ({who})"),
    };
    Silence::of(wanted.clone(), now()).map_err(Problem::bad)?;
    let body = serde_json::to_value(&wanted).unwrap_or_default();
    let change = {
        let console = asked.console.clone();
        async move {
            let added = console.asker().change(move |engine| engine.add_silence(wanted)).await?;
            let added = added.map_err(|reason| Problem::new(StatusCode::CONFLICT, reason))?;
            Ok(Made { before: Value::Null, after: serde_json::to_value(&added).unwrap_or_default(), answer: added })
        }
    };
    let added = audited(&asked, "", &body, change).await?;
    let mut response = json(&Shown::at(added, now()));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

pub(super) async fn expire(asked: Asked) -> Result<Response, Problem> {
    let id = asked.path("id");
    let change = {
        let (console, id) = (asked.console.clone(), id.clone());
        async move {
            let expired = console.asker().change(move |engine| {
                let before = engine.silences().into_iter().find(|silence| silence.id == id)?;
                Some((before, engine.expire_silence(&id)))
            });
            let unknown = || Problem::unknown("there is no silence of this id; /api/v1/silences lists them");
            let (before, expired) = expired.await?.ok_or_else(unknown)?;
            let expired = expired.map_err(|reason| Problem::new(StatusCode::CONFLICT, reason))?;
            let [before, after] = [&before, &expired].map(|one| serde_json::to_value(one).unwrap_or_default());
            Ok(Made { before, after, answer: expired })
        }
    };
    let expired = audited(&asked, &id, &Value::Null, change).await?;
    Ok(json(&Shown::at(expired, now())).into_response())
}
