//! What looks like an attack and is none.

use std::time::Duration;

use serde_json::json;

use super::{Event, Object, Place, Session};

/// An innocent event that a careless rule would page for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decoy {
    /// A person signs in from abroad, with a second factor.
    Travel,
    /// A role that has nothing to do with the agent's tools.
    UnrelatedRole,
    /// A consent for the agent's tool, three quarters of an hour before.
    EarlierConsent,
    /// A token is rotated: the old one is revoked and refused, the new one works.
    Rotation,
    /// Three wrong passwords, then the right one.
    MistypedPassword,
    /// A risk that a second factor brought down before the agent went on.
    RiskLowered,
    /// The agent's token is revoked after its last call.
    RevokedAfterwards,
    /// An account deactivated by mistake and given back before it was used.
    Reactivated,
    /// The agent's token exchanged for one with the same scopes.
    SameScopes,
}

impl Decoy {
    /// All of them.
    pub const ALL: [Decoy; 9] = [
        Decoy::Travel,
        Decoy::UnrelatedRole,
        Decoy::EarlierConsent,
        Decoy::Rotation,
        Decoy::MistypedPassword,
        Decoy::RiskLowered,
        Decoy::RevokedAfterwards,
        Decoy::Reactivated,
        Decoy::SameScopes,
    ];

    /// Its events, beside the ordinary ones of the session.
    pub fn events(self, session: &Session<'_>) -> Vec<Event> {
        let start = session.lasts.start;
        let end = session.lasts.end;
        let before = |seconds| start.minus(Duration::from_secs(seconds));
        let after = |seconds| end.plus(Duration::from_secs(seconds));
        let who = session.who;
        let objects = match self {
            // Service accounts do not travel: for them it would be a theft.
            Decoy::Travel if session.service => vec![],
            Decoy::Travel => vec![session.sign_in(before(600), "travel", Place::Abroad)],
            Decoy::UnrelatedRole => {
                vec![
                    session
                        .event(before(300), "role", "role_granted")
                        .with("roles", json!(["canteen-menu-editor"]))
                        .with("actor", "administrator"),
                ]
            }
            Decoy::EarlierConsent => {
                let tools: Vec<&str> = session.calls.iter().map(|(_, tool)| tool.as_str()).collect();
                vec![
                    session
                        .event(before(2_700), "earlier-consent", "consent_granted")
                        .with("scopes", json!(tools))
                        .with("client_id", who.client_id.as_str()),
                ]
            }
            Decoy::Rotation => {
                let old = format!("{}-old", who.credential_id);
                vec![
                    session.event(before(40), "rotated", "credential_rotated").with("credential_id", old.as_str()),
                    session.event(before(39), "rotated-out", "token_revoked").with("credential_id", old.as_str()),
                    session.token_used(before(20), "refused", &old, Place::Home).failed("token revoked"),
                ]
            }
            Decoy::MistypedPassword => (0..3)
                .map(|n| {
                    session.sign_in(before(120 - n * 5), &format!("typo-{n}"), Place::Home).failed("wrong password")
                })
                .collect(),
            Decoy::RiskLowered => {
                vec![risk(session, "risk-up", "high").at(before(50)), risk(session, "risk-down", "low").at(before(20))]
            }
            Decoy::RevokedAfterwards => {
                vec![
                    session
                        .event(after(30), "revoked-after", "token_revoked")
                        .with("credential_id", who.credential_id.as_str()),
                ]
            }
            Decoy::Reactivated => vec![
                session.event(before(700), "mistaken-off", "account_deactivated").with("actor", "administrator"),
                session.event(before(650), "on", "account_reactivated").with("actor", "administrator"),
            ],
            Decoy::SameScopes => vec![
                session
                    .event(after(1), "exchange", "token_exchanged")
                    .with("session_id", who.session.as_str())
                    .with("credential_id", format!("{}-again", who.credential_id))
                    .with("scopes", json!(["tools.use"])),
            ],
        };
        objects.into_iter().map(Object::done).collect()
    }
}

/// A change of the session's risk; [`Object::at`] gives it its time.
pub(super) fn risk(session: &Session<'_>, name: &str, level: &str) -> Object {
    session
        .event(session.lasts.start, name, "risk_changed")
        .with("session_id", session.who.session.as_str())
        .with("risk", level)
        .with("reason", "impossible travel")
}

impl Object {
    /// The same event at another time.
    pub(super) fn at(mut self, at: watershed_schemas::Timestamp) -> Object {
        self.at = at;
        self.with("event_time", json!(at))
    }
}
