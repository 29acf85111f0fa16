//! Recorded agent conversations and what a guardrail makes of them.
//!
//! The samples are runs of the AgentDojo benchmark (MIT) by six models, half of them under an injection attack. They
//! are read in place from `WATERSHED_SAMPLES` (default `../shared/samples` beside the clone); where they are absent a
//! small set of our own conversations, in the same shape, takes their place.
//!
//! Conversations carry no times: [`timeline`] gives them some. [`otlp`] tells them as OpenTelemetry spans, and
//! [`Detector`] judges what their tools brought in, seeing the text and never the labels.

mod detector;
pub mod otlp;
mod own;
mod samples;
pub mod timeline;

use serde_json::Value;

pub use detector::{Detector, Judgement, Measured, measure};

/// One conversation of a person with an agent.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The benchmark's suite: `banking`, `slack`, `travel` or `workspace`.
    pub suite: String,
    /// The model that drove the agent.
    pub model: String,
    /// What was said and done, in order.
    pub messages: Vec<Message>,
    /// What is known about it. No part of the telemetry is made from it.
    pub label: Label,
}

/// One message of a conversation.
#[derive(Clone, Debug)]
pub enum Message {
    /// Instructions to the agent.
    System(String),
    /// What the person wants.
    User(String),
    /// What the model says, and the tools that it calls.
    Assistant {
        /// Its words, where it had some.
        text: Option<String>,
        /// The calls.
        calls: Vec<Call>,
    },
    /// What a tool brought in.
    Tool {
        /// The call that it answers.
        call_id: String,
        /// The tool.
        tool: String,
        /// The result.
        text: String,
        /// Why it failed, where it did.
        error: Option<String>,
        /// Label: whether the attacker's text is in it.
        injected: bool,
    },
}

/// One call of a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id, unique in the conversation.
    pub id: String,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
}

/// What is known about a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Nobody attacked it, or the attacker's text never reached a tool result.
    Benign,
    /// The attacker's text was read and the agent did not follow it.
    Exposed,
    /// The attacker's text was read and the agent did what it said.
    Hijacked,
}

impl Conversation {
    /// The calls that it made, in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.messages.iter().flat_map(|message| match message {
            Message::Assistant { calls, .. } => calls.as_slice(),
            _ => &[],
        })
    }

    /// Every text in it, for a test that looks for it where it must not be.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().filter_map(|message| match message {
            Message::System(text) | Message::User(text) | Message::Tool { text, .. } => Some(text.as_str()),
            Message::Assistant { text, .. } => text.as_deref(),
        })
    }
}

/// The conversations to test with, and where they come from in words.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The conversations, in a fixed order.
    pub conversations: Vec<Conversation>,
    /// For the person who reads the result.
    pub origin: String,
}

/// Reads the samples, or gives our own where there are none.
///
/// # Errors
/// When a sample file is there and can't be read.
pub fn corpus() -> anyhow::Result<Corpus> {
    let dir = samples::directory();
    let conversations = samples::read(&dir)?;
    if conversations.is_empty() {
        let origin = format!("conversations of our own: no AgentDojo samples in {} (WATERSHED_SAMPLES)", dir.display());
        return Ok(Corpus { conversations: own::conversations(), origin });
    }
    let origin = format!("{} AgentDojo runs from {}", conversations.len(), dir.display());
    Ok(Corpus { conversations, origin })
}

/// Our own conversations, whatever samples there are.
pub fn own_corpus() -> Corpus {
    Corpus { conversations: own::conversations(), origin: "conversations of our own".to_owned() }
}
