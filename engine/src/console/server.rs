//! The HTTP server of the console.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::api::{self, Asker, Console, Problem};
use super::audit::Audit;
use super::connection;
use super::settings::Settings;
use super::{Health, Metrics};

/// Why the console can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can't be listened on.
    #[error("can't listen on console.listen = \"{address}\": {source}; choose a free address or stop what uses it")]
    Listen {
        /// The address from the configuration.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of changes can't be written.
    #[error("the file of changes `{path}` can't be written: {source}; set console.audit to one that can")]
    Audit {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anybody could read everything.
    #[error("console.listen = \"{address}\" is not loopback, and there is no token; add [[console.tokens]]")]
    Unguarded {
        /// The address from the configuration.
        address: SocketAddr,
    },
}

/// A console that is being served. Dropping it stops the server.
#[derive(Debug)]
pub struct Served {
    /// Where it listens: the configured address, with the port that the system chose where it was 0.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Served {
    /// Stops the server after the requests under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    console: Console,
}

/// Listens and answers until stopped. Must be called within a Tokio runtime. An address alone stands for a console without
/// tokens, which is read-only.
///
/// # Errors
/// When the address can't be listened on, is not loopback although there is no token, or changes can't be written down.
pub async fn serve(
    settings: impl Into<Settings>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    asker: Asker,
) -> Result<Served, Error> {
    let settings: Settings = settings.into();
    let (address, limits) = (settings.listen, settings.limits);
    if settings.tokens.is_empty() && !address.ip().is_loopback() {
        return Err(Error::Unguarded { address });
    }
    let audit = match (&settings.audit, settings.tokens.is_empty()) {
        (Some(path), false) => {
            let refused = |source| Error::Audit { path: path.clone(), source };
            Some(Audit::open(path).map_err(refused)?)
        }
        _ => None,
    };
    let refused = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let local = listener.local_addr().map_err(refused)?;
    let (stop, stopping) = watch::channel(false);
    let console = Console::new(asker, settings, audit, stopping.clone());
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(show_health))
        .route("/readyz", get(show_readiness))
        .route("/rules", get(show_rules))
        .with_state(Shown { metrics, health, console: console.clone() })
        .nest("/api/v1", api::router(&console))
        .fallback(async || {
            Problem::unknown("there is nothing here; there is /metrics, /healthz, /readyz, /rules and /api/v1")
        });
    let task = tokio::spawn(connection::accept(listener, router, limits, stopping));
    Ok(Served { address: local, stop, task: Some(task) })
}

async fn show_metrics(State(shown): State<Shown>, request: Request) -> Result<Response, Problem> {
    shown.console.shows_metrics(&request)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], shown.metrics.encode()).into_response())
}

async fn show_health(State(shown): State<Shown>) -> impl IntoResponse {
    answer(shown.health.alive(), "alive", &[])
}

async fn show_readiness(State(shown): State<Shown>) -> impl IntoResponse {
    answer(shown.health.ready(), "ready", &shown.health.notes())
}

async fn show_rules(State(shown): State<Shown>, request: Request) -> Result<Response, Problem> {
    shown.console.shows_metrics(&request)?;
    Ok(([(CONTENT_TYPE, "application/json")], shown.health.rules_json()).into_response())
}

