//! The two teams' webhooks, on loopback: real HTTP, counted where it arrives.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use watershed_schemas::Notification;

/// What one team has received.
#[derive(Clone, Default)]
pub(super) struct Inbox {
    messages: Arc<Mutex<Vec<Notification>>>,
}

impl Inbox {
    /// Everything received, a repeat under the same id once.
    pub(super) fn messages(&self) -> Vec<Notification> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut seen = std::collections::BTreeSet::new();
        messages.retain(|message| seen.insert(message.notification_id.clone()));
        messages
    }

    fn take(&self, body: &[u8]) -> StatusCode {
        match serde_json::from_slice(body) {
            Ok(message) => {
                self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                StatusCode::NO_CONTENT
            }
            Err(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Starts a receiver on a free port of loopback; it serves until the runtime ends.
pub(super) async fn start(inbox: Inbox) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let take = move |body: Bytes| {
        let inbox = inbox.clone();
        async move { inbox.take(&body) }
    };
    let app = Router::new().route("/", post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
