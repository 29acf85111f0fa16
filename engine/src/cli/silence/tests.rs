//! The verb against a console that keeps silences as an engine does.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get};
use axum::{Json, Router};
use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::router;

#[derive(Parser)]
struct Verb {
    #[command(subcommand)]
    verb: SilenceVerb,
}

type Kept = Arc<Mutex<router::Router>>;

fn known(headers: &HeaderMap) -> Result<(), (StatusCode, Json<Value>)> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    let missing = || (StatusCode::UNAUTHORIZED, Json(json!({"detail": "a token is missing"})));
    (token == Some("Bearer the-secret")).then_some(()).ok_or_else(missing)
}

fn refused(reason: String) -> (StatusCode, Json<Value>) {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "detail": reason })))
}

async fn add(
    State(kept): State<Kept>,
    headers: HeaderMap,
    Json(mut body): Json<Value>,
) -> Result<Json<Silence>, (StatusCode, Json<Value>)> {
    known(&headers)?;
    assert_eq!(body.get("author"), None, "who asks is known by the token");
    body["author"] = "ada".into();
    let asked = serde_json::from_value(body).map_err(|error| refused(error.to_string()))?;
    kept.lock().unwrap_or_else(PoisonError::into_inner).add_silence(asked, now()).map(Json).map_err(refused)
}

async fn list(State(kept): State<Kept>) -> Json<Value> {
    Json(json!({ "silences": kept.lock().unwrap_or_else(PoisonError::into_inner).silences(now()) }))
}

async fn expire(
    State(kept): State<Kept>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, (StatusCode, Json<Value>)> {
    known(&headers)?;
    let expired = kept.lock().unwrap_or_else(PoisonError::into_inner).expire_silence(&id, now());
    expired.map(|_| StatusCode::NO_CONTENT).map_err(refused)
}

/// As `main` does.
fn provide() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A console on its own thread; its address.
fn console() -> (String, tokio::runtime::Runtime) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let kept: Kept = Arc::new(Mutex::new(router::Router::new(router::Routes::default(), &[])));
    let app = Router::new()
        .route("/api/v1/silences", get(list).post(add))
        .route("/api/v1/silences/{id}", delete(expire))
        .with_state(kept);
    runtime.spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), runtime)
}

/// What the verb prints, or why it fails.
fn run(url: &str, args: &[&str]) -> Result<String, String> {
    let address = ["--url", url];
    let all = ["silence"].iter().chain(args).chain(&address).copied();
    let verb = Verb::try_parse_from(all).map_err(|error| error.to_string())?.verb;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out");
    let mut output = Output::to(Box::new(std::fs::File::create(&path).expect("a file")));
    silence(&verb, &mut output).map_err(|error| error.to_string())?;
    output.flush().expect("it is written");
    Ok(std::fs::read_to_string(&path).expect("it was written"))
}

/// The token of these tests is the value of a variable that every test has: its own name is of no use.
fn with_token<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--token-env", "CARGO_PKG_NAME"]].concat()
}

#[test]
fn what_cannot_be_meant_is_said_before_anybody_is_asked() {
    provide();
    let nowhere = "http://127.0.0.1:1";
    for (args, part) in [
        (vec!["add", "tenant=~\".*\"", "--for", "1h", "--reason", "x"], "would silence everything"),
        (vec!["add", "colour=red", "--for", "1h", "--reason", "x"], "is no label"),
        (vec!["add", "verdict=nonsense", "--for", "1h", "--reason", "x"], "can never match"),
        (vec!["add", "plane=model", "verdict=access_compromise", "--for", "1h", "--reason", "x"], "can never match"),
        (vec!["add", "tenant=a", "--until", "2020-01-01T00:00:00Z", "--reason", "x"], "before it starts"),
        (vec!["add", "tenant=a", "--for", "1h", "--reason", " "], "its reason is missing"),
        (vec!["add", "tenant=a", "--reason", "x"], "--for"),
        (vec!["add", "--for", "1h", "--reason", "x"], "MATCHER"),
    ] {
        let error = run(nowhere, &args).expect_err(part);
        assert!(error.contains(part), "{args:?}: {error}");
    }
    let error = run(nowhere, &["list"]).expect_err("nobody is there");
    assert!(error.contains("is the engine running"), "{error}");
}

#[test]
fn without_a_token_nothing_is_silenced_and_the_way_out_is_named() {
    let (url, _runtime) = console();
    let args = with_token(&["add", "tenant=acme", "--for", "1h", "--reason", "x"]);
    let error = run(&url, &args).expect_err("the token is wrong");
    assert!(error.contains("401") && error.contains("--token-env"), "{error}");
    assert_eq!(run(&url, &["list"]).expect("reading is free"), "no silence\n");
}

#[test]
fn a_silence_is_asked_for_listed_and_ended() {
    let (url, _runtime) = console();
    let client = Client { base: url.parse().expect("a url"), token: Some("the-secret".to_owned()) };
    let asked = json!({"matchers": ["agent=~\"pay.*\""], "reason": "works\u{1b}[31m", "ends": "2100-01-01T00:00:00Z"});
    let refused = client.post(&asked).expect_err("it is too long").to_string();
    assert!(refused.contains("422") && refused.contains("more than a year"), "{refused}");
    let ends = now().plus(Duration::from_secs(60)).to_string();
    let asked = json!({"matchers": ["agent=~\"pay.*\""], "reason": "works\u{1b}[31m", "ends": ends});
    let silence = read(client.post(&asked).expect("it can be meant")).expect("a silence");
    let listed = run(&url, &["list"]).expect("it is listed");
    assert!(
        listed.contains(&silence.id) && listed.contains("agent=~\"pay.*\"") && listed.contains("by ada"),
        "{listed}"
    );
    assert!(listed.contains("active") && !listed.contains('\u{1b}'), "{listed}");
    client.delete(&silence.id).expect("it lasts");
    assert!(run(&url, &["list"]).expect("it is listed").contains("expired"));
    let again = client.delete(&silence.id).expect_err("it is over").to_string();
    assert!(again.contains("ended at"), "{again}");
}
