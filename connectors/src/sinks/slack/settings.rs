//! What a configuration says about a Slack channel.

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::Url;

use super::SlackSink;
use crate::secret::SecretRef;
use crate::sinks::http::{self, HttpClient, NetworkSettings};
use crate::sinks::settings::secret;
use crate::sinks::{BuildError, Problem};

/// A Slack channel, through an incoming webhook.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackSettings {
    /// The URL of the incoming webhook. Whoever knows it can post, so it is a secret.
    pub url: SecretRef,
    /// Where the receiver may be.
    #[serde(default)]
    pub network: NetworkSettings,
}

impl SlackSettings {
    pub(in crate::sinks) fn resolve(&self) -> Result<Url, Vec<Problem>> {
        secret("url", &self.url)
            .and_then(|url| http::url_problems("url", url.expose_secret(), &self.network))
            .map_err(|problem| vec![problem])
    }

    pub(in crate::sinks) fn build(&self, client: &HttpClient) -> Result<SlackSink, BuildError> {
        let url = self.resolve().map_err(BuildError::Settings)?;
        Ok(SlackSink { endpoint: client.endpoint(url, &self.network)? })
    }
}
