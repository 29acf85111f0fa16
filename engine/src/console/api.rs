//! `/api/v1`: what the engine knows, read-only, as JSON.
//!
//! The server never looks into the pipeline. A request becomes a [`Question`] in a bounded queue, and the pipeline answers between
//! two turns ([`Questions::answer`]), so that what is shown is one consistent state. Errors are `application/problem+json` (RFC
//! 9457). Served on loopback it answers only requests that were sent there by that name: a web page that has its own name point
//! here learns nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use watershed_schemas::Timestamp;

use crate::core::Core;
use crate::{inventory, lifecycle};

/// Questions that may wait for the pipeline.
const WAITING: usize = 64;
/// How long the pipeline may take for an answer: a turn, mostly.
const PATIENCE: Duration = Duration::from_secs(10);
/// Conflicts shown where the request names no number, and at most.
const CONFLICTS: [usize; 2] = [100, 10_000];
/// The longest id or tenant that is asked for, in bytes.
const LONGEST: usize = 1_024;

/// Something that is asked of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is it that this id names?
    Identity {
        /// The organisation.
        tenant: String,
        /// The id.
        id: String,
        /// The time that it is asked about; now where absent.
        at: Option<Timestamp>,
    },
    /// Which links between ids are refused?
    Conflicts {
        /// Of this organisation; of all where absent.
        tenant: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// How far does an identity reach?
    BlastRadius {
        /// The organisation.
        tenant: String,
        /// Any id of the identity.
        id: String,
        /// As of when; the newest event where absent.
        at: Option<Timestamp>,
        /// How long before that its deeds are counted; a day where absent.
        window: Option<Duration>,
    },
    /// What is there, and what is wrong with it?
    Inventory(inventory::Options),
    /// When did access change that was said to change?
    Lifecycle(lifecycle::Options),
}

impl Question {
    /// What the core knows of it.
    pub fn answer(&self, core: &Core) -> Value {
        match self {
            Question::Identity { tenant, id, at } => {
                serde_json::to_value(core.identity(tenant, id, *at)).unwrap_or_default()
            }
            Question::Conflicts { tenant, limit } => {
                let all = core.principals().conflicts();
                let asked = all.filter(|(name, _)| tenant.as_deref().is_none_or(|tenant| tenant == *name));
                let mut shown = Vec::new();
                let mut count = 0_usize;
                for (tenant, conflict) in asked {
                    count += 1;
                    if shown.len() < *limit {
                        let mut value = serde_json::to_value(conflict).unwrap_or_default();
                        value["tenant"] = tenant.into();
                        shown.push(value);
                    }
                }
                json!({"count": count, "conflicts": shown})
            }
            Question::BlastRadius { tenant, id, at, window } => {
                serde_json::to_value(core.blast_radius(tenant, id, *at, *window)).unwrap_or_default()
            }
            // Null where no books are kept.
            Question::Inventory(options) => serde_json::to_value(core.inventory(options)).unwrap_or_default(),
            Question::Lifecycle(options) => serde_json::to_value(core.lifecycle(options)).unwrap_or_default(),
        }
    }
}

type Asked = (Question, oneshot::Sender<Value>);

/// Asks questions; clones ask the same pipeline.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<Asked>);

/// The questions that a pipeline is asked.
#[derive(Debug)]
pub struct Questions(mpsc::Receiver<Asked>);

/// A queue of questions from the server to the pipeline.
pub fn questions() -> (Asker, Questions) {
    let (ask, asked) = mpsc::channel(WAITING);
    (Asker(ask), Questions(asked))
}

impl Questions {
    /// Answers what was asked since the last time.
    pub fn answer(&mut self, core: &Core) {
        while let Ok((question, answer)) = self.0.try_recv() {
            // Nobody may be waiting any more.
            let _ = answer.send(question.answer(core));
        }
    }
}

impl Asker {
    async fn ask(&self, question: Question) -> Result<Value, Problem> {
        let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the pipeline does not answer; ask again later");
        let (answer, answered) = oneshot::channel();
        self.0.try_send((question, answer)).map_err(|_| busy())?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

/// Why a request has no answer.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Problem { status, detail: detail.into() }
    }

