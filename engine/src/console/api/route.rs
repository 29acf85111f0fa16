//! One route: everything that is declared of it, and how a request passes.

use std::collections::BTreeMap;
use std::pin::Pin;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Console;
use super::parameter::{LONGEST, Parameter, Query};
use super::problem::Problem;
use crate::console::access::{Caller, Role};
use crate::redact::masked;

/// Most bytes of a request's body.
pub(super) const BODY: usize = 64 << 10;

pub(super) type Handler = fn(Asked) -> Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;
/// Gives a schema, and declares what it refers to.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Which method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    /// Reads.
    Get,
    /// Changes.
    Post,
    /// Ends.
    Delete,
}

impl Method {
    /// As OpenAPI writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
            Method::Delete => "delete",
        }
    }
}

/// What a route answers where all is well.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// JSON of this schema.
    Json(SchemaOf),
    /// JSON of this schema, of something that was made.
    Created(SchemaOf),
    /// Server-sent events.
    Events,
}

/// One route: the only place where it is declared. The router, the role that it needs, the check of its query and the
/// description at `/api/v1/openapi.json` are made from it.
pub(super) struct Route {
    pub(super) method: Method,
    /// Below `/api/v1`; `{id}` is a segment, `{*id}` takes slashes as well.
    pub(super) path: &'static str,
    /// Unique name, such as `list_incidents`; of a change, what the audit calls it.
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) tag: &'static str,
    /// The least role that may.
    pub(super) role: Role,
    /// Whether a token of a team may: what it shows keeps to what the team may see.
    pub(super) for_teams: bool,
    pub(super) query: &'static [Parameter],
    pub(super) body: Option<SchemaOf>,
    pub(super) answer: Answer,
    /// Statuses of refusals of its own, beside those that all have.
    pub(super) refusals: &'static [u16],
    pub(super) handler: Handler,
}

impl Route {
    /// Whether it only reads.
    pub(super) fn reads(&self) -> bool {
        self.method == Method::Get
    }

    /// The path as OpenAPI writes it.
    pub(super) fn described(&self) -> String {
        self.path.replace("{*", "{")
    }
}

/// A request that may be answered.
pub(super) struct Asked {
    pub(super) console: Console,
    pub(super) route: &'static Route,
    pub(super) caller: Caller,
    path: BTreeMap<String, String>,
    pub(super) query: Query,
    /// What stands behind the `?`.
    pub(super) query_text: Option<String>,
    pub(super) headers: HeaderMap,
    body: Vec<u8>,
}

impl Asked {
    /// A part of the path.
    pub(super) fn path(&self, name: &str) -> String {
        self.path.get(name).cloned().unwrap_or_default()
    }

    /// The body.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| Problem::bad(format!("the body: {error}")))
    }
}

/// Lets a request pass: role, path, query, body, in this order.
pub(super) async fn pass(
    route: &'static Route,
    console: Console,
    caller: Option<Caller>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    match enter(route, console, caller, path, request).await {
        Ok(asked) => (route.handler)(asked).await.unwrap_or_else(IntoResponse::into_response),
        Err(problem) => problem.into_response(),
    }
}

async fn enter(
    route: &'static Route,
    console: Console,
    caller: Option<Caller>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Result<Asked, Problem> {
    let caller = caller.ok_or_else(|| Problem::busy("nobody knows who asks"))?;
    console.allow(&caller, route.role)?;
    if let Some(team) = caller.team.filter(|_| !route.for_teams) {
        let detail = format!("this shows or changes both planes, and the token is of team {} alone", team.team());
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let path = path.map_err(|_| Problem::bad("the path is no UTF-8"))?;
    let path: BTreeMap<String, String> = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if let Some((name, _)) = path.iter().find(|(_, value)| value.len() > LONGEST) {
        return Err(Problem::bad(format!("the {name} is longer than {LONGEST} bytes")));
    }
    let query_text = request.uri().query().map(str::to_owned);
    let query = Query::read(query_text.as_deref(), route.query)?;
    let (head, body) = request.into_parts();
    let body = if route.body.is_some() {
        if !is_json(&head.headers) {
            let detail = "the body is JSON, and `Content-Type: application/json` says so";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        read(&console, &head.headers, body).await?
    } else {
        Vec::new()
    };
    Ok(Asked { console, route, caller, path, query, query_text, headers: head.headers, body })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(said) = headers.get(CONTENT_TYPE).and_then(|said| said.to_str().ok()) else { return false };
    said.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

async fn read(console: &Console, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {BODY} bytes"));
    let said = headers.get(CONTENT_LENGTH).and_then(|said| said.to_str().ok()).and_then(|said| said.parse().ok());
    if said.is_some_and(|said: u64| said > BODY as u64) {
        return Err(large());
    }
    match tokio::time::timeout(console.patience(), to_bytes(body, BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => Err(large()),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

/// An answer as JSON, with secrets masked.
pub(super) fn json<T: Serialize>(value: &T) -> Response {
    match masked(value).and_then(|value| serde_json::to_vec(&value)) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
