//! `watershed blast-radius`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use watershed_connectors::escape::for_log;
use watershed_schemas::{BlastRadius, Reached, Timestamp};

use super::identity::SourceArgs;
use super::{Error, Exit, Output};
use crate::blast::Collector;
use crate::console::api::Question;

/// Show how far an identity reaches: what it could reach at a moment, and what it did.
///
/// A recording and files are read twice: once for what is known of the identity, once for what it did. An engine that runs
/// counts only what its rules still remember, and says so.
#[derive(Debug, Args)]
#[command(name = "blast-radius")]
pub struct BlastRadiusArgs {
    /// Any id of the identity.
    principal: String,
    /// The organisation.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// As of this time; the newest event where it is left out.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// How long before that it is looked at what it did.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    window: Duration,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    source: SourceArgs,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a person.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

pub(super) fn blast_radius(args: &BlastRadiusArgs, output: &mut Output) -> Result<Exit, Error> {
    let BlastRadiusArgs { principal, tenant, at, window, format, source } = args;
    let answer = if source.is_url() {
        let question =
            Question::BlastRadius { tenant: tenant.clone(), id: principal.clone(), at: *at, window: Some(*window) };
        source.answer(&question)?
    } else {
        let first = source.read(|_| {})?;
        let core = first.core();
        let subject = core.subject(tenant, principal, *at, Some(*window));
        let collector = Collector::new(core.deeds_of(&subject), core.principals().names().read().clone());
        let second = source.read(|core| core.show_history_to(Box::new(collector.clone())))?;
        drop(second);
        serde_json::to_value(core.blast_radius_with(&subject, &collector.deeds())).map_err(Error::failure)?
    };
    match format {
        Format::Json => output.line(answer.to_string())?,
        Format::Text => lines(&answer)?.into_iter().try_for_each(|line| output.line(line))?,
    }
    Ok(Exit::Fine)
}

/// An answer, for a person. Made from the JSON, so that it is the same whoever answered.
fn lines(answer: &Value) -> Result<Vec<String>, Error> {
    let radius: BlastRadius = serde_json::from_value(answer.clone())
        .map_err(|error| Error::Failure(format!("the answer is no blast radius: {error}")))?;
    let mut lines = vec![format!("{}  as of {}", for_log(&radius.principal), radius.at), "could reach".to_owned()];
    let could = &radius.could;
    let lists = [
        ("credentials", &could.credentials),
        ("sessions", &could.sessions),
        ("scopes", &could.scopes),
        ("roles", &could.roles),
        ("tenants", &could.tenants),
        ("delegates", &could.delegates),
        ("shared with", &could.shared_with),
    ];
    for (name, list) in lists {
        let entries = list.iter().map(|entry| for_log(entry).to_string()).collect::<Vec<_>>().join(", ");
        lines.push(format!("  {name:<12} {}", if entries.is_empty() { "none known" } else { &entries }));
    }
    lines.push("did reach".to_owned());
    lines.extend(radius.did.iter().map(reached));
    if radius.did.is_empty() {
        lines.push("  nothing that was seen".to_owned());
    }
    if could.omitted > 0 {
        lines.push(format!("{} entries are left out", could.omitted));
    }
    if !radius.unknown.is_empty() {
        lines.push("not known".to_owned());
        lines.extend(radius.unknown.iter().map(|what| format!("  {}", for_log(what))));
    }
    Ok(lines)
}

fn reached(reached: &Reached) -> String {
    let Reached { what, name, times, first, last } = reached;
    format!("  {:<12} {} ×{times}, {first} to {last}", for_log(what), for_log(name))
}
