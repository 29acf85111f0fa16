//! `watershed silence`: what an engine that runs is not to call anybody about.

mod client;
#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;
use watershed_connectors::escape::for_log;
use watershed_schemas::Timestamp;

use super::{Error, Exit, Output};
use crate::router::{NewSilence, Silence};
use client::Client;

/// Ask not to be called about something, for a while.
#[derive(Debug, Subcommand)]
pub(super) enum SilenceVerb {
    /// Ask for a silence.
    Add(AddArgs),
    /// List silences, and those that ended in the last five days.
    List(ListArgs),
    /// End a silence now.
    Expire(ExpireArgs),
}

/// The engine that is asked.
#[derive(Debug, Args)]
struct EngineArgs {
    /// The address of its console.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
    url: url::Url,
    /// The environment variable that holds a token of the role responder.
    #[arg(long, value_name = "NAME", default_value = "WATERSHED_TOKEN")]
    token_env: String,
}

/// Ask for a silence.
#[derive(Debug, Args)]
#[command(after_help = "\
Nobody is called about what all matchers hold for. What still lasts when the silence ends is told then.
Labels: verdict, plane, severity, origin, tenant, principal, agent, owner, rule, tag, framework.

Examples:
  watershed silence add 'agent=\"payments\"' --for 2h --reason 'migration, see change 4711'
  watershed silence add tenant=acme 'rule=~\"token-.*\"' --until 2026-03-01T08:00:00Z --reason 'load test'")]
pub(in crate::cli) struct AddArgs {
    /// Matchers such as `agent="payments"`; all must hold.
    #[arg(value_name = "MATCHER", required = true)]
    matchers: Vec<String>,
    /// For how long from now on, such as `2h`.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration, required_unless_present = "until")]
    lasts: Option<Duration>,
    /// Until when (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "lasts")]
    until: Option<Timestamp>,
    /// From when on (RFC 3339); from now on where it is not given.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Why: the next reader must know.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    engine: EngineArgs,
}

/// List silences.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// End a silence now.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExpireArgs {
    /// Its id.
    id: String,
    #[command(flatten)]
    engine: EngineArgs,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}

pub(super) fn silence(verb: &SilenceVerb, output: &mut Output) -> Result<Exit, Error> {
    match verb {
        SilenceVerb::Add(args) => {
            let starts = args.from.unwrap_or_else(now);
            let ends = args.until.unwrap_or_else(|| starts.plus(args.lasts.unwrap_or_default()));
            let asked = NewSilence {
                matchers: args.matchers.clone(),
                author: String::new(),
                reason: args.reason.clone(),
                starts: args.from,
                ends,
            };
            // What can't be meant is said before anybody is asked; who asks is known by the token.
            Silence::of(NewSilence { author: "the token".to_owned(), ..asked.clone() }, now()).map_err(Error::Usage)?;
            let mut body = serde_json::to_value(asked).map_err(Error::failure)?;
            if let Some(body) = body.as_object_mut() {
                body.remove("author");
            }
            let silence = read(Client::of(&args.engine)?.post(&body)?)?;
            output.line(line(&silence, now()))?;
        }
        SilenceVerb::List(args) => {
            let answer = Client::of(&args.engine)?.list()?;
            if args.json {
                output.line(answer.to_string())?;
                return Ok(Exit::Fine);
            }
            let listed = answer.get("silences").cloned().unwrap_or(answer);
            let silences: Vec<Silence> = serde_json::from_value(listed).map_err(|error| {
                Error::Failure(format!("the answer is no list of silences: {error}; is it the console of an engine?"))
            })?;
            if silences.is_empty() {
                output.line("no silence")?;
            }
            for silence in silences {
                output.line(line(&silence, now()))?;
            }
        }
        SilenceVerb::Expire(args) => {
            Client::of(&args.engine)?.delete(&args.id)?;
            output.line(format!("{}: ended", for_log(&args.id)))?;
        }
    }
    Ok(Exit::Fine)
}

fn read(answer: Value) -> Result<Silence, Error> {
    serde_json::from_value(answer).map_err(|error| Error::Failure(format!("the answer is no silence: {error}")))
}

/// A silence on one line.
fn line(silence: &Silence, now: Timestamp) -> String {
    let matchers: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
    let state = format!("{:?}", silence.state(now)).to_lowercase();
    // One of the configuration that names no beginning holds from ever.
    let starts = if silence.starts == Timestamp::MIN { String::new() } else { format!("{} ", silence.starts) };
    format!(
        "{}  {state}  {starts}to {}  {}  by {}: {}",
        silence.id,
        silence.ends,
        for_log(&matchers.join(" ")),
        for_log(&silence.author),
        for_log(&silence.reason)
    )
}
