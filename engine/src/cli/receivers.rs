//! `watershed receivers`.

use std::time::Duration;

use clap::{Args, Subcommand};
use watershed_connectors::escape;
use watershed_connectors::sinks::{Attempt, Heard, HttpClient, Said, SendError, Sink};
use watershed_schemas::{IncidentRevision, IncidentStatus, Notification, NotifyReason, Severity, Timestamp, Verdict};

use super::settings::{self, ConfigFlag};
use super::{Error, Exit, Output};
use crate::config::Receiver;
use crate::deliver::{Clock, SystemClock};

/// Who can be told, and whether they can be reached.
#[derive(Debug, Subcommand)]
pub(super) enum ReceiversVerb {
    /// List the receivers of a configuration.
    List(ListArgs),
    /// Send a receiver a message that is marked as a test, and report what it answers.
    Test(TestArgs),
}

/// List the receivers of a configuration.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    config: ConfigFlag,
}

/// Send a receiver a message that is marked as a test, and report what it answers.
#[derive(Debug, Args)]
#[command(after_help = "\
The message goes the way of every other one: same settings, same secrets, same limits on where it may go. It is about no
incident; its title begins with TEST. A PagerDuty alert is resolved at once, under a key that nothing else has. Exits 1
when the receiver does not take it.

Example:
  watershed receivers test iam-pager --config watershed.toml")]
pub(super) struct TestArgs {
    /// Name of the receiver.
    name: String,
    #[command(flatten)]
    config: ConfigFlag,
}

pub(super) fn receivers(verb: &ReceiversVerb, output: &mut Output) -> Result<Exit, Error> {
    match verb {
        ReceiversVerb::List(args) => list(args, output),
        ReceiversVerb::Test(args) => test(args, output),
    }
}

fn list(args: &ListArgs, output: &mut Output) -> Result<Exit, Error> {
    let loaded = settings::load(&args.config.config)?;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["receiver", "type", "team", "planes", ""]);
    for (at, receiver) in loaded.config.receivers.iter().enumerate() {
        let planes: Vec<&str> = receiver.planes.iter().map(|plane| plane.name()).collect();
        let fallback = if loaded.config.routes.fallback == Some(at) { "fallback" } else { "" };
        let team = escape::one_line(&receiver.team, 60);
        table.add_row([&receiver.name, receiver.sink.kind(), &team, &planes.join(", "), fallback]);
    }
    output.line(table.to_string())?;
    Ok(Exit::Fine)
}

