//! A receiver that keeps what it gets and answers as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

#[derive(Clone)]
pub(super) struct Receiver {
    /// Where it listens, without a path.
    pub(super) base: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone)]
struct Answering {
    requests: Arc<Mutex<Vec<Request>>>,
    status: u16,
    headers: Vec<(&'static str, String)>,
}

impl Receiver {
    /// Answers every request with this status and these headers.
    pub(super) async fn answering(status: u16, headers: &[(&'static str, &str)]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://127.0.0.1:{}", listener.local_addr().expect("an address").port());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let state = Answering { requests: Arc::clone(&requests), status, headers };
        let router = Router::new().fallback(any(answer)).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver { base, requests }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// The one request that arrived.
    pub(super) fn only(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }
}

async fn answer(State(state): State<Answering>, uri: axum::http::Uri, headers: HeaderMap, body: String) -> Response {
    let headers =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned())).collect();
    state.requests.lock().expect("not poisoned").push(Request { path: uri.path().to_owned(), headers, body });
    // A body that must turn up in no message of ours.
    let mut response =
        (StatusCode::from_u16(state.status).expect("a status"), "the-body-of-the-answer").into_response();
    for (name, value) in state.headers {
        response.headers_mut().insert(name, value.parse().expect("a header value"));
    }
    response
}
