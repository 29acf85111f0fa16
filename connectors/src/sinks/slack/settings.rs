//! What a configuration says about a Slack channel.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{Bot, SlackSink};
use crate::secret::SecretRef;
use crate::sinks::http::{self, HttpClient, NetworkSettings};
use crate::sinks::settings::secret;
use crate::sinks::{BuildError, Problem};

/// A Slack channel, through an incoming webhook (`url`) or a bot (`token` and `channel`). A bot keeps one message for each
/// incident, edits it in place and says what changed in its thread; a webhook can only post another one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackSettings {
    /// The URL of the incoming webhook. Whoever knows it can post, so it is a secret.
    #[serde(default)]
    pub url: Option<SecretRef>,
    /// The token of the bot (`xoxb-…`) with the scope `chat:write`. The bot must be a member of the channel.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// The channel that the bot posts to, by its id (such as `C024BE91L`).
    #[serde(default)]
    pub channel: Option<String>,
    /// Where the bot finds the Web API; GovSlack uses `https://slack-gov.com/api/`.
    #[serde(default = "default_api")]
    pub api: String,
    /// Where the receiver may be.
    #[serde(default)]
    pub network: NetworkSettings,
}

fn default_api() -> String {
    "https://slack.com/api/".to_owned()
}

/// How a channel is reached.
pub(in crate::sinks) enum Way {
    Webhook(Url),
    Bot { api: Url, token: SecretString, channel: String },
}

impl SlackSettings {
    pub(in crate::sinks) fn resolve(&self) -> Result<Way, Vec<Problem>> {
        let problem = |field: &str, message: &str| Problem { field: field.to_owned(), message: message.to_owned() };
        match (&self.url, &self.token) {
            (Some(url), None) => {
                let mut problems = Vec::new();
                if self.channel.is_some() {
                    problems.push(problem("channel", "belongs to a bot: a webhook has its channel, leave it out"));
                }
                let url = secret("url", url)
                    .and_then(|url| http::url_problems("url", url.expose_secret(), &self.network))
                    .map_err(|problem| problems.push(problem));
                url.ok().filter(|_| problems.is_empty()).map(Way::Webhook).ok_or(problems)
            }
            (None, Some(token)) => self.bot(token),
            (Some(_), Some(_)) => {
                Err(vec![problem("token", "and `url` are both given: a channel is reached by a bot or by a webhook")])
            }
            (None, None) => {
                Err(vec![problem("url", "is missing: name the incoming webhook, or a bot's `token` and its `channel`")])
            }
        }
    }

    fn bot(&self, token: &SecretRef) -> Result<Way, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut problem = |field: &str, message: String| problems.push(Problem { field: field.to_owned(), message });
        let token = secret("token", token).map_err(|found| problem(&found.field, found.message)).ok();
        if let Some(token) = &token {
            let token = token.expose_secret();
            if !token.starts_with("xox") || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                problem("token", "is no token of a bot: it begins with `xoxb-`".to_owned());
            }
        }
        let channel = self.channel.as_deref().unwrap_or_default();
        // A name would do for posting, but messages are edited by id, and names change.
        let id = channel.len() >= 9
            && channel.starts_with(['C', 'G', 'D'])
            && channel.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !id {
            problem(
                "channel",
                format!(
                    "`{}` is no id of a channel: it is shown at the end of the channel's details and looks like `C024BE91L`",
                    channel.escape_debug()
                ),
            );
        }
        let api = http::url_problems("api", &self.api, &self.network)
            .map_err(|found| problem(&found.field, found.message))
            .ok();
        match (api, token) {
            (Some(mut api), Some(token)) if problems.is_empty() => {
                if !api.path().ends_with('/') {
                    // Methods are joined to it.
                    api.set_path(&format!("{}/", api.path()));
                }
                Ok(Way::Bot { api, token, channel: channel.to_owned() })
            }
            _ => Err(problems),
        }
    }

    pub(in crate::sinks) fn build(&self, client: &HttpClient) -> Result<SlackSink, BuildError> {
        match self.resolve().map_err(BuildError::Settings)? {
            Way::Webhook(url) => Ok(SlackSink::Webhook(client.endpoint(url, &self.network)?)),
            Way::Bot { api, token, channel } => {
                let method = |name: &str| api.join(name).map_err(|error| BuildError::Client(error.to_string()));
                let (post, update) = (method("chat.postMessage")?, method("chat.update")?);
                let endpoint = client.endpoint(api.clone(), &self.network)?;
                Ok(SlackSink::Bot(Box::new(Bot { endpoint, post, update, token, channel })))
            }
        }
    }
}
