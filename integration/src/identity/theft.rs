//! What is an attack on the access plane. Each kind is what one rule of the catalog looks for.

use std::time::Duration;

use serde_json::json;
use watershed_schemas::Timestamp;

use super::decoy::risk;
use super::{Event, Object, Place, Session};

/// A way in which a credential is in the wrong hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Theft {
    /// A revoked token is used and accepted.
    RevokedTokenUsed,
    /// The agent's token is revoked and its tool calls go on.
    RevokedTokenToolCall,
    /// The agent's token has expired and its tool calls go on.
    ExpiredTokenToolCall,
    /// The account is deactivated and its token still works.
    DeactivatedActive,
    /// Six wrong passwords, then the right one.
    GuessedPassword,
    /// A service account's key from a country where it never was.
    ServiceAbroad,
    /// A consent made to measure for the agent's first tool, used at once.
    ConsentToMeasure,
    /// The identity provider says that the session is a high risk, and its tools go on.
    RiskIgnored,
}

impl Theft {
    /// All of them.
    pub const ALL: [Theft; 8] = [
        Theft::RevokedTokenUsed,
        Theft::RevokedTokenToolCall,
        Theft::ExpiredTokenToolCall,
        Theft::DeactivatedActive,
        Theft::GuessedPassword,
        Theft::ServiceAbroad,
        Theft::ConsentToMeasure,
        Theft::RiskIgnored,
    ];

    /// Whether it shows in what the agent does, so that the conversation needs a tool call that succeeds.
    pub fn needs_calls(self) -> bool {
        matches!(
            self,
            Theft::RevokedTokenToolCall | Theft::ExpiredTokenToolCall | Theft::ConsentToMeasure | Theft::RiskIgnored
        )
    }

    /// Whether the principal is a service account.
    pub fn of_service(self) -> bool {
        self == Theft::ServiceAbroad
    }

    /// Its events, beside the ordinary ones of the session.
    pub fn events(self, session: &Session<'_>) -> Vec<Event> {
        let start = session.lasts.start;
        let secs = Duration::from_secs;
        let before = |seconds| start.minus(secs(seconds));
        let just_before_call = session.first_call().minus(Duration::from_millis(700));
        let who = session.who;
        let objects: Vec<Object> = match self {
            Theft::RevokedTokenUsed => {
                let stolen = format!("{}-stolen", who.credential_id);
                vec![
                    session.event(before(30), "revoked", "token_revoked").with("credential_id", stolen.as_str()),
                    session.token_used(start.plus(secs(5)), "stolen-use", &stolen, Place::Abroad),
                ]
            }
            Theft::RevokedTokenToolCall => {
                vec![
                    session
                        .event(just_before_call, "revoked", "token_revoked")
                        .with("credential_id", who.credential_id.as_str()),
                ]
            }
            Theft::ExpiredTokenToolCall => {
                vec![
                    session
                        .event(before(55), "refreshed", "token_refreshed")
                        .with("credential_id", who.credential_id.as_str())
                        .with("expires_at", json!(just_before_call)),
                ]
            }
            Theft::DeactivatedActive => {
                vec![session.event(before(50), "off", "account_deactivated").with("actor", "hr-system")]
            }
            Theft::GuessedPassword => (0..6)
                .map(|n| {
                    session.sign_in(before(400 - n * 20), &format!("guess-{n}"), Place::Abroad).failed("wrong password")
                })
                .chain([session.sign_in(before(250), "guessed", Place::Abroad)])
                .collect(),
            Theft::ServiceAbroad => vec![session.sign_in(before(30), "abroad", Place::Abroad)],
            Theft::ConsentToMeasure => {
                let tool = session.calls.first().map_or("", |(_, tool)| tool.as_str());
                vec![
                    session
                        .event(before(20), "consent", "consent_granted")
                        .with("scopes", json!([tool]))
                        .with("client_id", who.client_id.as_str()),
                ]
            }
            Theft::RiskIgnored => vec![risk(session, "risk-up", "high").at(just_before_call)],
        };
        objects.into_iter().map(Object::done).collect()
    }
}

/// An exchange of the session's token for a broader one, right after the agent was told to.
pub fn broader_token(session: &Session<'_>, at: Timestamp) -> Event {
    session
        .event(at, "broader", "token_exchanged")
        .with("session_id", session.who.session.as_str())
        .with("credential_id", format!("{}-broader", session.who.credential_id))
        .with("client_id", session.who.client_id.as_str())
        .with("scopes", json!(["tools.use", "directory.write"]))
        .done()
}
