//! Generated identity telemetry: what people and service accounts do on ordinary days, what looks like an attack and
//! is none, and what is one.
//!
//! No data set with both planes labelled is known, so this half is ours. Every event is one canonical JSON object.

mod decoy;
mod ordinary;
mod theft;

use serde_json::{Map, Value, json};
use watershed_schemas::Timestamp;

pub use decoy::Decoy;
pub use ordinary::{history, ordinary};
pub use theft::{Theft, broader_token};

use crate::agentdojo::otlp::Who;
use crate::agentdojo::timeline::Interval;

/// One identity event and when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The canonical object.
    pub body: Value,
}

/// One session as the identity side sees it.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    /// A number of its own, which its marks carry.
    pub number: usize,
    /// Who.
    pub who: &'a Who,
    /// Whether the principal is a service account.
    pub service: bool,
    /// When the conversation began and ended.
    pub lasts: Interval,
    /// When the agent called which tool, in order.
    pub calls: &'a [(Timestamp, String)],
}

/// Where somebody signs in from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Where they always are.
    Home,
    /// Somewhere else.
    Abroad,
}

impl Session<'_> {
    /// What only the identity side knows about this session, for a test that looks for it where it must not be.
    pub fn marks(&self) -> Vec<String> {
        vec![self.ip(Place::Home), self.ip(Place::Abroad), self.device(), self.user_agent()]
    }

    fn ip(&self, place: Place) -> String {
        let net = match place {
            Place::Home => "2001:db8:1",
            Place::Abroad => "2001:db8:ffff",
        };
        format!("{net}::{:x}:1", self.number + 1)
    }

    fn device(&self) -> String {
        format!("device-{:05}", self.number)
    }

    fn user_agent(&self) -> String {
        format!("Browser/{}.0 (mark-{:05})", 100 + self.number % 7, self.number)
    }

    /// An event of this session's principal. `name` makes its id unique within the session.
    fn event(&self, at: Timestamp, name: &str, kind: &str) -> Object {
        let mut body = Map::new();
        body.insert("event_id".to_owned(), json!(format!("id-{:05}-{name}", self.number)));
        body.insert("event_time".to_owned(), json!(at));
        body.insert("source".to_owned(), json!("test-idp"));
        body.insert("kind".to_owned(), json!(kind));
        body.insert("principal".to_owned(), json!(self.who.principal));
        body.insert("principal_type".to_owned(), json!(if self.service { "service" } else { "human" }));
        body.insert("outcome".to_owned(), json!("success"));
        Object { at, body }
    }

    /// A sign-in from a place.
    fn sign_in(&self, at: Timestamp, name: &str, place: Place) -> Object {
        let (country, asn) = match place {
            Place::Home => ("DE", 64_496),
            Place::Abroad => ("BR", 64_511),
        };
        self.event(at, name, "authentication")
            .with("ip", self.ip(place))
            .with("country", country)
            .with("asn", asn)
            .with("device_id", self.device())
            .with("user_agent", self.user_agent())
            .with("auth_method", if self.service { "api_key" } else { "sso" })
            .with("mfa", !self.service)
    }

    /// A use of a token at the tool gateway.
    fn token_used(&self, at: Timestamp, name: &str, credential: &str, place: Place) -> Object {
        self.event(at, name, "token_used")
            .with("credential_id", credential)
            .with("client_id", self.who.client_id.as_str())
            .with("resource", "tool-gateway")
            .with("ip", self.ip(place))
            .with("user_agent", self.user_agent())
    }

    fn first_call(&self) -> Timestamp {
        self.calls.first().map_or(self.lasts.start, |(at, _)| *at)
    }
}

/// An event on its way.
pub(crate) struct Object {
    at: Timestamp,
    body: Map<String, Value>,
}

impl Object {
    fn with(mut self, field: &str, value: impl Into<Value>) -> Object {
        self.body.insert(field.to_owned(), value.into());
        self
    }

    fn failed(self, reason: &str) -> Object {
        self.with("outcome", "failure").with("reason", reason)
    }

    fn done(self) -> Event {
        Event { at: self.at, body: Value::Object(self.body) }
    }
}
