//! What everybody does.

use std::time::Duration;

use serde_json::json;
use watershed_schemas::Timestamp;

use super::{Event, Object, Place, Session};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Signs in, gets a token for an hour, uses it, and signs out.
pub fn ordinary(session: &Session<'_>) -> Vec<Event> {
    let start = session.lasts.start;
    let who = session.who;
    let signed_in = start.minus(secs(90));
    let mut events = vec![
        session.sign_in(signed_in, "sign-in", Place::Home),
        session.event(start.minus(secs(85)), "session", "session_started").with("session_id", who.session.as_str()),
        token_issued(session, start.minus(secs(60)), start.plus(secs(3_600))),
        session.token_used(start.plus(secs(1)), "use", &who.credential_id, Place::Home),
        session
            .event(session.lasts.end.plus(secs(120)), "sign-out", "session_ended")
            .with("session_id", who.session.as_str()),
    ];
    if session.service {
        // Workloads are known by where they always sign in from.
        events.push(session.sign_in(start.minus(secs(7_200)), "sign-in-before", Place::Home));
    }
    events.into_iter().map(Object::done).collect()
}

/// The token that the agent calls its tools with.
pub(super) fn token_issued(session: &Session<'_>, at: Timestamp, expires: Timestamp) -> Object {
    session
        .event(at, "token", "token_issued")
        .with("session_id", session.who.session.as_str())
        .with("credential_id", session.who.credential_id.as_str())
        .with("credential_type", "access_token")
        .with("client_id", session.who.client_id.as_str())
        .with("audience", "tool-gateway")
        .with("scopes", json!(["tools.use"]))
        .with("expires_at", json!(expires))
}

/// One event of each partition long before everything else: it says since when there is history, so that rules that
/// look back for days may speak.
pub fn history(at: Timestamp, partition: i32) -> Event {
    Event {
        at,
        body: json!({
            "event_id": format!("history-{partition}"), "event_time": at, "source": "test-idp", "kind": "policy_changed",
            "principal": "administrator", "resource": "sign-in-policy", "outcome": "success",
        }),
    }
}
