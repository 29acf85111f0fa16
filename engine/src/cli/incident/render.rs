//! `watershed incident render`: a message before anybody gets it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use watershed_connectors::escape::{for_log, one_line};
use watershed_connectors::sinks::{HttpClient, Sink};
use watershed_schemas::Notification;

use super::source::SourceArgs;
use crate::cli::{Error, Output, output, settings};
use crate::config::{Config, Receiver};
use crate::messages::{Template, examples};
use crate::setup;

/// Show the body of the message that a receiver gets about one incident.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed incident render inc_4f2a --receiver ai-slack --config watershed.toml --recording recording/
  watershed incident render inc_4f2a --receiver ai-slack --url http://127.0.0.1:9464
  watershed incident render --example verdict-grew --receiver iam-pager --config watershed.toml
  watershed incident render --example all --template ours.jinja")]
pub(in crate::cli) struct RenderArgs {
    /// Its id; the beginning is enough where no other begins so.
    #[arg(required_unless_present = "example", conflicts_with = "example")]
    id: Option<String>,
    /// The receiver, by its name in --config, or in the configuration of the engine at --url.
    #[arg(long, value_name = "NAME", required_unless_present = "template")]
    receiver: Option<String>,
    /// Show every message about the incident and not only the last.
    #[arg(long)]
    all: bool,
    /// A message of this sort instead of one about an incident; `all` shows one of every sort.
    #[arg(long, value_name = "SORT")]
    example: Option<String>,
    /// Only title and text, as this template writes them: `plain`, `markdown` or a file.
    #[arg(long, value_name = "FILE", conflicts_with = "receiver")]
    template: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
}

pub(super) fn render(args: &RenderArgs, output: &mut Output) -> Result<(), Error> {
    if let (Some(id), Some(receiver), false) = (&args.id, &args.receiver, args.all)
        && let Some(body) = args.source.rendered(id, receiver)?
    {
        return print(&body, output);
    }
    let config = args.source.config().map(settings::load).transpose()?.map(|loaded| loaded.config);
    let messages = match (&args.example, &args.id) {
        (Some(sort), _) if args.template.is_some() => of_sort(sort)?,
        (Some(sort), _) => told_to(receiver(args, config.as_ref())?, sort, of_sort(sort)?)?,
        (None, Some(id)) => about(id, args, config.as_ref())?,
        (None, None) => return Err(Error::Usage("name an incident, or a sort of message with --example".to_owned())),
    };
    if let Some(path) = &args.template {
        let template = Template::load(path).map_err(Error::usage)?;
        return messages.iter().try_for_each(|message| {
            let (title, text) = template.render(message).map_err(Error::failure)?;
            output.line(title)?;
            text.lines().try_for_each(|line| output.line(line))?;
            output.line(String::new())
        });
    }
    let sink = sink(receiver(args, config.as_ref())?)?;
    messages.iter().try_for_each(|message| print(&sink.preview(message), output))
}

fn print(body: &serde_json::Value, output: &mut Output) -> Result<(), Error> {
    let body = serde_json::to_string_pretty(body).map_err(Error::failure)?;
    body.lines().try_for_each(|line| output.line(one_line(line, usize::MAX)))
}

fn receiver<'a>(args: &RenderArgs, config: Option<&'a Config>) -> Result<&'a Receiver, Error> {
    let config =
        config.ok_or_else(|| Error::Usage("name the configuration of the receiver with --config".to_owned()))?;
    let name = args.receiver.as_deref().unwrap_or_default();
    config.receivers.iter().find(|receiver| receiver.name == name).ok_or_else(|| {
        let known: Vec<&str> = config.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        Error::Usage(format!("`{}` is no receiver; there is {}", for_log(name), known.join(", ")))
    })
}

fn sink(receiver: &Receiver) -> Result<Arc<dyn Sink>, Error> {
    setup::sink(receiver, &HttpClient::default()).map_err(Error::failure)
}

fn of_sort(sort: &str) -> Result<Vec<Notification>, Error> {
    let all = examples();
    let found: Vec<Notification> = all
        .iter()
        .filter(|example| sort == "all" || example.name == sort)
        .map(|example| example.notification.clone())
        .collect();
    if found.is_empty() {
        let names: Vec<&str> = all.iter().map(|example| example.name).collect();
        return Err(Error::Usage(format!(
            "`{}` is no sort of message; there is all, {}",
            for_log(sort),
            names.join(", ")
        )));
    }
    Ok(found)
}

