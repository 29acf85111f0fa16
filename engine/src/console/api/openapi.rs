//! The description of `/api/v1` as OpenAPI 3.1, made from the table of routes.

use std::sync::LazyLock;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::route::{Answer, BODY, Method, Route};
use super::routes::ROUTES;
use crate::console::access::Role;

/// The description, as text.
pub(super) fn text() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string_pretty(&document()).unwrap_or_default() + "\n");
    &TEXT
}

/// Refusals that any route may give.
const ALWAYS: &[u16] = &[400, 401, 403, 421, 429, 503];
/// Refusals of routes that take a body.
const WITH_BODY: &[u16] = &[408, 413, 415, 500];

fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    // What is sent, and what is read: members that are left out where they say nothing are not required.
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let described = operation(route, &mut generator);
        let path = paths.entry(route.described()).or_insert_with(|| json!({}));
        path[route.method.name()] = described;
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Watershed",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the engine knows, and what people may do with it. Texts of events are hostile: escape them \
                            where you show them. See docs/api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "tags": [
            {"name": "incidents", "description": "What happened, and what people do about it."},
            {"name": "findings", "description": "What rules find."},
            {"name": "identities", "description": "Who is who, what there is, and who may what."},
            {"name": "engine", "description": "How the engine is doing."},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of [[console.tokens]]. Without any, reading needs none and nothing can be changed.",
                },
            },
            "schemas": schemas,
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = placeholders(route.path).map(path_parameter).collect();
    parameters.extend(route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "required": false, "description": parameter.what,
            "schema": parameter.schema(),
        })
    }));
    if matches!(route.answer, Answer::Events) {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "Id of the last event that was read: what came behind it is sent, as far as it is kept.",
        }));
    }
    let mut responses = Map::new();
    let (status, answered) = match route.answer {
        Answer::Json(schema) => ("200", json!({"application/json": {"schema": schema(generator)}})),
        Answer::Created(schema) => ("201", json!({"application/json": {"schema": schema(generator)}})),
        Answer::Events => ("200", json!({"text/event-stream": {"schema": {"type": "string"}}})),
    };
    responses.insert(status.to_owned(), json!({"description": "As asked.", "content": answered}));
    let body = route.body.map(|schema| schema(generator));
    let with_body: &[u16] = match (&body, route.reads()) {
        (Some(_), _) => WITH_BODY,
        (None, true) => &[],
        (None, false) => &[500],
    };
    for refusal in ALWAYS.iter().chain(with_body).chain(route.refusals) {
        responses.insert(refusal.to_string(), refused(*refusal));
    }
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.what,
        "description": format!("Needs the role {}.", route.role.name()),
        "tags": [route.tag],
        "parameters": parameters,
        "responses": responses,
        "x-role": route.role.name(),
    });
    if route.role == Role::Viewer {
        // Without any tokens everybody who reaches it may read.
        operation["security"] = json!([{"token": []}, {}]);
    }
    if let Some(schema) = body {
        operation["requestBody"] = json!({
            "required": true,
            "description": format!("At most {BODY} bytes."),
            "content": {"application/json": {"schema": schema}},
        });
    }
    debug_assert!(route.method != Method::Get || route.body.is_none(), "{} reads and has a body", route.name);
    operation
}

/// Names in the path.
fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|part| part.split('}').next()).map(|name| name.trim_start_matches('*'))
}

fn path_parameter(name: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true, "description": "Its id.",
        "schema": {"type": "string", "minLength": 1, "maxLength": super::parameter::LONGEST},
    })
}

fn refused(status: u16) -> Value {
    let what = match status {
        400 => "Something in the request can't be read, or can't be meant.",
        401 => "There is no token, or none that is known.",
        403 => "The token may not do this.",
        404 => "There is no such thing.",
        408 => "The body did not come in time.",
        409 => "It can't be done as things stand.",
        413 => "The body is too large.",
        415 => "The body is not said to be JSON.",
        421 => "Asked under another name than this machine's, while served on loopback.",
        429 => "Too many requests.",
        500 => "It was done, but could not be written down.",
        _ => "The engine can't answer now; ask again later.",
    };
    let mut refused = json!({
        "description": what,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    if matches!(status, 429 | 503) {
        refused["headers"] = json!({
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
        });
    }
    refused
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Why a request has no answer (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong, and the way out."},
        },
    })
}
