//! The console of an engine, as `silence` asks it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use url::Url;

use super::EngineArgs;
use crate::cli::Error;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Most bytes of an answer.
const LONGEST: usize = 16 << 20;

/// Asks one engine.
pub(super) struct Client {
    pub(super) base: Url,
    pub(super) token: Option<String>,
}

impl Client {
    /// The engine at this address, with the token that the environment holds.
    pub(super) fn of(args: &EngineArgs) -> Result<Client, Error> {
        if !matches!(args.url.scheme(), "http" | "https") {
            let message = format!("--url: `{}` is no address of a console; write http://127.0.0.1:9464", args.url);
            return Err(Error::Usage(message));
        }
        let token = std::env::var(&args.token_env).ok().filter(|token| !token.is_empty());
        Ok(Client { base: args.url.clone(), token })
    }

    pub(super) fn post(&self, body: &Value) -> Result<Value, Error> {
        self.ask(Method::POST, &[], |request| request.json(body))
    }

    pub(super) fn list(&self) -> Result<Value, Error> {
        self.ask(Method::GET, &[], |request| request)
    }

    pub(super) fn delete(&self, id: &str) -> Result<Value, Error> {
        self.ask(Method::DELETE, &[id], |request| request)
    }

    fn address(&self, further: &[&str]) -> Result<Url, Error> {
        let mut url = self.base.clone();
        url.set_query(None);
        let wrong = |()| Error::Usage(format!("--url: `{}` has no path to go on from", self.base));
        url.path_segments_mut().map_err(wrong)?.pop_if_empty().extend(["api", "v1", "silences"]).extend(further);
        Ok(url)
    }

    fn ask(
        &self,
        method: Method,
        further: &[&str],
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, Error> {
        let url = self.address(further)?;
        let origin = url.origin().ascii_serialization();
        let failed = |error: reqwest::Error| {
            let reason = error.without_url();
            Error::Failure(format!("{origin} can't be asked: {reason}; is the engine running, and its console on?"))
        };
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(failed)?;
        let request = with(client.request(method, url));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::failure)?;
        let (status, body) = runtime.block_on(async {
            let mut response = request.send().await.map_err(failed)?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(failed)? {
                body.extend_from_slice(&chunk);
                if body.len() > LONGEST {
                    return Err(Error::Failure(format!("{origin} answers with more than {LONGEST} bytes")));
                }
            }
            Ok((response.status(), body))
        })?;
        let value: Option<Value> = serde_json::from_slice(&body).ok();
        if status.is_success() {
            return Ok(value.unwrap_or_default());
        }
        let detail = value.as_ref().and_then(|problem| problem["detail"].as_str());
        let detail = watershed_connectors::escape::for_log(detail.unwrap_or("no reason is given"));
        let hint = if status.as_u16() == 401 { "; name the variable that holds a token with --token-env" } else { "" };
        Err(Error::Failure(format!("{origin} answers with {status}: {detail}{hint}")))
    }
}
