//! Why a request has no answer.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error as RFC 9457 has it.
#[derive(Debug)]
pub(in crate::console) struct Problem {
    pub(in crate::console) status: StatusCode,
    pub(in crate::console) detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(in crate::console) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Problem { status, detail: detail.into(), header: None }
    }

    /// The request is wrong.
    pub(in crate::console) fn bad(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// There is no such thing.
    pub(in crate::console) fn unknown(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// The engine can't answer now.
    pub(in crate::console) fn busy(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(1)
    }

    /// Who asks is not known.
    pub(in crate::console) fn who(detail: impl Into<String>, challenge: &'static str) -> Self {
        let header = Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        Problem { header, ..Problem::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// Ask again after so many seconds.
    pub(in crate::console) fn after(self, seconds: u64) -> Self {
        Problem { header: Some((RETRY_AFTER, HeaderValue::from(seconds))), ..self }
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
        let mut response =
            (self.status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
