//! A Confluent-compatible schema registry over HTTP.

use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::schemas::{SchemaFault, SchemaSource};
use crate::secret::{SecretError, SecretRef};

/// A schema is a few kilobytes; an answer larger than this is none.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Where schemas come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRegistrySettings {
    /// The registry's address, such as `https://registry.example.com`.
    pub url: String,
    /// The user, where the registry asks for one (or an API key's id).
    #[serde(default)]
    pub username: Option<String>,
    /// Where the user's password (or the API key's secret) is kept.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// How long a record waits for its schema.
    #[serde(default = "default_timeout", with = "crate::duration")]
    pub timeout: Duration,
}

fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

/// What is wrong with a registry's settings.
#[derive(Debug, thiserror::Error)]
pub enum SchemaRegistryError {
    /// The address can't be used.
    #[error("`{url}` is not the address of a schema registry: {reason}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The password can't be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The client can't be made.
    #[error("the schema registry's client can't be made: {0}")]
    Client(String),
}

struct Question {
    id: u32,
    answer: SyncSender<Result<String, SchemaFault>>,
}

/// Asks a Confluent-compatible registry (`GET /schemas/ids/{id}`). It has a thread of its own, so that a decoder may
/// wait for it wherever it runs.
pub struct SchemaRegistry {
    questions: tokio::sync::mpsc::Sender<Question>,
    timeout: Duration,
}

impl SchemaRegistry {
    /// Checks the settings without connecting.
    pub fn check(settings: &SchemaRegistrySettings) -> Result<(), SchemaRegistryError> {
        base(settings)?;
        password(settings).map(|_| ())
    }

