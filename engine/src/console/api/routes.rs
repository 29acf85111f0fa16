//! What there is below `/api/v1`: the one table.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use watershed_schemas::{BlastRadius, Case};

use super::problem::Problem;
use super::route::{Answer, Asked, Handler, Method, Route};
use super::{acts, books, engine, erase, events, incidents, openapi, signals, silences, status};
use crate::console::access::Role;
use crate::router::NewSilence;

/// A JSON object of which no more is promised.
fn object(members: &[&str]) -> Value {
    json!({"type": "object", "required": members})
}

macro_rules! schema {
    ($type:ty) => {
        |generator| generator.subschema_for::<$type>()
    };
}

macro_rules! handler {
    ($handler:path) => {
        |asked| Box::pin($handler(asked))
    };
}

/// Reads something.
const fn get(
    path: &'static str,
    name: &'static str,
    tag: &'static str,
    what: &'static str,
    answer: Answer,
    handler: Handler,
) -> Route {
    Route {
        method: Method::Get,
        path,
        name,
        what,
        tag,
        role: Role::Viewer,
        for_teams: false,
        query: &[],
        body: None,
        answer,
        refusals: &[],
        handler,
    }
}

/// Does something with an incident.
const fn act(
    path: &'static str,
    name: &'static str,
    what: &'static str,
    body: super::route::SchemaOf,
    handler: Handler,
) -> Route {
    Route {
        method: Method::Post,
        role: Role::Responder,
        for_teams: true,
        body: Some(body),
        refusals: &[404, 409],
        ..get(path, name, "incidents", what, Answer::Json(schema!(acts::Handling)), handler)
    }
}

