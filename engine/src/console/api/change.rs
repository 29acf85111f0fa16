//! A change: written down, made, written down again, answered.

use std::sync::Arc;

use serde_json::Value;
use watershed_connectors::escape::for_log;

use super::problem::Problem;
use super::route::Asked;
use super::{Console, now};
use crate::console::access::{Caller, Role};
use crate::console::audit::{Entry, Phase};

/// A change that was made.
#[derive(Clone, Debug)]
pub(super) struct Made<T> {
    /// What was so before.
    pub(super) before: Value,
    /// What is so now.
    pub(super) after: Value,
    /// What the request is answered with.
    pub(super) answer: T,
}

/// What the lines of one change have in common.
struct Record {
    console: Console,
    request: String,
    who: Arc<str>,
    role: Role,
    from: String,
    what: &'static str,
    object: String,
}

/// Makes a change that a request asks for: what can't be written down is not made, and what was made is written down before it
/// is answered, whether anybody still waits for the answer or not.
///
/// # Errors
/// Why it was not made; or that nobody knows.
pub(super) async fn audited<T: Send + 'static>(
    asked: &Asked,
    object: &str,
    body: &Value,
    change: impl Future<Output = Result<Made<T>, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let record = Record::of(&asked.console, &asked.caller, asked.route.name, object)?;
    let console = asked.console.clone();
    let body = body.clone();
    let task = tokio::spawn(async move {
        let record = record.write(Line::Asked(body)).await?;
        match change.await {
            Ok(Made { before, after, answer }) => {
                record.write(Line::Done { before, after }).await.map_err(|problem| {
                    let detail = format!("it was done, but {}", problem.detail);
                    Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, detail)
                })?;
                Ok(answer)
            }
            Err(problem) => {
                record.write(Line::Refused(problem.detail.clone())).await?;
                Err(problem)
            }
        }
    });
    match tokio::time::timeout(console.patience(), task).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) | Err(_) => {
            Err(Problem::busy("the pipeline has not said in time whether it is done; look before asking again"))
        }
    }
}

enum Line {
    Asked(Value),
    Done { before: Value, after: Value },
    Refused(String),
}

impl Record {
    fn of(console: &Console, caller: &Caller, what: &'static str, object: &str) -> Result<Self, Problem> {
        // A route that changes something needs a role above viewer, which only a token gives.
        let (Some(who), Some(role)) = (&caller.name, caller.role) else {
            return Err(Problem::who("a change needs a token", "Bearer realm=\"watershed\""));
        };
        Ok(Record {
            console: console.clone(),
            request: format!("{:016x}", rand::random::<u64>()),
            who: Arc::clone(who),
            role,
            from: caller.from.to_string(),
            what,
            object: object.to_owned(),
        })
    }

    /// Writes a line without holding up other requests, and gives itself back.
    async fn write(self, line: Line) -> Result<Self, Problem> {
        let written = tokio::task::spawn_blocking(move || {
            let result = self.put(&line);
            (self, result)
        });
        let refused = |reason: String| {
            tracing::error!(%reason, "the file of changes can't be written; nothing is changed until it can");
            Problem::busy(format!("the file of changes can't be written: {reason}"))
        };
        match written.await {
            Ok((record, Ok(()))) => Ok(record),
            Ok((_, Err(reason))) => Err(refused(reason)),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    fn put(&self, line: &Line) -> Result<(), String> {
        let Some(audit) = &self.console.audit else { return Err("there is none".to_owned()) };
        let (said, phase) = match line {
            Line::Asked(body) => ("asked", Phase::Asked { body }),
            Line::Done { before, after } => ("done", Phase::Done { before, after }),
            Line::Refused(reason) => ("refused", Phase::Refused { reason }),
        };
        let entry = Entry {
            at: now(),
            request: &self.request,
            phase,
            who: &self.who,
            role: self.role.name(),
            from: self.from.clone(),
            what: self.what,
            object: &self.object,
        };
        audit.write(&entry).map_err(|error| error.to_string())?;
        tracing::info!(
            request = %self.request, who = %self.who, what = self.what, object = %for_log(&self.object), from = %self.from,
            "change {said}"
        );
        Ok(())
    }
}
