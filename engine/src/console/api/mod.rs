//! `/api/v1`: what the engine knows, and what people may do with it, as JSON.
//!
//! * `routes`: the one table of what there is. The router, the role that each route needs, the check of queries and the
//!   description (`openapi`) are made from it.
//! * `engine`: how a request reaches the pipeline, and its answer comes back.
//! * `change`: changes are written down before and after they are made.
//! * `events`: live incidents.
//!
//! Errors are `application/problem+json` (RFC 9457). Served on loopback it answers only requests that were sent there by that
//! name: a web page that has its own name point here learns nothing. There are no cookies: what changes something needs a
//! token in the header `Authorization`, which no foreign page can send.

mod acts;
mod books;
mod change;
mod engine;
mod erase;
mod events;
mod incidents;
mod openapi;
mod parameter;
mod problem;
mod question;
mod route;
mod routes;
mod signals;
mod silences;
mod status;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Extension, Router};
use tokio::sync::{Semaphore, watch};
use watershed_schemas::Timestamp;

use super::access::{Buckets, Caller, Role, Whose};
use super::audit::Audit;
use super::settings::Settings;
pub use engine::{Asker, Questions, questions};
pub(super) use problem::Problem;
pub use question::Question;
use route::Method;
use routes::ROUTES;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// What all requests share.
pub(super) struct Shared {
    asker: Asker,
    settings: Settings,
    buckets: Mutex<Buckets>,
    audit: Option<Audit>,
    readers: Arc<Semaphore>,
    /// Becomes true when the server is to stop.
    stopping: watch::Receiver<bool>,
}

/// What all requests share, to be handed around.
#[derive(Clone)]
pub(super) struct Console(Arc<Shared>);

impl Deref for Console {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Console {
    pub(super) fn new(asker: Asker, settings: Settings, audit: Option<Audit>, stopping: watch::Receiver<bool>) -> Self {
        let limits = settings.limits;
        Console(Arc::new(Shared {
            asker,
            buckets: Mutex::new(Buckets::new(limits.requests_per_second, limits.burst)),
            audit,
            readers: Arc::new(Semaphore::new(limits.event_readers)),
            stopping,
            settings,
        }))
    }

    /// Who sent a request, if it may ask so often.
    pub(super) fn identify(&self, headers: &HeaderMap, from: IpAddr, now: Instant) -> Result<Caller, Problem> {
        let found = match bearer(headers) {
            // Without tokens nobody is known by one.
            _ if self.settings.tokens.is_empty() => Ok(None),
            None => Ok(None),
            Some(secret) => secret.and_then(|secret| self.settings.tokens.find(secret)).map(Some).ok_or(()),
        };
        let whose = match found {
            Ok(Some(token)) => Whose::Token(Arc::clone(&token.name)),
            Ok(None) | Err(()) => Whose::Address(from),
        };
        let taken = self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(whose, now);
        if let Err(wait) = taken {
            let detail = "too many requests; `Retry-After` says when the next may come";
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).after(seconds));
        }
        match found {
            Ok(token) => Ok(Caller {
                name: token.map(|token| Arc::clone(&token.name)),
                role: token.map(|token| token.role),
                team: token.and_then(|token| token.team),
                from,
            }),
            Err(()) => {
                tracing::warn!(%from, "a request with a token that is none of [[console.tokens]] was refused");
                let detail = "the token in `Authorization` is none of [[console.tokens]]";
                Err(Problem::who(detail, "Bearer realm=\"watershed\", error=\"invalid_token\""))
            }
        }
    }

    /// Whether this caller may do what needs this role.
    pub(super) fn allow(&self, caller: &Caller, needed: Role) -> Result<(), Problem> {
        let challenge = "Bearer realm=\"watershed\"";
        match caller.role {
            Some(role) if role >= needed => Ok(()),
            Some(role) => {
                let detail = format!("this needs the role {}, and the token has {}", needed.name(), role.name());
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            None if self.settings.tokens.is_empty() && needed == Role::Viewer => Ok(()),
            None if self.settings.tokens.is_empty() => {
                let detail = format!(
                    "this needs a token of role {}, and there is none: without [[console.tokens]] everything is read-only",
                    needed.name()
                );
                Err(Problem::who(detail, challenge))
            }
            None => {
                let detail = format!("this needs `Authorization: Bearer …` with a token of role {}", needed.name());
                Err(Problem::who(detail, challenge))
            }
        }
    }

    fn asker(&self) -> &Asker {
        &self.asker
    }

    fn patience(&self) -> Duration {
        self.settings.limits.patience
    }
}

/// The secret that a request presents; inner `None` where what it presents is none.
fn bearer(headers: &HeaderMap) -> Option<Option<&str>> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let first = all.next()?;
    if all.next().is_some() {
        return Some(None);
    }
    let secret = first.to_str().ok().and_then(|said| said.split_once(' ')).and_then(|(scheme, secret)| {
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim()).filter(|secret| !secret.is_empty())
    });
    Some(secret)
}

/// Everything below `/api/v1`.
pub(super) fn router(console: &Console) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let filter = match route.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        };
        let handler = move |State(console): State<Console>,
                            caller: Option<Extension<Caller>>,
                            path: Result<RawPathParams, RawPathParamsRejection>,
                            request: Request| {
            route::pass(route, console, caller.map(|Extension(caller)| caller), path, request)
        };
        router = router.route(route.path, on(filter, handler));
    }
    router
        .fallback(async || Problem::unknown("there is nothing here; /api/v1/openapi.json lists what there is"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this can't be done here; `Allow` says what can")
        })
        .layer(middleware::from_fn_with_state(console.clone(), guard))
        .with_state(console.clone())
}

/// Lets only requests through that were sent here by name, by somebody who may, and not too often; and gives answers that
/// nobody keeps.
async fn guard(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let mut response = match console.greet(&request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Console {
    /// Who sent a request, where it was sent to this machine by name.
    pub(super) fn greet(&self, request: &Request) -> Result<Caller, Problem> {
        if self.settings.listen.ip().is_loopback() && !is_local(request.headers()) {
            let detail = "this is served on loopback; ask it by the name `localhost` or by its address";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
        let Some(Peer(from)) = request.extensions().get().copied() else {
            return Err(Problem::busy("nobody knows who asks"));
        };
        self.identify(request.headers(), from, Instant::now())
    }

    /// Whether a request may see `/metrics` and `/rules`.
    pub(super) fn shows_metrics(&self, request: &Request) -> Result<(), Problem> {
        if self.settings.tokens.is_empty() || self.settings.open_metrics {
            return Ok(());
        }
        self.greet(request).and_then(|caller| self.allow(&caller, Role::Viewer))
    }
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

/// Now, by the clock of the machine: what people do has no event time.
fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}
