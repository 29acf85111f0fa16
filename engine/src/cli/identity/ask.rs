//! Asking an engine that runs.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::cli::Error;
use crate::console::api::Question;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Holds the token that a console with tokens wants.
pub(in crate::cli) const TOKEN: &str = "WATERSHED_TOKEN";
/// Most bytes of an answer.
const LONGEST: usize = 256 << 20;

/// What the engine at this address knows.
pub(in crate::cli) fn ask(base: &Url, question: &Question) -> Result<Value, Error> {
    fetch(&address(base, question)?, TOKEN)
}

/// What is said at an address of an engine's console. A token in this environment variable is sent along.
pub(in crate::cli) fn fetch(url: &Url, token: &str) -> Result<Value, Error> {
    run(url, None, token)
}

/// What is answered to JSON that is posted there.
pub(in crate::cli) fn post(url: &Url, body: &Value, token: &str) -> Result<Value, Error> {
    run(url, Some(body), token)
}

fn run(url: &Url, body: Option<&Value>, token: &str) -> Result<Value, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::failure)?;
    runtime.block_on(send(url, body, token))
}

async fn send(url: &Url, body: Option<&Value>, token: &str) -> Result<Value, Error> {
    let failed = |error: reqwest::Error| {
        let reason = error.without_url();
        Error::Failure(format!("{} can't be asked: {reason}; is the engine running, and its console on?", origin(url)))
    };
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(failed)?;
    let mut request = match body {
        None => client.get(url.clone()),
        Some(body) => client.post(url.clone()).json(body),
    };
    if let Some(token) = std::env::var(token).ok().filter(|token| !token.is_empty()) {
        request = request.bearer_auth(token);
    }
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            return Err(Error::Failure(format!("{} answers with more than {LONGEST} bytes", origin(url))));
        }
    }
    let value: Option<Value> = serde_json::from_slice(&body).ok();
    match value {
        Some(value) if status.is_success() => Ok(value),
        Some(problem) if problem["detail"].is_string() => {
            Err(Error::Failure(format!("{}: {}", origin(url), problem["detail"].as_str().unwrap_or_default())))
        }
        _ => Err(Error::Failure(format!(
            "{} answers with {status} and no JSON: is it the console of an engine?",
            origin(url)
        ))),
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Where the question is answered.
fn address(base: &Url, question: &Question) -> Result<Url, Error> {
    if !matches!(base.scheme(), "http" | "https") {
        return Err(Error::Usage(format!("--url: `{base}` is no address of a console; write http://127.0.0.1:9464")));
    }
    let mut url = base.clone();
    url.set_query(None);
    let wrong = |()| Error::Usage(format!("--url: `{base}` has no path to go on from"));
    let mut query = Vec::new();
    match question {
        Question::Identity { tenant, id, at } => {
            url.path_segments_mut().map_err(wrong)?.pop_if_empty().extend(["api", "v1", "identity", id]);
            query.push(("tenant", tenant.clone()));
            query.extend(at.map(|at| ("at", at.to_string())));
        }
        Question::BlastRadius { tenant, id, at, window } => {
            url.path_segments_mut().map_err(wrong)?.pop_if_empty().extend(["api", "v1", "blast-radius", id]);
            query.push(("tenant", tenant.clone()));
            query.extend(at.map(|at| ("at", at.to_string())));
            query.extend(window.map(|window| ("window", window.as_secs().to_string())));
        }
        Question::Inventory(options) => {
            url.path_segments_mut().map_err(wrong)?.pop_if_empty().extend(["api", "v1", "inventory"]);
            query.extend(options.query());
        }
        Question::Lifecycle(options) => {
            url.path_segments_mut().map_err(wrong)?.pop_if_empty().extend(["api", "v1", "lifecycle"]);
            query.extend(options.query());
        }
        Question::Conflicts { tenant, limit } => {
            url.path_segments_mut().map_err(wrong)?.pop_if_empty().extend(["api", "v1", "conflicts"]);
            query.extend(tenant.clone().map(|tenant| ("tenant", tenant)));
            query.push(("limit", limit.to_string()));
        }
    }
    url.query_pairs_mut().extend_pairs(query);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_way_into_an_address() {
        let base = Url::parse("http://127.0.0.1:9464").expect("a url");
        let id = "arn:aws:iam::1:user/a b?#%2F..";
        let question = Question::Identity { tenant: "a&b".into(), id: id.into(), at: None };
        let url = address(&base, &question).expect("it can be asked");
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:9464/api/v1/identity/arn:aws:iam::1:user%2Fa%20b%3F%23%252F..?tenant=a%26b"
        );
        let file = Url::parse("file:///etc/passwd").expect("a url");
        assert!(address(&file, &question).is_err());
    }
}