    /// Starts the client; nothing is asked yet.
    pub fn start(settings: &SchemaRegistrySettings) -> Result<Self, SchemaRegistryError> {
        let base = base(settings)?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let reason = "no TLS provider is installed: the program must install one at its start";
            return Err(SchemaRegistryError::Client(reason.to_owned()));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("watershed/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout);
        if base.scheme() == "http" {
            // Plain http needs no certificates: a machine that has none can still use it.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| SchemaRegistryError::Client(error.without_url().to_string()))?;
        let lookup = Lookup { client, base, username: settings.username.clone(), password: password(settings)? };
        let (questions, mut asked) = tokio::sync::mpsc::channel::<Question>(16);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| SchemaRegistryError::Client(error.to_string()))?;
        let serve = move || {
            runtime.block_on(async {
                while let Some(Question { id, answer }) = asked.recv().await {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.try_send(lookup.schema(id).await);
                }
            });
        };
        std::thread::Builder::new()
            .name("schema-registry".to_owned())
            .spawn(serve)
            .map_err(|error| SchemaRegistryError::Client(error.to_string()))?;
        Ok(SchemaRegistry { questions, timeout: settings.timeout })
    }
}

impl SchemaSource for SchemaRegistry {
    fn schema(&self, id: u32) -> Result<String, SchemaFault> {
        let (answer, answered) = mpsc::sync_channel(1);
        // A full queue means that nobody has answered for a while.
        self.questions
            .try_send(Question { id, answer })
            .map_err(|_| SchemaFault::Unavailable("too many questions wait for the schema registry".to_owned()))?;
        // The client has the same limit; the little more lets its own words come through.
        answered
            .recv_timeout(self.timeout + Duration::from_millis(500))
            .unwrap_or_else(|_| Err(SchemaFault::Unavailable("the schema registry did not answer in time".to_owned())))
    }
}

fn base(settings: &SchemaRegistrySettings) -> Result<Url, SchemaRegistryError> {
    let fault = |reason: String| SchemaRegistryError::Url { url: without_password(&settings.url), reason };
    let mut url = Url::parse(&settings.url).map_err(|error| fault(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("write it like `https://host:port`".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("set `username` and `password` instead of writing them into it".to_owned()));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// The address less what is between `//` and `@`.
fn without_password(url: &str) -> String {
    match (url.split_once("//"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}//…@{host}"),
        _ => url.to_owned(),
    }
}

fn password(settings: &SchemaRegistrySettings) -> Result<Option<SecretString>, SchemaRegistryError> {
    Ok(settings.password.as_ref().map(SecretRef::resolve).transpose()?)
}

struct Lookup {
    client: reqwest::Client,
    base: Url,
    username: Option<String>,
    password: Option<SecretString>,
}

#[derive(Deserialize)]
struct Answer {
    schema: String,
    #[serde(default, rename = "schemaType")]
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<serde::de::IgnoredAny>,
}

impl Lookup {
    async fn schema(&self, id: u32) -> Result<String, SchemaFault> {
        let unavailable = |error: reqwest::Error| SchemaFault::Unavailable(error.without_url().to_string());
        let url = self
            .base
            .join(&format!("schemas/ids/{id}"))
            .map_err(|error| SchemaFault::Unavailable(error.to_string()))?;
        let mut request =
            self.client.get(url).header("accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some(username) = &self.username {
            request = request.basic_auth(username, self.password.as_ref().map(|password| password.expose_secret()));
        }
        let mut response = request.send().await.map_err(unavailable)?;
        match response.status().as_u16() {
            200 => {}
            404 => return Err(SchemaFault::Unknown),
            status => return Err(SchemaFault::Unavailable(format!("the schema registry answered {status}"))),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(SchemaFault::Unusable("the schema registry's answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        read_answer(&body)
    }
}

fn read_answer(body: &[u8]) -> Result<String, SchemaFault> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| SchemaFault::Unavailable("the schema registry's answer is not what it should be".to_owned()))?;
    // Absent means Avro.
    match answer.schema_type.as_deref() {
        None | Some("AVRO") => {}
        Some(other) => return Err(SchemaFault::Unusable(format!("it is of type {other}, not AVRO"))),
    }
    if !answer.references.is_empty() {
        return Err(SchemaFault::Unusable("it refers to other schemas; register it as one schema".to_owned()));
    }
    Ok(answer.schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> SchemaRegistrySettings {
        SchemaRegistrySettings { url: url.to_owned(), username: None, password: None, timeout: default_timeout() }
    }

    #[test]
    fn addresses_are_checked_without_connecting() {
        for (url, expected) in [
            ("registry:8081", Some("https://host:port")),
            ("not a url", Some("not the address")),
            ("https://user:hunter2@registry", Some("set `username`")),
            ("http://registry:8081", None),
            ("https://registry/prefix", None),
        ] {
            let found = SchemaRegistry::check(&settings(url)).err().map(|error| error.to_string());
            match (expected, &found) {
                (None, None) => {}
                (Some(part), Some(message)) if message.contains(part) && !message.contains("hunter2") => {}
                _ => panic!("{url}: expected {expected:?}, found {found:?}"),
            }
        }
    }

    #[test]
    fn a_prefix_stays_in_front_of_the_path() {
        let base = base(&settings("https://registry/prefix")).expect("valid");
        assert_eq!(base.join("schemas/ids/1").expect("joins").as_str(), "https://registry/prefix/schemas/ids/1");
    }

    #[test]
    fn answers_that_are_no_avro_schema_are_told_apart() {
        assert_eq!(read_answer(br#"{"schema":"\"string\""}"#).as_deref(), Ok("\"string\""));
        assert!(matches!(read_answer(br#"{"schema":"{}","schemaType":"JSON"}"#), Err(SchemaFault::Unusable(_))));
        let references = br#"{"schema":"{}","references":[{"name":"a","subject":"b","version":1}]}"#;
        assert!(matches!(read_answer(references), Err(SchemaFault::Unusable(_))));
        assert!(matches!(read_answer(b"<html>"), Err(SchemaFault::Unavailable(_))));
    }
}
