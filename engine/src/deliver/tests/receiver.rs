//! A real HTTP receiver on loopback that answers as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::sync::Semaphore;
use watershed_schemas::Notification;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) timestamp: String,
    pub(super) signature: String,
    pub(super) notification: Notification,
}

#[derive(Default)]
struct Inner {
    /// Answers to the next requests: a status, and `Retry-After`.
    script: VecDeque<(u16, Option<&'static str>)>,
    /// What these ids are answered whatever the script says.
    always: BTreeMap<String, u16>,
    /// What a request is answered when the script is over.
    then: u16,
    requests: Vec<Request>,
}

struct Shared {
    inner: Mutex<Inner>,
    /// A request is answered when it gets a permit.
    gate: Semaphore,
    /// One permit for each request that arrived.
    arrived: Semaphore,
}

/// The receiver; it ends with the test's runtime.
#[derive(Clone)]
pub(super) struct HttpReceiver {
    pub(super) url: String,
    shared: Arc<Shared>,
}

impl HttpReceiver {
    /// Answers at once.
    pub(super) async fn open() -> Self {
        HttpReceiver::start(Semaphore::MAX_PERMITS).await
    }

    /// Answers no request before [`HttpReceiver::release`].
    pub(super) async fn held() -> Self {
        HttpReceiver::start(0).await
    }

    async fn start(permits: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let inner = Mutex::new(Inner { then: 200, ..Inner::default() });
        let shared = Arc::new(Shared { inner, gate: Semaphore::new(permits), arrived: Semaphore::new(0) });
        let router = Router::new().route("/hook", post(answer)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        HttpReceiver { url, shared }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().expect("not poisoned")
    }

    /// Answers the next requests so, and the later ones 200.
    pub(super) fn script(self, answers: &[(u16, Option<&'static str>)]) -> Self {
        self.inner().script.extend(answers);
        self
    }

    /// Answers every request so.
    pub(super) fn always(self, status: u16) -> Self {
        self.inner().then = status;
        self
    }

    /// Answers every request with this id so.
    pub(super) fn always_for(self, id: &str, status: u16) -> Self {
        self.inner().always.insert(id.to_owned(), status);
        self
    }

    /// Lets all requests be answered from now on.
    pub(super) fn release(&self) {
        self.shared.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Returns when one more request has arrived.
    pub(super) async fn arrival(&self) {
        self.shared.arrived.acquire().await.expect("never closed").forget();
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.inner().requests.clone()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.inner().requests.iter().map(|request| request.id.clone()).collect()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().expect("ASCII").to_owned();
    let request = Request {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        notification: serde_json::from_slice(&body).expect("a notification"),
    };
    let (status, retry_after) = {
        let mut inner = shared.inner.lock().expect("not poisoned");
        let always = inner.always.get(&request.id).map(|status| (*status, None));
        inner.requests.push(request);
        always.or_else(|| inner.script.pop_front()).unwrap_or((inner.then, None))
    };
    shared.arrived.add_permits(1);
    let _permit = shared.gate.acquire().await.expect("never closed");
    let mut response = StatusCode::from_u16(status).expect("a status").into_response();
    if let Some(value) = retry_after {
        response.headers_mut().insert("retry-after", value.parse().expect("a header value"));
    }
    response
}
