//! What a configuration says about a Splunk index.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::SplunkSink;
use crate::secret::SecretRef;
use crate::sinks::http::{self, HttpClient, NetworkSettings};
use crate::sinks::settings::secret;
use crate::sinks::{BuildError, Format, Problem};

/// Where HEC takes events.
const EVENTS: &str = "/services/collector/event";

/// A Splunk index, through the HTTP Event Collector.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplunkSettings {
    /// The collector, such as `https://splunk.example:8088`; where no path is given, `/services/collector/event` is meant.
    pub url: String,
    /// The token of the collector. Indexer acknowledgement must be off for it.
    pub token: SecretRef,
    /// The index; absent: the token's default.
    #[serde(default)]
    pub index: Option<String>,
    /// The source type; absent: `watershed:notification`, `ocsf:incident_finding` or `ocsf:detection_finding`, by `format`.
    #[serde(default)]
    pub sourcetype: Option<String>,
    /// The host that events are filed under; absent: what the collector makes of our address.
    #[serde(default)]
    pub host: Option<String>,
    /// The shape of the event: `json`, `ocsf` (an OCSF Incident Finding) or `ocsf_detection` (an OCSF Detection Finding).
    #[serde(default)]
    pub format: Format,
    /// Where the receiver may be.
    #[serde(default)]
    pub network: NetworkSettings,
}

impl SplunkSettings {
    pub(in crate::sinks) fn resolve(&self) -> Result<(Url, SecretString), Vec<Problem>> {
        let mut problems = Vec::new();
        let url = http::url_problems("url", &self.url, &self.network).map_err(|problem| problems.push(problem));
        let token = secret("token", &self.token).map_err(|problem| problems.push(problem));
        if let Ok(token) = &token
            && (HeaderValue::from_str(token.expose_secret()).is_err() || token.expose_secret().contains(' '))
        {
            problems.push(Problem {
                field: "token".to_owned(),
                message: "is no token of a collector: it is copied without `Splunk ` and without line breaks"
                    .to_owned(),
            });
        }
        for (field, value) in [("index", &self.index), ("sourcetype", &self.sourcetype), ("host", &self.host)] {
            if value.as_ref().is_some_and(|value| value.trim().is_empty()) {
                problems.push(Problem {
                    field: field.to_owned(),
                    message: "is empty: leave it out to take the default".to_owned(),
                });
            }
        }
        match (url, token) {
            (Ok(mut url), Ok(token)) if problems.is_empty() => {
                if url.path() == "/" {
                    url.set_path(EVENTS);
                }
                Ok((url, token))
            }
            _ => Err(problems),
        }
    }

    pub(in crate::sinks) fn build(&self, client: &HttpClient) -> Result<SplunkSink, BuildError> {
        let (url, token) = self.resolve().map_err(BuildError::Settings)?;
        Ok(SplunkSink {
            endpoint: client.endpoint(url, &self.network)?,
            token,
            index: self.index.clone(),
            sourcetype: self.sourcetype.clone(),
            host: self.host.clone(),
            format: self.format,
        })
    }
}
