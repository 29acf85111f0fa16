//! Slack's side of a bot: messages by their time, threads, edits, and limits that refuse a whole message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use watershed_connectors::sinks::{Memory, SendError};

use super::receiver::{Receiver, Reply, Request};
use super::*;

const TOKEN: &str = "xoxb-17653672481-19874698323";
const CHANNEL: &str = "C024BE91L";

#[derive(Clone, Debug)]
struct Message {
    body: Value,
    thread: Option<String>,
    edits: usize,
}

/// A workspace with one channel.
#[derive(Default)]
struct Workspace {
    messages: BTreeMap<String, Message>,
    next: usize,
    /// What the next requests are answered: the name of an error, `429`, `torn`, or `well` for what they deserve.
    script: Vec<&'static str>,
}

impl Workspace {
    fn answer(&mut self, request: &Request) -> Reply {
        let no = |error: &str| Reply::of(200, json!({ "ok": false, "error": error }).to_string());
        let scripted = if self.script.is_empty() { "well" } else { self.script.remove(0) };
        if scripted != "well" {
            return match scripted {
                "429" => {
                    Reply::of(429, json!({ "ok": false, "error": "ratelimited" }).to_string()).with("retry-after", "7")
                }
                "torn" => Reply::Reset,
                error => no(error),
            };
        }
        if request.headers["authorization"] != format!("Bearer {TOKEN}") {
            return no("invalid_auth");
        }
        if request.headers["content-type"] != "application/json; charset=utf-8" {
            return no("invalid_post_type");
        }
        let body = request.json();
        if body["channel"] != CHANNEL {
            return no("channel_not_found");
        }
        if !within_limits(&body) {
            return no("invalid_blocks");
        }
        match request.path.as_str() {
            "/api/chat.postMessage" => {
                let thread = body["thread_ts"].as_str().map(str::to_owned);
                if thread.as_ref().is_some_and(|ts| !self.messages.contains_key(ts)) {
                    return no("thread_not_found");
                }
                self.next += 1;
                let ts = format!("1780000000.{:06}", self.next);
                self.messages.insert(ts.clone(), Message { body, thread, edits: 0 });
                Reply::of(200, json!({ "ok": true, "channel": CHANNEL, "ts": ts }).to_string())
            }
            "/api/chat.update" => {
                let Some(message) = body["ts"].as_str().and_then(|ts| self.messages.get_mut(ts)) else {
                    return no("message_not_found");
                };
                message.edits += 1;
                let ts = body["ts"].clone();
                message.body = body;
                Reply::of(200, json!({ "ok": true, "channel": CHANNEL, "ts": ts }).to_string())
            }
            _ => no("unknown_method"),
        }
    }
}

fn within_limits(body: &Value) -> bool {
    let length = |value: &Value| value["text"].as_str().map_or(0, |text| text.chars().count());
    let Some(blocks) = body["blocks"].as_array() else { return false };
    blocks.len() <= 50
        && blocks.iter().all(|block| match block["type"].as_str() {
            Some("header") => (1..=150).contains(&length(&block["text"])),
            Some("section") => {
                let fields = block["fields"].as_array().cloned().unwrap_or_default();
                fields.len() <= 10
                    && fields.iter().all(|field| (1..=2_000).contains(&length(field)))
                    && (!fields.is_empty() || (1..=3_000).contains(&length(&block["text"])))
            }
            Some("context") => block["elements"].as_array().is_some_and(|elements| (1..=10).contains(&elements.len())),
            _ => false,
        })
}

struct World {
    workspace: Arc<Mutex<Workspace>>,
    sink: Arc<dyn Sink>,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        World::with_token(TOKEN).await
    }

    async fn with_token(token: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let workspace = Arc::<Mutex<Workspace>>::default();
        let answering = Arc::clone(&workspace);
        let receiver = Receiver::serving(move |request| answering.lock().expect("not poisoned").answer(request)).await;
        let kind = json!({
            "type": "slack",
            "channel": CHANNEL,
            "api": format!("{}/api", receiver.base),
            "network": { "allow_private": true },
        });
        let sink = build(&settings(&directory, kind, &[("token", token)]));
        assert!(sink.remembers());
        World { workspace, sink, _directory: directory }
    }

    async fn try_send(&self, message: &Notification, memory: Option<&str>) -> Result<Memory, SendError> {
        self.sink.send(message, &Attempt { memory, ..Attempt::at(now()) }).await.map(|receipt| receipt.memory)
    }

    async fn send(&self, message: &Notification, memory: Option<&str>) -> Memory {
        self.try_send(message, memory).await.expect("accepted")
    }

    fn script(&self, errors: &[&'static str]) {
        self.workspace.lock().expect("not poisoned").script = errors.to_vec();
    }

    /// Messages of the channel itself, and replies in threads.
    fn messages(&self) -> (Vec<(String, Message)>, Vec<Message>) {
        let messages = self.workspace.lock().expect("not poisoned").messages.clone();
        let replies = messages.values().filter(|message| message.thread.is_some()).cloned().collect();
        (messages.into_iter().filter(|(_, message)| message.thread.is_none()).collect(), replies)
    }
}

