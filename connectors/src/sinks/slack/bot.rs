//! One message for each incident: posted once, edited in place when there is news, and the news said in its thread.
//!
//! An edit alerts nobody, a reply only those who follow the thread; so a reply that somebody has to act on is shown in
//! the channel too (`reply_broadcast`). The edit comes first: an attempt that is made again after it ends where one
//! alone would have, at worst with a reply said twice.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use watershed_schemas::{Notification, NotifyReason};

use super::answer::{self, Posted, Trouble};
use super::body;
use crate::sinks::http::Endpoint;
use crate::sinks::words;
use crate::sinks::{Attempt, Memory, Receipt, SendError};

/// A bot in one channel.
pub(in crate::sinks) struct Bot {
    pub(super) endpoint: Endpoint,
    /// `chat.postMessage`.
    pub(super) post: Url,
    /// `chat.update`.
    pub(super) update: Url,
    pub(super) token: SecretString,
    pub(super) channel: String,
}

/// Where the message of an incident is: what is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    channel: String,
    ts: String,
}

impl Bot {
    pub(super) async fn send(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        // A channel that was changed in the configuration gets a message of its own.
        let place = attempt
            .memory
            .and_then(|memory| serde_json::from_str::<Place>(memory).ok())
            .filter(|place| place.channel == self.channel);
        let edited = match &place {
            Some(place) => self.edit(place, notification, attempt).await?,
            None => false,
        };
        let memory = match (place, edited) {
            (Some(place), true) => {
                self.reply(&place, notification, attempt).await?;
                Memory::AsItIs
            }
            _ => {
                let ts = self.open(notification, attempt).await?;
                let place = ts.map(|ts| Place { channel: self.channel.clone(), ts });
                // A message whose time is not known can't be edited: the next one is posted anew.
                place.and_then(|place| serde_json::to_string(&place).ok()).map_or(Memory::Forget, Memory::Keep)
            }
        };
        // What is over gets a message of its own should it ever come back.
        let memory = if words::is_over(notification) { Memory::Forget } else { memory };
        Ok(Receipt { status: Some(200), memory })
    }

    /// Posts the message of an incident and says under which time it stands.
    async fn open(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Option<String>, SendError> {
        let mut body = body::encode(notification);
        body["channel"] = json!(self.channel);
        let posted = self.call(&self.post, body, attempt).await.map_err(Trouble::into_error)?;
        Ok(posted.ts)
    }

    /// Brings the message up to date; false where it is no longer there.
    async fn edit(&self, place: &Place, notification: &Notification, attempt: &Attempt<'_>) -> Result<bool, SendError> {
        let mut body = body::encode(notification);
        body["channel"] = json!(place.channel);
        body["ts"] = json!(place.ts);
        match self.call(&self.update, body, attempt).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.message_is_lost() => Ok(false),
            Err(trouble) => Err(trouble.into_error()),
        }
    }

    /// Says in the thread what is new.
    async fn reply(&self, place: &Place, notification: &Notification, attempt: &Attempt<'_>) -> Result<(), SendError> {
        let mut body = body::reply(notification);
        body["channel"] = json!(place.channel);
        body["thread_ts"] = json!(place.ts);
        body["reply_broadcast"] = json!(calls(notification.reason));
        match self.call(&self.post, body, attempt).await {
            // The message was edited a moment ago: a thread that can't be replied to is no reason to say it again.
            Err(trouble) if trouble.message_is_lost() => Ok(()),
            Err(trouble) => Err(trouble.into_error()),
            Ok(_) => Ok(()),
        }
    }

    async fn call(&self, method: &Url, body: Value, attempt: &Attempt<'_>) -> Result<Posted, Trouble> {
        let mut authorisation = HeaderValue::from_str(&format!("Bearer {}", self.token.expose_secret()))
            .map_err(|_| Trouble::Error(SendError::gone("the token is no header value")))?;
        authorisation.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorisation);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        let answer =
            self.endpoint.ask_at(method.clone(), body.to_string(), headers, attempt).await.map_err(Trouble::Error)?;
        answer::of_method(&answer)
    }
}

/// Whether somebody has to look now.
fn calls(reason: NotifyReason) -> bool {
    match reason {
        NotifyReason::Opened
        | NotifyReason::VerdictGrew
        | NotifyReason::SeverityRose
        | NotifyReason::Repeated
        | NotifyReason::Escalated => true,
        NotifyReason::Withdrawn | NotifyReason::Resolved | NotifyReason::Acknowledged => false,
    }
}
