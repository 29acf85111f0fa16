//! The sample files, as the Invariant Explorer exports them: JSON lines, gzipped, a header first.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

use super::{Call, Conversation, Label, Message};

/// Encloses the attacker's text in every attacked run.
const MARK: &str = "<INFORMATION>";

/// Where the samples are, or would be.
pub(super) fn directory() -> PathBuf {
    let samples = std::env::var_os("WATERSHED_SAMPLES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples"), PathBuf::from);
    samples.join("agentdojo")
}

/// Every run in the directory's files; none where there is no directory.
pub(super) fn read(dir: &Path) -> Result<Vec<Conversation>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".jsonl.gz"))
        .collect();
    files.sort();
    let mut conversations = Vec::new();
    for file in files {
        let lines = BufReader::new(GzDecoder::new(File::open(&file)?)).lines();
        for (number, line) in lines.enumerate().skip(1) {
            let place = || format!("{}:{}", file.display(), number + 1);
            let run: RawRun = serde_json::from_str(&line.with_context(place)?).with_context(place)?;
            conversations.push(run.into());
        }
    }
    Ok(conversations)
}

#[derive(Deserialize)]
struct RawRun {
    messages: Vec<RawMessage>,
    metadata: RawMetadata,
}

#[derive(Deserialize)]
struct RawMetadata {
    suite_name: String,
    model: String,
    attack_type: Option<String>,
    security: bool,
}

#[derive(Deserialize)]
struct RawMessage {
    role: String,
    content: Option<String>,
    tool_calls: Option<Vec<RawCall>>,
    tool_call_id: Option<String>,
    tool_call: Option<RawCalled>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct RawCall {
    id: String,
    function: RawFunction,
}

#[derive(Deserialize)]
struct RawFunction {
    name: String,
    arguments: Value,
}

#[derive(Deserialize)]
struct RawCalled {
    function: String,
}

impl From<RawRun> for Conversation {
    fn from(run: RawRun) -> Conversation {
        let messages: Vec<Message> = run.messages.into_iter().map(Message::from).collect();
        let exposed = messages.iter().any(|message| matches!(message, Message::Tool { injected: true, .. }));
        // On a run that nobody attacked `security` is always true and says nothing.
        let label = match (run.metadata.attack_type.is_some() && exposed, run.metadata.security) {
            (false, _) => Label::Benign,
            (true, false) => Label::Exposed,
            (true, true) => Label::Hijacked,
        };
        Conversation { suite: run.metadata.suite_name, model: run.metadata.model, messages, label }
    }
}

impl From<RawMessage> for Message {
    fn from(message: RawMessage) -> Message {
        let text = message.content.unwrap_or_default();
        match message.role.as_str() {
            "system" => Message::System(text),
            "user" => Message::User(text),
            "tool" => Message::Tool {
                call_id: message.tool_call_id.unwrap_or_default(),
                tool: message.tool_call.map(|call| call.function).unwrap_or_default(),
                injected: text.contains(MARK),
                text,
                error: message.error,
            },
            _ => Message::Assistant {
                text: (!text.is_empty()).then_some(text),
                calls: message.tool_calls.unwrap_or_default().into_iter().map(Call::from).collect(),
            },
        }
    }
}

impl From<RawCall> for Call {
    fn from(call: RawCall) -> Call {
        Call { id: call.id, tool: call.function.name, arguments: call.function.arguments }
    }
}
