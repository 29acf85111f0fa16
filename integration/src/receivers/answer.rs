//! What a receiver answers.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// One answer of a receiver.
#[derive(Clone, Debug, Default)]
pub enum Answer {
    /// 200.
    #[default]
    Accept,
    /// This status.
    Status(u16),
    /// This status with `Retry-After`.
    RetryAfter(u16, Duration),
    /// A redirect to this place, which no sender should follow.
    Redirect(String),
    /// The answer after a while.
    Late(Duration, u16),
    /// Nothing, for as long as the sender waits.
    Never,
}

impl Answer {
    /// Waits as it says, and gives status and headers.
    pub(super) async fn play(self) -> (StatusCode, HeaderMap) {
        match self {
            Answer::Accept => (StatusCode::OK, HeaderMap::new()),
            Answer::Status(status) => (code(status), HeaderMap::new()),
            Answer::RetryAfter(status, after) => (code(status), one(header::RETRY_AFTER, &after.as_secs().to_string())),
            Answer::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, one(header::LOCATION, &to)),
            Answer::Late(after, status) => {
                tokio::time::sleep(after).await;
                (code(status), HeaderMap::new())
            }
            Answer::Never => std::future::pending().await,
        }
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn one(name: HeaderName, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
    headers
}