/// All routes.
pub(super) static ROUTES: &[Route] = &[
    Route {
        for_teams: true,
        query: incidents::LISTED,
        ..get(
            "/incidents",
            "list_incidents",
            "incidents",
            "Incidents as they last stood, the one of which something happened last first.",
            Answer::Json(schema!(incidents::Page)),
            handler!(incidents::list),
        )
    },
    Route {
        for_teams: true,
        query: incidents::SHOWN,
        refusals: &[404],
        ..get(
            "/incidents/{id}",
            "show_incident",
            "incidents",
            "Everything that is kept of one incident.",
            Answer::Json(schema!(Case)),
            handler!(incidents::show),
        )
    },
    Route {
        for_teams: true,
        query: incidents::SHOWN,
        refusals: &[404],
        ..get(
            "/incidents/{id}/timeline",
            "show_timeline",
            "incidents",
            "What happened on both planes, in the order of event time.",
            Answer::Json(schema!(incidents::Timeline)),
            handler!(incidents::timeline),
        )
    },
    Route {
        refusals: &[404, 409],
        ..get(
            "/incidents/{id}/messages/{receiver}",
            "render_message",
            "incidents",
            "What a receiver would be sent of an incident if it were told now, as it may see it. Nothing is sent.",
            Answer::Json(schema!(engine::Rendered)),
            handler!(incidents::render),
        )
    },
    act(
        "/incidents/{id}/acknowledge",
        "acknowledge_incident",
        "Take an incident.",
        schema!(acts::Remark),
        handler!(acts::acknowledge),
    ),
    act(
        "/incidents/{id}/close",
        "close_incident",
        "Close an incident and say what it was.",
        schema!(acts::Closing),
        handler!(acts::close),
    ),
    act(
        "/incidents/{id}/reopen",
        "reopen_incident",
        "Take a closed incident up again.",
        schema!(acts::Remark),
        handler!(acts::reopen),
    ),
    act(
        "/incidents/{id}/comment",
        "comment_incident",
        "Add something to an incident.",
        schema!(acts::Comment),
        handler!(acts::comment),
    ),
    Route {
        for_teams: true,
        ..get(
            "/silences",
            "list_silences",
            "incidents",
            "What nobody is called about for a while, and what it was of late.",
            Answer::Json(schema!(silences::Silences)),
            handler!(silences::list),
        )
    },
    Route {
        method: Method::Post,
        role: Role::Responder,
        body: Some(schema!(NewSilence)),
        refusals: &[409],
        ..get(
            "/silences",
            "add_silence",
            "incidents",
            "Have nobody called about some incidents for a while. The token's name is its author.",
            Answer::Created(schema!(silences::Shown)),
            handler!(silences::add),
        )
    },
    Route {
        method: Method::Delete,
        role: Role::Responder,
        refusals: &[404, 409],
        ..get(
            "/silences/{id}",
            "expire_silence",
            "incidents",
            "End a silence now.",
            Answer::Json(schema!(silences::Shown)),
            handler!(silences::expire),
        )
    },
    Route {
        method: Method::Post,
        role: Role::Admin,
        body: Some(schema!(erase::Whom)),
        refusals: &[409],
        ..get(
            "/principals/erase",
            "erase_principal",
            "incidents",
            "Mask what case files say of a principal. Verdicts, times and counts stay. It can't be undone.",
            Answer::Json(schema!(erase::Erased)),
            handler!(erase::principal),
        )
    },
    Route {
        query: incidents::FILTERS,
        refusals: &[503],
        ..get(
            "/events",
            "listen",
            "incidents",
            "Revisions of incidents as they are written, as server-sent events.",
            Answer::Events,
            handler!(events::listen),
        )
    },
    Route {
        query: signals::LISTED,
        ..get(
            "/signals",
            "list_signals",
            "findings",
            "What rules have found of late, the last first.",
            Answer::Json(schema!(signals::Signals)),
            handler!(signals::list),
        )
    },
    Route {
        for_teams: true,
        ..get(
            "/rules",
            "list_rules",
            "engine",
            "The rules that are loaded, and how they are doing.",
            Answer::Json(schema!(status::Rules)),
            handler!(status::rules),
        )
    },
    Route {
        for_teams: true,
        ..get(
            "/sources",
            "list_sources",
            "engine",
            "What is read, how far, and whether both planes are heard.",
            Answer::Json(schema!(status::Sources)),
            handler!(status::sources),
        )
    },
    Route {
        for_teams: true,
        ..get(
            "/receivers",
            "list_receivers",
            "engine",
            "Who can be told, and how that goes.",
            Answer::Json(schema!(status::Receivers)),
            handler!(status::receivers),
        )
    },
    Route {
        query: books::IDENTITY,
        ..get(
            "/identity/{*id}",
            "show_identity",
            "identities",
            "The principal that an id belongs to.",
            Answer::Json(|_| schema_of(object(&["tenant", "id", "principal", "known", "ids", "conflicts"]))),
            handler!(books::identity),
        )
    },
    Route {
        query: books::BLAST_RADIUS,
        ..get(
            "/blast-radius/{*id}",
            "show_blast_radius",
            "identities",
            "What an identity could reach at a moment, and what it did reach before it.",
            Answer::Json(schema!(BlastRadius)),
            handler!(books::blast_radius),
        )
    },
    Route {
        query: books::CONFLICTS,
        ..get(
            "/conflicts",
            "list_conflicts",
            "identities",
            "Links between ids that were refused.",
            Answer::Json(|_| schema_of(object(&["count", "conflicts"]))),
            handler!(books::conflicts),
        )
    },
    Route {
        query: books::INVENTORY,
        refusals: &[404],
        ..get(
            "/inventory",
            "show_inventory",
            "identities",
            "Agents, workloads, credentials, scopes and tools, and what is wrong with them.",
            Answer::Json(|_| schema_of(object(&["counts", "gaps", "cut", "entries"]))),
            handler!(books::inventory),
        )
    },
    Route {
        query: books::LIFECYCLE,
        refusals: &[404],
        ..get(
            "/lifecycle",
            "show_lifecycle",
            "identities",
            "When access really changed after it was said to.",
            Answer::Json(|_| schema_of(object(&["counts", "delays", "cut", "changes"]))),
            handler!(books::lifecycle),
        )
    },
    Route {
        for_teams: true,
        ..get(
            "/openapi.json",
            "describe",
            "engine",
            "This description.",
            Answer::Json(|_| schema_of(object(&["openapi", "info", "paths"]))),
            handler!(describe),
        )
    },
];

fn schema_of(value: Value) -> schemars::Schema {
    schemars::Schema::try_from(value).unwrap_or_default()
}

async fn describe(_: Asked) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, "application/json")], openapi::text()).into_response())
}
