//! What a configuration says about a signed webhook.

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::Url;

use super::WebhookSink;
use super::signature::Signer;
use crate::secret::SecretRef;
use crate::sinks::http::{self, HttpClient, NetworkSettings};
use crate::sinks::settings::secret;
use crate::sinks::{BuildError, Envelope, Format, Problem};

/// Any HTTP receiver, with Standard Webhooks signatures.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to post to.
    pub url: String,
    /// The signing secrets, each of the form `whsec_` and the base64 of 24 to 64 bytes. A message is signed with every
    /// one of them: to rotate, add the new secret, change the receiver, remove the old one.
    pub secrets: Vec<SecretRef>,
    /// The shape of the message: `json`, `ocsf` (an OCSF Incident Finding) or `ocsf_detection` (an OCSF Detection Finding).
    #[serde(default)]
    pub format: Format,
    /// What is put around it: `none`, or `cloudevents` (CloudEvents 1.0, structured mode).
    #[serde(default)]
    pub envelope: Envelope,
    /// The `source` of CloudEvents: a URI reference that tells this installation from others.
    #[serde(default = "default_source")]
    pub source: String,
    /// Where the receiver may be.
    #[serde(default)]
    pub network: NetworkSettings,
}

fn default_source() -> String {
    "/watershed".to_owned()
}

impl WebhookSettings {
    /// A receiver of our own format, with defaults for everything else.
    pub fn signed(url: String, secrets: Vec<SecretRef>) -> Self {
        WebhookSettings {
            url,
            secrets,
            format: Format::default(),
            envelope: Envelope::default(),
            source: default_source(),
            network: NetworkSettings::default(),
        }
    }

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
        // A URI reference (RFC 3986) has no spaces and nothing beyond ASCII; resolving it finds the rest.
        let reference = !self.source.is_empty()
            && self.source.bytes().all(|byte| byte.is_ascii_graphic())
            && Url::options().base_url(Url::parse("https://base.invalid/").ok().as_ref()).parse(&self.source).is_ok();
        if !reference {
            problems.push(Problem {
                field: "source".to_owned(),
                message: format!(
                    "`{}` is no URI reference: write it like `/watershed` or `https://watershed.example/eu`",
                    self.source.escape_debug()
                ),
            });
        }
        match url {
            Ok(url) if problems.is_empty() => Ok((url, signer)),
            _ => Err(problems),
        }
    }

    pub(in crate::sinks) fn build(&self, client: &HttpClient) -> Result<WebhookSink, BuildError> {
        let (url, signer) = self.resolve().map_err(BuildError::Settings)?;
        Ok(WebhookSink {
            endpoint: client.endpoint(url, &self.network)?,
            signer,
            format: self.format,
            envelope: self.envelope,
            source: self.source.clone(),
        })
    }
}
