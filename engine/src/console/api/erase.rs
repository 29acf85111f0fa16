//! Erasing a principal.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::change::{Made, audited};
use super::parameter::LONGEST;
use super::problem::Problem;
use super::route::{self, Asked};

/// Whose data is to be erased.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Whom {
    /// The organisation.
    #[schemars(length(min = 1, max = 1024))]
    tenant: String,
    /// The principal, as case files call it.
    #[schemars(length(min = 1, max = 1024))]
    principal: String,
}

/// What was erased.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct Erased {
    /// Case files of which something was masked.
    cases: usize,
}

pub(super) async fn principal(asked: Asked) -> Result<Response, Problem> {
    let Whom { tenant, principal } = asked.body()?;
    for (name, value) in [("tenant", &tenant), ("principal", &principal)] {
        if value.is_empty() || value.len() > 4 * LONGEST || value.chars().count() > LONGEST {
            return Err(Problem::bad(format!("`{name}` has from 1 to {LONGEST} characters")));
        }
    }
    // Who is to be forgotten is not to be found in the file of changes.
    let object = hashed(&tenant, &principal);
    let body = json!({"tenant": tenant, "principal": object});
    let change = {
        let console = asked.console.clone();
        async move {
            let live = Arc::clone(&console.asker().live);
            let erased = console.asker().change(move |engine| {
                let erased = engine.erase(&tenant, &principal)?;
                live.erase(&tenant, &principal);
                Ok::<usize, String>(erased)
            });
            let cases = erased.await?.map_err(|reason| Problem::new(StatusCode::CONFLICT, reason))?;
            Ok(Made { before: Value::Null, after: json!({"cases": cases}), answer: Erased { cases } })
        }
    };
    let erased = audited(&asked, &object, &body, change).await?;
    Ok(route::json(&erased))
}

fn hashed(tenant: &str, principal: &str) -> String {
    let mut hash = Sha256::new();
    for part in [tenant, principal] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