    fn bad(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        (self.status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

/// The routes below `/api/v1`, served at this address.
pub(super) fn router(asker: Asker, address: SocketAddr) -> Router {
    let loopback = address.ip().is_loopback();
    Router::new()
        .route("/identity/{*id}", get(identity))
        .route("/blast-radius/{*id}", get(blast_radius))
        .route("/conflicts", get(conflicts))
        .route("/inventory", get(inventory))
        .route("/lifecycle", get(lifecycle))
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing here; docs/api.md lists what there is")
        })
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "everything here is read-only: use GET")
        })
        .layer(middleware::from_fn(move |request: Request, next: Next| guard(loopback, request, next)))
        .with_state(asker)
}

/// Lets only requests through that were sent here by name, and answers that nobody keeps.
async fn guard(loopback: bool, request: Request, next: Next) -> Response {
    if loopback && !is_local(request.headers()) {
        let detail = "this is served on loopback; ask it by the name `localhost` or by its address";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a request names this machine itself.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    match url::Url::parse(&format!("http://{host}/")).ok().and_then(|url| url.host().map(|host| host.to_owned())) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What a request's query says, each name once and only these.
fn query(uri: &Uri, known: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if !known.contains(&&*name) {
            return Err(Problem::bad(format!("`{name}` is no parameter; there is {}", known.join(", "))));
        }
        if value.len() > LONGEST {
            return Err(Problem::bad(format!("`{name}` is longer than {LONGEST} bytes")));
        }
        if found.insert(name.to_string(), value.into_owned()).is_some() {
            return Err(Problem::bad(format!("`{name}` is given twice")));
        }
    }
    Ok(found)
}

async fn identity(State(asker): State<Asker>, Path(id): Path<String>, uri: Uri) -> Result<Response, Problem> {
    let mut query = query(&uri, &["tenant", "at"])?;
    if id.len() > LONGEST {
        return Err(Problem::bad(format!("the id is longer than {LONGEST} bytes")));
    }
    let at = match query.remove("at") {
        None => None,
        Some(at) => Some(Timestamp::parse(&at).map_err(|error| Problem::bad(format!("`at`: {error}")))?),
    };
    let tenant = query.remove("tenant").unwrap_or_else(|| "default".to_owned());
    Ok(json(&asker.ask(Question::Identity { tenant, id, at }).await?))
}

async fn blast_radius(State(asker): State<Asker>, Path(id): Path<String>, uri: Uri) -> Result<Response, Problem> {
    let mut query = query(&uri, &["tenant", "at", "window"])?;
    if id.len() > LONGEST {
        return Err(Problem::bad(format!("the id is longer than {LONGEST} bytes")));
    }
    let at = match query.remove("at") {
        None => None,
        Some(at) => Some(Timestamp::parse(&at).map_err(|error| Problem::bad(format!("`at`: {error}")))?),
    };
    let window = match query.remove("window").map(|window| window.parse::<u64>()) {
        None => None,
        Some(Ok(window)) => Some(Duration::from_secs(window)),
        Some(Err(_)) => return Err(Problem::bad("`window` is a number of seconds")),
    };
    let tenant = query.remove("tenant").unwrap_or_else(|| "default".to_owned());
    Ok(json(&asker.ask(Question::BlastRadius { tenant, id, at, window }).await?))
}

async fn conflicts(State(asker): State<Asker>, uri: Uri) -> Result<Response, Problem> {
    let mut query = query(&uri, &["tenant", "limit"])?;
    let [usual, most] = CONFLICTS;
    let limit = match query.remove("limit") {
        None => usual,
        Some(limit) => match limit.parse() {
            Ok(limit) if limit <= most => limit,
            _ => return Err(Problem::bad(format!("`limit` is a number up to {most}"))),
        },
    };
    Ok(json(&asker.ask(Question::Conflicts { tenant: query.remove("tenant"), limit }).await?))
}

async fn inventory(State(asker): State<Asker>, uri: Uri) -> Result<Response, Problem> {
    let options = inventory::Options::from_query(uri.query()).map_err(Problem::bad)?;
    kept(&asker.ask(Question::Inventory(options)).await?)
}

async fn lifecycle(State(asker): State<Asker>, uri: Uri) -> Result<Response, Problem> {
    let options = lifecycle::Options::from_query(uri.query()).map_err(Problem::bad)?;
    kept(&asker.ask(Question::Lifecycle(options)).await?)
}

/// A report, where the engine keeps it.
fn kept(report: &Value) -> Result<Response, Problem> {
    if report.is_null() {
        let detail = "this engine keeps no inventory; set `enabled = true` in [inventory] of its configuration";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    Ok(json(report))
}

fn json(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
