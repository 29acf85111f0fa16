//! The client that all HTTP sinks share the settings of.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use url::{Host, Url};

use super::address::NetworkSettings;
use super::answer::{self, Answer};
use super::resolver::GuardedResolver;
use crate::escape;
use crate::sinks::{Attempt, BuildError, Problem, Receipt, SendError};

/// How much of an answer is read. A longer one is nothing that a receiver of ours says: only its status counts.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// Limits of every request.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the whole exchange.
    pub timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings { connect_timeout: Duration::from_secs(5), timeout: Duration::from_secs(15) }
    }
}

/// Makes the connections of HTTP sinks. Each receiver has a pool of its own: which addresses it may connect to is a
/// setting of the receiver, and a connection must not be reused across that line.
#[derive(Clone, Debug, Default)]
pub struct HttpClient {
    settings: HttpSettings,
}

impl HttpClient {
    /// With these limits.
    pub fn new(settings: HttpSettings) -> Self {
        HttpClient { settings }
    }

    /// The endpoint of one receiver. `url` must have passed [`url_problems`].
    pub(crate) fn endpoint(&self, url: Url, network: &NetworkSettings) -> Result<Endpoint, BuildError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(BuildError::Client(
                "no TLS provider is installed: the program must install one at its start".into(),
            ));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("watershed/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve the name itself, behind the guard's back.
            .no_proxy()
            // Whether to try again is the engine's decision.
            .retry(reqwest::retry::never())
            .connect_timeout(self.settings.connect_timeout)
            .timeout(self.settings.timeout)
            .pool_max_idle_per_host(1)
            .dns_resolver(std::sync::Arc::new(GuardedResolver { network: network.clone() }));
        if url.scheme() == "http" {
            // Plain http needs no certificates: a machine that has none can still run the demo.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| BuildError::Client(describe(error)))?;
        Ok(Endpoint { client, url })
    }
}

/// What is wrong with a receiver's URL; `field` names it in the messages.
pub(crate) fn url_problems(field: &str, text: &str, network: &NetworkSettings) -> Result<Url, Problem> {
    let problem = |message: String| Problem { field: field.to_owned(), message };
    // The value itself isn't shown: for some receivers it is the secret.
    let url =
        Url::parse(text).map_err(|error| problem(format!("not a url ({error}): write it like `https://host/path`")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(problem(format!("`{}` is not a scheme for receivers: use https", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem("holds a user name or password: sign the messages instead".to_owned()));
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(std::net::IpAddr::from(address)),
        Some(Host::Domain(_)) => None,
        None => return Err(problem("names no host: write it like `https://host/path`".to_owned())),
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        _ => literal.is_some_and(|address| address.is_loopback()),
    };
    if url.scheme() == "http" && !loopback && !network.allow_http {
        return Err(problem(
            "plain http would show every message on the wire: use https, or set `network.allow_http`".to_owned(),
        ));
    }
    if let Some(address) = literal.filter(|address| !network.allows(*address)) {
        return Err(problem(format!(
            "the address {address} is not allowed: set `network.allow_private` or list it in `network.allow_addresses` if it is meant"
        )));
    }
    Ok(url)
}

/// Where one receiver's messages go.
pub(crate) struct Endpoint {
    client: reqwest::Client,
    url: Url,
}

impl Endpoint {
    /// Posts a JSON body once and says what the status of the answer means.
    pub(crate) async fn post(
        &self,
        body: String,
        headers: HeaderMap,
        attempt: &Attempt<'_>,
    ) -> Result<Receipt, SendError> {
        self.ask(body, headers, attempt).await?.by_status()
    }

    /// Posts a body once. What the answer means is for the receiver's own module to say.
    pub(crate) async fn ask(
        &self,
        body: String,
        headers: HeaderMap,
        attempt: &Attempt<'_>,
    ) -> Result<Answer, SendError> {
        self.ask_at(self.url.clone(), body, headers, attempt).await
    }

    /// The same at another address of the same receiver.
    pub(crate) async fn ask_at(
        &self,
        url: Url,
        body: String,
        mut headers: HeaderMap,
        attempt: &Attempt<'_>,
    ) -> Result<Answer, SendError> {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        let sent = self.client.post(url).headers(headers).body(body).send().await;
        let mut response = sent.map_err(|error| SendError::retry(describe(error)))?;
        let status = response.status().as_u16();
        let after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| answer::retry_after(value, attempt.now));
        let mut read = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => read.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
            if read.len() > MAX_ANSWER_BYTES {
                break false;
            }
        };
        if let Some(heard) = attempt.heard {
            heard.note(Some(status), &read);
        }
        Ok(Answer { status, after, body: whole.then_some(read) })
    }
}

/// An error and its causes on one line, without the URL (which may be a secret).
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = inner.source();
    }
    escape::for_log(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, network: &NetworkSettings, expected: Option<&str>) {
        let found = url_problems("url", url, network).err().map(|problem| problem.message);
        match (expected, &found) {
            (None, None) => {}
            (Some(part), Some(message)) if message.contains(part) => {}
            _ => panic!("{url}: expected {expected:?}, found {found:?}"),
        }
    }

    #[test]
    fn urls_are_checked_before_anything_is_sent() {
        let public = NetworkSettings::default();
        check("https://hooks.example.com/x", &public, None);
        check("http://hooks.example.com/x", &public, Some("allow_http"));
        check("hooks.example.com/x", &public, Some("not a url"));
        check("ftp://hooks.example.com/x", &public, Some("scheme"));
        check("https://user:secret@hooks.example.com/x", &public, Some("password"));
        check("https://169.254.169.254/latest", &public, Some("not allowed"));
        check("https://[::ffff:127.0.0.1]/", &public, Some("not allowed"));
        // Other spellings of 127.0.0.1.
        for spelling in ["https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/"] {
            check(spelling, &public, Some("not allowed"));
        }
        let private = NetworkSettings { allow_private: true, ..NetworkSettings::default() };
        check("http://127.0.0.1:8080/", &private, None);
        check("http://localhost:8080/", &private, None);
        check("http://10.0.0.1/", &private, Some("allow_http"));
        check("http://169.254.169.254/", &NetworkSettings { allow_http: true, ..private }, Some("not allowed"));
    }
}