fn risen() -> Notification {
    Notification { reason: NotifyReason::SeverityRose, revision: 2, notification_id: "ntf_2".to_owned(), ..opened() }
}

fn kept(memory: Memory) -> String {
    match memory {
        Memory::Keep(text) => text,
        other => panic!("nothing to remember: {other:?}"),
    }
}

#[tokio::test]
async fn an_incident_is_one_message_that_is_edited_with_its_news_in_the_thread() {
    let world = World::new().await;
    let memory = kept(world.send(&opened(), None).await);
    assert_eq!(world.send(&risen(), Some(&memory)).await, Memory::AsItIs);
    let end = Notification { revision: 3, ..resolved() };
    assert_eq!(world.send(&end, Some(&memory)).await, Memory::Forget);

    let (posted, replies) = world.messages();
    let [(ts, message)] = &posted[..] else { panic!("one message, not {}", posted.len()) };
    assert_eq!(message.edits, 2);
    let title = message.body["blocks"][0]["text"]["text"].as_str().expect("a header");
    assert!(title.starts_with("resolved: "), "the end is shown where the incident stands: {title}");
    assert_eq!(replies.len(), 2);
    assert!(replies.iter().all(|reply| reply.thread.as_ref() == Some(ts)));
    let broadcast: Vec<&Value> = replies.iter().map(|reply| &reply.body["reply_broadcast"]).collect();
    assert_eq!(broadcast, [true, false], "what calls for somebody is seen in the channel, the end is not");
}

#[tokio::test]
async fn a_message_that_somebody_deleted_is_posted_anew() {
    let world = World::new().await;
    let memory = kept(world.send(&opened(), None).await);
    world.workspace.lock().expect("not poisoned").messages.clear();
    let renewed = kept(world.send(&risen(), Some(&memory)).await);
    assert_ne!(renewed, memory);
    assert_eq!(world.send(&risen(), Some(&renewed)).await, Memory::AsItIs);
    let (posted, replies) = world.messages();
    assert_eq!((posted.len(), posted[0].1.edits, replies.len()), (1, 1, 1));
}

#[tokio::test]
async fn memory_of_another_channel_or_of_nothing_readable_is_no_memory() {
    for memory in [r#"{"channel":"C00000000","ts":"1780000000.000001"}"#, "not json", "{}"] {
        let world = World::new().await;
        kept(world.send(&opened(), Some(memory)).await);
        assert_eq!(world.messages().0.len(), 1);
    }
}

#[tokio::test]
async fn an_attempt_that_broke_before_its_reply_adds_no_second_message() {
    let world = World::new().await;
    let memory = kept(world.send(&opened(), None).await);
    for script in [&["429"][..], &["well", "torn"], &["well", "internal_error"]] {
        world.script(script);
        let error = world.try_send(&risen(), Some(&memory)).await.expect_err("not yet");
        assert!(matches!(error, SendError::Retry { .. }), "{error}");
    }
    assert_eq!(world.send(&risen(), Some(&memory)).await, Memory::AsItIs);
    let (posted, replies) = world.messages();
    assert_eq!((posted.len(), replies.len()), (1, 1));
}

#[tokio::test]
async fn slack_names_what_is_wrong_and_that_decides() {
    for (error, expected) in [
        ("channel_not_found", "gone"),
        ("is_archived", "gone"),
        ("token_revoked", "gone"),
        ("invalid_blocks", "refused"),
        ("msg_too_long", "refused"),
        ("internal_error", "retry"),
        ("429", "retry after 7s"),
    ] {
        let world = World::new().await;
        world.script(&[error]);
        let found = match world.try_send(&opened(), None).await.expect_err("an error") {
            SendError::Retry { after: Some(after), .. } => format!("retry after {}s", after.as_secs()),
            SendError::Retry { .. } => "retry".to_owned(),
            SendError::Refused { .. } => "refused".to_owned(),
            SendError::Gone { .. } => "gone".to_owned(),
        };
        assert_eq!(found, expected, "{error}");
    }
    let world = World::with_token("xoxb-another").await;
    let error = world.try_send(&opened(), None).await.expect_err("not ours");
    assert!(matches!(&error, SendError::Gone { reason } if reason.contains("invalid_auth")), "{error}");
    assert!(!error.to_string().contains("xoxb"));
}
