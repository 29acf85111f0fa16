//! What a configuration says about a signed webhook.

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::Url;

use super::WebhookSink;
use super::signature::Signer;
use crate::secret::SecretRef;
use crate::sinks::http::{self, HttpClient, NetworkSettings};
use crate::sinks::settings::secret;
use crate::sinks::{BuildError, Problem};

/// Any HTTP receiver, with Standard Webhooks signatures.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to post to.
    pub url: String,
    /// The signing secrets, each of the form `whsec_` and the base64 of 24 to 64 bytes. A message is signed with every
    /// one of them: to rotate, add the new secret, change the receiver, remove the old one.
    pub secrets: Vec<SecretRef>,
    /// Where the receiver may be.
    #[serde(default)]
    pub network: NetworkSettings,
}

impl WebhookSettings {
    pub(in crate::sinks) fn resolve(&self) -> Result<(Url, Signer), Vec<Problem>> {
        let mut problems = Vec::new();
        let url = http::url_problems("url", &self.url, &self.network).map_err(|problem| problems.push(problem));
        let mut signer = Signer::default();
        for (index, reference) in self.secrets.iter().enumerate() {
            let field = format!("secrets[{index}]");
            match secret(&field, reference) {
                Ok(secret) => {
                    if let Err(message) = signer.add(secret.expose_secret()) {
                        problems.push(Problem { field, message });
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        if self.secrets.is_empty() {
            problems.push(Problem {
                field: "secrets".to_owned(),
                message: "is empty: a receiver could not tell our messages from anybody's, name at least one"
                    .to_owned(),
            });
        }
        match url {
            Ok(url) if problems.is_empty() => Ok((url, signer)),
            _ => Err(problems),
        }
    }

    pub(in crate::sinks) fn build(&self, client: &HttpClient) -> Result<WebhookSink, BuildError> {
        let (url, signer) = self.resolve().map_err(BuildError::Settings)?;
        Ok(WebhookSink { endpoint: client.endpoint(url, &self.network)?, signer })
    }
}
