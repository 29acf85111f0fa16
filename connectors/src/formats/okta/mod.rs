//! Okta System Log: sign-ins, sessions, tokens, accounts, grants and policy decisions.
//!
//! Reads one event, an array of them, the event hook wrapper (`data.events`), EventBridge (`detail`) and the API's
//! `{"events": […]}`. What an event type means is data: `mapping.yaml`; country names are `countries.yaml`.

mod event;
mod table;

use std::sync::LazyLock;

use watershed_schemas::{EventBatchBuilder, Plane};

use super::json::Json;
use super::mapping::Names;
use super::{Context, Format, Recognition};
use crate::raw::RawRecord;

/// The format `okta`.
pub(super) struct Okta;

impl Format for Okta {
    fn name(&self) -> &'static str {
        "okta"
    }

    fn about(&self) -> &'static str {
        "Okta System Log events, also as event hook, EventBridge detail or array"
    }

    fn planes(&self) -> &'static [Plane] {
        &[Plane::Access]
    }

    fn fills(&self) -> &'static [&'static str] {
        &[
            "event_id",
            "event_time",
            "kind",
            "principal",
            "principal_type",
            "actor",
            "session_id",
            "client_id",
            "credential_id",
            "credential_type",
            "grant_type",
            "issuer",
            "audience",
            "scopes",
            "roles",
            "resource",
            "outcome",
            "reason",
            "auth_method",
            "mfa",
            "risk",
            "ip",
            "asn",
            "country",
            "latitude",
            "longitude",
            "user_agent",
            "device_id",
            "agent_id",
            "request_id",
            "expires_at",
            "attributes",
        ]
    }

    fn recognise(&self, payload: &[u8]) -> Recognition {
        let [event_type, own, other, foreign] = NAMES.found(payload);
        match (event_type, own || other, foreign) {
            (true, true, _) => Recognition::Certain,
            // CloudTrail has an `eventType` too, and an `eventSource` that Okta has not.
            (true, false, false) => Recognition::Possible,
            _ => Recognition::No,
        }
    }

    fn decode(&self, record: &RawRecord, context: &Context<'_>, out: &mut EventBatchBuilder) {
        let mut payload = match Json::parse(&record.payload) {
            Ok(payload) => payload,
            Err(reason) => return out.reject(None, reason),
        };
        match unwrap(&mut payload) {
            Events::One(event) => event::decode(event, context, None, out),
            Events::Many(events) if events.len() > context.limits.rows_per_record => out.reject(
                None,
                format!(
                    "holds {} events, more than the limit `rows_per_record` of {}",
                    events.len(),
                    context.limits.rows_per_record
                ),
            ),
            Events::Many(events) if events.is_empty() => out.reject(None, "holds an empty list of Okta events"),
            Events::Many(events) => {
                for (part, event) in events.into_iter().enumerate() {
                    event::decode(event, context, Some(part), out);
                }
            }
        }
    }
}

static NAMES: LazyLock<Names<4>> =
    LazyLock::new(|| Names::new(["\"eventType\"", "\"alternateId\"", "\"authenticationContext\"", "\"eventSource\""]));

enum Events<'a> {
    One(Json<'a>),
    Many(Vec<Json<'a>>),
}

fn unwrap<'a>(payload: &mut Json<'a>) -> Events<'a> {
    if payload.member("eventType").and_then(Json::as_text).is_some_and(|text| text != HOOK)
        && payload.member("actor").is_some()
    {
        return Events::One(std::mem::take(payload));
    }
    // An event hook: its own `eventType` names the hook, the events are inside.
    let mut hook = payload.take("data");
    if let Json::List(events) = hook.take("events") {
        return Events::Many(events);
    }
    payload.push("data", hook);
    if let Json::List(events) = payload.take("events") {
        return Events::Many(events);
    }
    match (payload.take("detail"), std::mem::take(payload)) {
        (detail @ Json::Map(_), _) => Events::One(detail),
        (_, Json::List(events)) => Events::Many(events),
        (_, other) => Events::One(other),
    }
}

const HOOK: &str = "com.okta.event_hook";
