//! What people do with incidents of an engine that runs.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use url::Url;
use watershed_connectors::escape::for_log;

use super::source::{address, whole_id};
use super::{Error, Output};
use crate::cli::identity::post;

/// Take an incident, or reopen a closed one.
#[derive(Debug, Args)]
pub(in crate::cli) struct RemarkArgs {
    /// Its id; the beginning is enough where no other begins so.
    id: String,
    /// What there is to say.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Close an incident.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed incident close inc_4f2a --as true-positive --url http://127.0.0.1:9464
  watershed incident close inc_4f2a --as false-positive --note 'a drill' --url http://127.0.0.1:9464")]
pub(in crate::cli) struct CloseArgs {
    /// Its id; the beginning is enough where no other begins so.
    id: String,
    /// What it was.
    #[arg(long = "as", value_enum)]
    disposition: Outcome,
    /// What there is to say; a false positive needs it.
    #[arg(long, value_name = "TEXT", required_if_eq("disposition", "false-positive"))]
    note: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Add something to an incident.
#[derive(Debug, Args)]
pub(in crate::cli) struct CommentArgs {
    /// Its id; the beginning is enough where no other begins so.
    id: String,
    /// What there is to say.
    #[arg(long, value_name = "TEXT")]
    note: String,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Which engine.
#[derive(Debug, Args)]
#[group(skip)]
struct EngineArgs {
    /// The engine: the address of its console, such as http://127.0.0.1:9464.
    #[arg(long, value_name = "URL")]
    url: Url,
    /// Name of the environment variable that holds a token of role responder.
    #[arg(long, value_name = "NAME", default_value = "WATERSHED_TOKEN")]
    token_env: String,
}

/// What it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Outcome {
    /// What the verdict says.
    TruePositive,
    /// It happened, and was allowed.
    Benign,
    /// It did not happen.
    FalsePositive,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed<'a> {
    /// It is taken.
    Acknowledge(&'a RemarkArgs),
    /// It is done with.
    Close(&'a CloseArgs),
    /// It is taken up again.
    Reopen(&'a RemarkArgs),
    /// Something is added.
    Comment(&'a CommentArgs),
}

pub(super) fn act(deed: Deed<'_>, output: &mut Output) -> Result<(), Error> {
    let (id, verb, body, engine) = match deed {
        Deed::Acknowledge(args) => (&args.id, "acknowledge", json!({"note": args.note}), &args.engine),
        Deed::Reopen(args) => (&args.id, "reopen", json!({"note": args.note}), &args.engine),
        Deed::Comment(args) => (&args.id, "comment", json!({"note": args.note}), &args.engine),
        Deed::Close(args) => {
            let disposition = match args.disposition {
                Outcome::TruePositive => "true_positive",
                Outcome::Benign => "benign",
                Outcome::FalsePositive => "false_positive",
            };
            (&args.id, "close", json!({"disposition": disposition, "note": args.note}), &args.engine)
        }
    };
    let whole = whole_id(&engine.url, id, &engine.token_env)?.ok_or_else(|| {
        Error::Failure(format!("there is no incident `{}`; `incident list --url` names them", for_log(id)))
    })?;
    let answer = post(&address(&engine.url, &["incidents", &whole, verb])?, &body, &engine.token_env)?;
    let incident = &answer["incident"];
    let word = |value: &Value| for_log(value.as_str().unwrap_or_default()).to_string();
    output.line(format!(
        "{} is {} (revision {}: {})",
        word(&incident["incident_id"]),
        word(&incident["status"]),
        incident["revision"],
        word(&incident["reason"])
    ))
}