/// Those of them that are of planes that the receiver may show, as they are written to it.
fn told_to(receiver: &Receiver, sort: &str, examples: Vec<Notification>) -> Result<Vec<Notification>, Error> {
    let sees = |message: &Notification| {
        message.planes.is_empty() == receiver.planes.is_empty()
            && message.planes.iter().all(|plane| receiver.planes.contains(plane))
    };
    let told = examples.into_iter().filter(sees).map(|message| {
        let (receiver, team) = (receiver.name.clone(), receiver.team.clone());
        Notification { receiver, team, ..message }
    });
    let told: Vec<Notification> = told.collect();
    if told.is_empty() {
        let planes: Vec<&str> = receiver.planes.iter().map(|plane| plane.name()).collect();
        let planes = if planes.is_empty() { "no plane".to_owned() } else { planes.join(" and ") };
        let message =
            format!("`{}` shows what receiver {} is never told: it may show {planes}", for_log(sort), receiver.name);
        return Err(Error::Usage(message));
    }
    Ok(told)
}

/// What the receiver was told of the incident when its telemetry was replayed.
fn about(id: &str, args: &RenderArgs, config: Option<&Config>) -> Result<Vec<Notification>, Error> {
    let told = args.source.messages()?;
    let receiver = match (&args.template, config) {
        (Some(_), None) => {
            return Err(Error::Usage("name the configuration with --config: its routes say who is told".to_owned()));
        }
        (Some(_), Some(_)) => None,
        (None, config) => Some(receiver(args, config)?.name.clone()),
    };
    let mut of_it: Vec<Notification> = told.into_iter().filter(|message| message.incident_id.starts_with(id)).collect();
    let mut ids: Vec<&str> = of_it.iter().map(|message| message.incident_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [] => {
            return Err(Error::Failure(format!(
                "nobody is told of an incident `{}`; `incident list` names them",
                for_log(id)
            )));
        }
        [_] => {}
        many => {
            return Err(Error::Usage(format!(
                "{} incidents begin with `{}`; write more of the id",
                many.len(),
                for_log(id)
            )));
        }
    }
    if let Some(receiver) = receiver {
        of_it.retain(|message| message.receiver == receiver);
        if of_it.is_empty() {
            output::complain(&format!("receiver {receiver} is told nothing of it"));
        }
    }
    let from = if args.all { 0 } else { of_it.len().saturating_sub(1) };
    Ok(of_it.split_off(from))
}

impl SourceArgs {
    fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::tests::say;

    const RUNTIME: &str = r#"{"event_id":"objection","event_time":"2026-03-01T10:00:00Z","kind":"guardrail","verdict":"deny","enforced":false,"category":"tool_misuse","session_id":"chat-1","agent_id":"clerk","principal":"mallory@acme.example","policy":"payments","tool":"wire_money","ip":"203.0.113.7","target":"ghp_0123456789abcdefghijABCDEFGHIJ012345"}"#;
    const IDENTITY: &str = r#"{"event_id":"change","event_time":"2026-03-01T09:00:00Z","kind":"policy_changed","session_id":"admin-1","principal":"mallory@acme.example","resource":"payments","ip":"198.51.100.4"}"#;

    #[test]
    fn each_receiver_is_shown_its_own_message_about_an_incident() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, format!("{text}\n")).expect("written");
            format!("watershed:{}", path.display())
        };
        let (runtime, identity) = (file("runtime.jsonl", RUNTIME), file("identity.jsonl", IDENTITY));
        let rendered = |receiver: &str| {
            let source = ["--runtime", &runtime, "--identity", &identity, "--config", "tests/config/minimal.toml"];
            let (result, said) = say(&[&["incident", "render", "inc_", "--receiver", receiver][..], &source].concat());
            result.unwrap_or_else(|error| panic!("{error}"));
            said
        };
        let (ai, iam) = (rendered("ai"), rendered("iam"));
        assert!(ai.contains("withheld:address#") && !ai.contains("203.0.113.7"), "{ai}");
        assert!(ai.contains("[masked:github-token]") && !ai.contains("ghp_"), "{ai}");
        assert!(iam.contains("198.51.100.4#") && !iam.contains("ghp_") && !iam.contains("203.0.113.7"), "{iam}");
    }

    #[test]
    fn one_of_every_sort_is_shown_without_an_incident() {
        let (result, said) = say(&["incident", "render", "--example", "all", "--template", "plain"]);
        result.unwrap_or_else(|error| panic!("{error}"));
        assert!(said.lines().count() > 200 && said.contains("severity rose"), "{said}");
        let config = ["--config", "tests/config/complete.toml"];
        let sort = ["incident", "render", "--example", "verdict-grew", "--receiver"];
        let (result, said) = say(&[&sort[..], &["iam-pager"], &config].concat());
        result.unwrap_or_else(|error| panic!("{error}"));
        assert!(said.contains("\"event_action\": \"trigger\""), "{said}");
        let (result, _) = say(&[&sort[..], &["nobody"], &config].concat());
        assert!(result.expect_err("nobody").to_string().contains("there is ai-slack, iam-pager, soc, operator"));
        let (result, _) = say(&["incident", "render", "--example", "birthday", "--template", "plain"]);
        assert!(result.expect_err("no such sort").to_string().contains("verdict-grew"));
    }
}