/// The state, and below it what a person should know in any case.
fn answer(state: Result<(), String>, good: &str, notes: &[String]) -> (StatusCode, String) {
    let (status, state) = match state {
        Ok(()) => (StatusCode::OK, good.to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    let lines = std::iter::once(&state).chain(notes);
    (status, lines.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// One request over a plain socket: what a probe of an orchestrator does.
    async fn request(address: SocketAddr, path: &str) -> String {
        let mut socket = tokio::net::TcpStream::connect(address).await.expect("the console listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("the console reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("the console answers");
        answer
    }

    #[tokio::test]
    async fn shows_metrics_health_and_readiness() {
        let metrics = Arc::new(Metrics::new());
        let health = Arc::new(Health::new(Duration::from_secs(3_600)));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (asker, _questions) = api::questions();
        let served = serve(any, Arc::clone(&metrics), Arc::clone(&health), asker).await.expect("port 0 is free");
        metrics.signals("a-rule", 2);

        let scraped = request(served.address, "/metrics").await;
        assert!(scraped.starts_with("HTTP/1.1 200"), "{scraped}");
        assert!(scraped.contains("watershed_signals_total{rule=\"a-rule\"} 2"), "{scraped}");
        assert!(request(served.address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let waiting = request(served.address, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503") && waiting.contains("the store is not open"), "{waiting}");
        health.store_open(true);
        health.source_assigned(true);
        assert!(request(served.address, "/readyz").await.starts_with("HTTP/1.1 200"));
        served.stop().await;
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_the_way_out() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).await.expect("port 0 is free");
        let address = taken.local_addr().expect("it is bound");
        let health = Arc::new(Health::new(Duration::from_secs(1)));
        let (asker, _questions) = api::questions();
        let error = serve(address, Arc::new(Metrics::new()), health, asker).await.expect_err("the address is in use");
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && text.contains("choose a free address"), "{text}");
    }

    #[tokio::test]
    async fn the_api_asks_the_pipeline_and_says_what_is_wrong_with_a_request() {
        use crate::core::{Core, Settings};
        use crate::store::Commit;
        use watershed_connectors::Partition;
        use watershed_schemas::tables::identity;
        use watershed_schemas::{Cell, EventBatchBuilder, Plane, Row, Timestamp};

        let mut core = Core::new(Settings::default(), Vec::new());
        let mut batch = EventBatchBuilder::new(Plane::Access);
        batch.start_record(0);
        let mut row = Row::new(Plane::Access);
        row.text(identity::EVENT_ID, "e1");
        row.set(identity::EVENT_TIME, Cell::Time(Timestamp::parse("2026-03-01T10:00:00Z").expect("a time")));
        row.text(identity::TENANT, "default");
        row.text(identity::SOURCE, "aws");
        row.text(identity::KIND, "authentication");
        row.text(identity::PRINCIPAL, "arn:aws:iam::1:user/ops/ada");
        row.set(identity::ALIASES, Cell::List(vec!["ada@example.com".into()]));
        batch.append(&row, None);
        let partition = Partition { plane: Plane::Access, topic: "identity".into(), index: 0 };
        let input = crate::core::Input::Rows { origin: 0, partition, batch: batch.finish() };
        core.step(vec![input], &mut Commit::default());

        let (asker, mut questions) = api::questions();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let health = Arc::new(Health::new(Duration::from_secs(3_600)));
        let served = serve(any, Arc::new(Metrics::new()), health, asker).await.expect("port 0 is free");
        let local = served.address;
        let mut get = async |path: &str| {
            let asked = tokio::spawn({
                let path = path.to_owned();
                async move { request(local, &path).await }
            });
            loop {
                questions.answer(&core);
                if asked.is_finished() {
                    break asked.await.expect("it is answered");
                }
                tokio::task::yield_now().await;
            }
        };
        let found = get("/api/v1/identity/arn%3Aaws%3Aiam%3A%3A1%3Auser%2Fops%2Fada").await;
        assert!(found.starts_with("HTTP/1.1 200") && found.contains("\"principal\":\"ada@example.com\""), "{found}");
        assert!(found.contains("cache-control: no-store"), "{found}");
        let unknown = get("/api/v1/identity/eve@example.com?tenant=default&at=2026-03-01T09:00:00Z").await;
        assert!(unknown.contains("\"known\":false") && unknown.contains("\"at\":"), "{unknown}");
        assert!(get("/api/v1/conflicts").await.contains("{\"count\":0,\"conflicts\":[]}"));
        for (path, status, part) in [
            ("/api/v1/identity/a?at=yesterday", 400, "`at`"),
            ("/api/v1/identity/a?teannt=x", 400, "`teannt` is no parameter"),
            ("/api/v1/identity/a?tenant=x&tenant=y", 400, "given twice"),
            ("/api/v1/conflicts?limit=many", 400, "`limit` is a number"),
            ("/api/v1/nothing", 404, "/api/v1/openapi.json"),
        ] {
            let refused = get(path).await;
            assert!(refused.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {refused}");
            assert!(refused.contains("application/problem+json") && refused.contains(part), "{path}: {refused}");
        }
        // A page whose name was made to point here.
        let mut socket = tokio::net::TcpStream::connect(local).await.expect("it listens");
        let rebound = "GET /api/v1/conflicts HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
        socket.write_all(rebound.as_bytes()).await.expect("it reads");
        let mut refused = String::new();
        socket.read_to_string(&mut refused).await.expect("it answers");
        assert!(refused.starts_with("HTTP/1.1 421"), "{refused}");
        // A pipeline that is gone does not answer.
        drop(questions);
        let gone = request(local, "/api/v1/conflicts").await;
        assert!(gone.starts_with("HTTP/1.1 503"), "{gone}");
    }
}
