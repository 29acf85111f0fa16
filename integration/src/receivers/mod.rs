//! Real HTTP receivers: they remember every request, and can refuse, stall or fail.

mod answer;
mod delivered;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

pub use answer::Answer;
pub use delivered::{Delivered, accepted, by_incident};

use crate::wait;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// When.
    pub at: SystemTime,
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What was answered; `None` while, or because, nothing is.
    pub status: Option<u16>,
}

impl Request {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the sender was told that all is well.
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

#[derive(Debug, Default)]
struct Inbox {
    requests: Mutex<Vec<Request>>,
    /// Answers for the next requests, one each; then `otherwise`.
    script: Mutex<VecDeque<Answer>>,
    otherwise: Mutex<Answer>,
}

/// An HTTP receiver on a loopback port of its own.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    /// Dropping it stops the server's thread.
    _stop: watch::Sender<()>,
}

impl Receiver {
    /// Starts one that accepts everything.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Receiver> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("binding a receiver")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let inbox = Arc::new(Inbox::default());
        let (stop, mut stopped) = watch::channel(());
        let app = Router::new().fallback(receive).with_state(Arc::clone(&inbox));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(format!("receiver-{}", address.port())).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = axum::serve(listener, app).into_future() => {}
                    _ = stopped.changed() => {}
                }
            });
        })?;
        Ok(Receiver { address, inbox, _stop: stop })
    }

    /// Its URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.inbox.requests).clone()
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        lock(&self.inbox.requests).len()
    }

    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Answers the next requests with these, one each.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.inbox.script).extend(answers);
    }

    /// Answers with this from now on, where [`Receiver::answer_next`] says nothing.
    pub fn answer(&self, answer: Answer) {
        *lock(&self.inbox.otherwise) = answer;
    }

    /// Waits until the requests meet a condition.
    ///
    /// # Errors
    /// When the deadline passes.
    pub fn wait_for(
        &self,
        what: &str,
        deadline: Duration,
        mut condition: impl FnMut(&[Request]) -> bool,
    ) -> Result<Vec<Request>> {
        wait::until(what, deadline, || {
            let requests = self.requests();
            Ok(condition(&requests).then_some(requests))
        })
    }
}

async fn receive(
    State(inbox): State<Arc<Inbox>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = lock(&inbox.script).pop_front().unwrap_or_else(|| lock(&inbox.otherwise).clone());
    let index = {
        let mut requests = lock(&inbox.requests);
        requests.push(Request { at: SystemTime::now(), method, uri, headers, body, status: None });
        requests.len() - 1
    };
    let (status, extra) = answer.play().await;
    if let Some(request) = lock(&inbox.requests).get_mut(index) {
        request.status = Some(status.as_u16());
    }
    (status, extra, body_of(status)).into_response()
}

fn body_of(status: StatusCode) -> &'static str {
    if status.is_success() { "ok" } else { "no" }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