fn test(args: &TestArgs, output: &mut Output) -> Result<Exit, Error> {
    let loaded = settings::load(&args.config.config)?;
    let receivers = &loaded.config.receivers;
    let Some(receiver) = receivers.iter().find(|receiver| receiver.name == args.name) else {
        let known: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        let message = format!("`{}` is no receiver; there is {}", args.name.escape_debug(), known.join(", "));
        return Err(Error::Usage(message));
    };
    let sink = receiver
        .sink
        .build(&HttpClient::default())
        .map_err(|error| Error::Usage(format!("receiver `{}`: {error}", receiver.name)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::failure)?;
    let clock = SystemClock::new();
    for message in messages(receiver, clock.now()) {
        let heard = Heard::default();
        let before = clock.elapsed();
        let result = runtime.block_on(attempt(receiver, sink.as_ref(), &message, clock.now(), &heard));
        let took = clock.elapsed().saturating_sub(before);
        output.line(report(receiver, &message, &result, took))?;
        for said in heard.all() {
            output.line(format!("  answer: {}", excerpt(&said)))?;
        }
        if result.is_err() {
            return Ok(Exit::Findings);
        }
    }
    Ok(Exit::Fine)
}

async fn attempt(
    receiver: &Receiver,
    sink: &dyn Sink,
    message: &Notification,
    now: Timestamp,
    heard: &Heard,
) -> Result<(), SendError> {
    let attempt = Attempt { heard: Some(heard), ..Attempt::at(now) };
    let limit = receiver.delivery.attempt_timeout;
    match tokio::time::timeout(limit, sink.send(message, &attempt)).await {
        Ok(answer) => answer.map(|_| ()),
        Err(_) => Err(SendError::Retry { after: None, reason: format!("no answer within {limit:?}") }),
    }
}

/// The message, and its end where what it opens would call somebody until it is closed.
fn messages(receiver: &Receiver, now: Timestamp) -> Vec<Notification> {
    let id = format!("{}{}", Notification::TEST, now.micros());
    let verdict = Verdict::of(
        receiver.planes.contains(&watershed_schemas::Plane::Model),
        receiver.planes.contains(&watershed_schemas::Plane::Access),
    );
    let about = IncidentRevision {
        severity: Severity::Info,
        ..IncidentRevision::opened(&id, "test", verdict.unwrap_or(Verdict::Both), now)
    };
    let opened = Notification {
        notification_id: format!("{id}-1-{}", receiver.name),
        dedup_key: format!("watershed-{id}:{}", receiver.name),
        title: format!("TEST of receiver {}: nothing has happened", receiver.name),
        first_move: "Nothing to do: this message shows that the receiver can be reached".to_owned(),
        ..Notification::about(&about, &receiver.name, &receiver.team, &receiver.planes, NotifyReason::Opened)
    };
    if receiver.sink.kind() != "pagerduty" {
        return vec![opened];
    }
    let resolved = Notification {
        notification_id: format!("{id}-2-{}", receiver.name),
        revision: 2,
        reason: NotifyReason::Resolved,
        status: IncidentStatus::Resolved,
        ..opened.clone()
    };
    vec![opened, resolved]
}

fn report(receiver: &Receiver, message: &Notification, result: &Result<(), SendError>, took: Duration) -> String {
    let what = message.reason.name();
    let outcome = match result {
        Ok(()) => "accepted".to_owned(),
        Err(SendError::Retry { reason, .. }) => format!("failed for now, would be tried again: {reason}"),
        Err(SendError::Refused { reason }) => format!("refused, would go to the dead letters: {reason}"),
        Err(SendError::Gone { reason }) => format!("shut out, would go to the fallback: {reason}"),
    };
    let took = humantime::format_duration(Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
    format!("{} ({}), {what}: {outcome} after {took}", receiver.name, receiver.sink.kind())
}

/// What a receiver said, harmless for a terminal.
fn excerpt(said: &Said) -> String {
    const SHOWN: usize = 300;
    let body = escape::one_line(said.body.trim(), SHOWN);
    match said.status {
        Some(status) if body.is_empty() => format!("{status} without a body"),
        Some(status) => format!("{status} {body}"),
        None => body,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::path::Path;
    use std::thread::JoinHandle;

    use serde_json::Value;

    use super::*;
    use crate::cli::tests::say;

    /// Answers so many requests and gives their bodies.
    fn serve(answers: Vec<(u16, &'static str)>) -> (String, JoinHandle<Vec<Value>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let served = std::thread::spawn(move || {
            answers
                .into_iter()
                .map(|(status, body)| {
                    let (stream, _) = listener.accept().expect("a connection");
                    let mut reader = BufReader::new(stream);
                    let mut length = 0;
                    let mut line = String::new();
                    while reader.read_line(&mut line).expect("a header") > 2 {
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().expect("a length");
                        }
                        line.clear();
                    }
                    let mut request = vec![0; length];
                    reader.read_exact(&mut request).expect("a body");
                    let head =
                        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                    let stream = reader.get_mut();
                    stream
                        .write_all(head.as_bytes())
                        .and_then(|()| stream.write_all(body.as_bytes()))
                        .expect("written");
                    serde_json::from_slice(&request).expect("a JSON body")
                })
                .collect()
        });
        (url, served)
    }

    fn configuration(directory: &Path, receiver: &str) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        std::fs::write(directory.join("key"), "0123456789abcdef0123456789abcdef").expect("written");
        let key = directory.join("key").display().to_string();
        let text = format!(
            "[input.file]\nruntime = [{{ path = \"r.jsonl\" }}]\nidentity = [{{ path = \"i.jsonl\" }}]\n[store]\npath = \"{0}/state\"\n[routing]\nfallback = \"pager\"\n\
             [[receivers]]\nname = \"pager\"\nteam = \"soc\"\nplanes = [\"model\", \"access\"]\n{1}\n",
            directory.display(),
            receiver.replace("KEY", &key)
        );
        let path = directory.join("watershed.toml");
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    fn pager(url: &str) -> String {
        format!(
            "type = \"pagerduty\"\nrouting_key = {{ file = \"KEY\" }}\nurl = \"{url}\"\nnetwork = {{ allow_private = true }}"
        )
    }

    #[test]
    fn a_test_is_marked_as_one_and_leaves_no_alert_open() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (url, served) = serve(vec![(202, r#"{"status":"success"}"#), (202, "\u{1b}[2Jdone")]);
        let config = configuration(directory.path(), &pager(&url));
        let (result, said) = say(&["receivers", "test", "pager", "--config", &config]);
        assert_eq!(result.expect("it ran"), Exit::Fine, "{said}");
        let events = served.join().expect("served");
        assert_eq!((&events[0]["event_action"], &events[1]["event_action"]), (&"trigger".into(), &"resolve".into()));
        assert_eq!(events[0]["dedup_key"], events[1]["dedup_key"]);
        assert!(events[0]["payload"]["summary"].as_str().expect("a summary").contains("TEST of receiver pager"));
        assert!(said.contains("accepted") && said.contains("answer: 202 {\"status\":\"success\"}"), "{said}");
        assert!(said.contains("answer: 202 \\u{1b}[2Jdone"), "nothing reaches the terminal as it came: {said}");
    }

    #[test]
    fn what_a_receiver_does_not_take_is_a_finding() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (url, served) = serve(vec![(400, r#"{"status":"invalid event","message":"bad"}"#)]);
        let config = configuration(directory.path(), &pager(&url));
        let (result, said) = say(&["receivers", "test", "pager", "--config", &config]);
        assert_eq!(result.expect("it ran"), Exit::Findings);
        assert!(said.contains("refused") && said.contains("invalid event"), "{said}");
        served.join().expect("served");
    }

    #[test]
    fn a_receiver_that_is_not_there_is_named_with_those_that_are() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = configuration(directory.path(), "type = \"stdout\"");
        let (result, _) = say(&["receivers", "test", "pagre", "--config", &config]);
        let error = result.expect_err("it is not there").to_string();
        assert!(error.contains("`pagre`") && error.contains("pager"), "{error}");
        let (result, said) = say(&["receivers", "list", "--config", &config]);
        assert_eq!(result.expect("it ran"), Exit::Fine);
        assert!(said.contains("pager") && said.contains("stdout") && said.contains("fallback"), "{said}");
    }
}
