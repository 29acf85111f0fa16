//! What a configuration says about a PagerDuty service.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::PagerdutySink;
use crate::secret::SecretRef;
use crate::sinks::http::{self, HttpClient, NetworkSettings};
use crate::sinks::settings::secret;
use crate::sinks::{BuildError, Problem};

/// A PagerDuty service, through the Events API v2.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerdutySettings {
    /// The integration key of the service: 32 letters and digits.
    pub routing_key: SecretRef,
    /// Where events go; accounts in Europe use `https://events.eu.pagerduty.com/v2/enqueue`.
    #[serde(default = "default_url")]
    pub url: String,
    /// Where the receiver may be.
    #[serde(default)]
    pub network: NetworkSettings,
}

fn default_url() -> String {
    "https://events.pagerduty.com/v2/enqueue".to_owned()
}

impl PagerdutySettings {
    pub(in crate::sinks) fn resolve(&self) -> Result<(Url, SecretString), Vec<Problem>> {
        let mut problems = Vec::new();
        let url = http::url_problems("url", &self.url, &self.network).map_err(|problem| problems.push(problem));
        let key = secret("routing_key", &self.routing_key).map_err(|problem| problems.push(problem));
        if let Ok(key) = &key {
            let key = key.expose_secret();
            if key.len() != 32 || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                problems.push(Problem {
                    field: "routing_key".to_owned(),
                    message: "is not an integration key of 32 letters and digits: copy it from the service's Events API v2 integration".to_owned(),
                });
            }
        }
        match (url, key) {
            (Ok(url), Ok(key)) if problems.is_empty() => Ok((url, key)),
            _ => Err(problems),
        }
    }

    pub(in crate::sinks) fn build(&self, client: &HttpClient) -> Result<PagerdutySink, BuildError> {
        let (url, routing_key) = self.resolve().map_err(BuildError::Settings)?;
        Ok(PagerdutySink { endpoint: client.endpoint(url, &self.network)?, routing_key })
    }
}
