//! Conversations as OpenTelemetry spans, in the ways in which instrumentations of the field write them.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message as _;
use serde_json::json;
use watershed_schemas::Timestamp;

use super::timeline::Interval;
use super::{Call, Conversation, Message};

/// Who talks, and on what authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The conversation, which is the identity provider's session, too: the agent carries its id along.
    pub session: String,
    /// The agent.
    pub agent_id: String,
    /// Its name.
    pub agent_name: String,
    /// The person or service account.
    pub principal: String,
    /// The OAuth client.
    pub client_id: String,
    /// The token.
    pub credential_id: String,
    /// The trace.
    pub trace_id: [u8; 16],
}

/// A way of writing spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// GenAI conventions, protobuf.
    GenAi,
    /// GenAI conventions, OTLP/JSON.
    GenAiJson,
    /// OpenInference, protobuf.
    OpenInference,
}

impl Dialect {
    /// The dialects in turn.
    pub fn of(number: usize) -> Dialect {
        [Dialect::GenAi, Dialect::GenAiJson, Dialect::OpenInference][number % 3]
    }
}

/// A span and when its exporter hands it over.
#[derive(Clone, Debug)]
pub struct TimedSpan {
    /// Its end.
    pub end: Timestamp,
    /// The span.
    pub span: Span,
}

/// The spans of a conversation: one per turn of the model and one per tool call.
pub fn spans(conversation: &Conversation, times: &[Interval], who: &Who, dialect: Dialect) -> Vec<TimedSpan> {
    let mut spans = Vec::new();
    let mut heard = String::new();
    for (index, (message, time)) in conversation.messages.iter().zip(times).enumerate() {
        let attributes = match message {
            Message::System(_) => continue,
            Message::User(text) => {
                heard.clone_from(text);
                continue;
            }
            Message::Assistant { text, calls } => {
                let said = turn(dialect, conversation, &heard, text.as_deref(), calls);
                heard.clear();
                said
            }
            Message::Tool { call_id, tool, text, .. } => {
                let call = conversation.calls().find(|call| call.id == *call_id && call.tool == *tool);
                tool_run(dialect, call_id, tool, call, text)
            }
        };
        let failed = matches!(message, Message::Tool { error: Some(_), .. });
        let name = match message {
            Message::Tool { tool, .. } => format!("execute_tool {tool}"),
            _ => format!("chat {}", conversation.model),
        };
        let mut span = Span {
            trace_id: who.trace_id.to_vec(),
            span_id: span_id(who, index),
            name,
            kind: 1,
            start_time_unix_nano: nanos(time.start),
            end_time_unix_nano: nanos(time.end),
            attributes: [identity(dialect, who), attributes].concat(),
            ..Span::default()
        };
        if failed {
            span.status = Some(Status { message: "tool failed".to_owned(), code: 2 });
        }
        spans.push(TimedSpan { end: time.end, span });
    }
    spans
}

/// One Kafka record with these spans.
pub fn encode(spans: Vec<Span>, dialect: Dialect) -> Vec<u8> {
    let scope = InstrumentationScope { name: "watershed.test".to_owned(), ..InstrumentationScope::default() };
    let resource = Resource { attributes: vec![text("service.name", "assistant")], ..Resource::default() };
    let data = TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    match dialect {
        // Serialising a tree of strings and numbers into memory has nothing to fail at.
        Dialect::GenAiJson => serde_json::to_vec(&data).unwrap_or_default(),
        _ => data.encode_to_vec(),
    }
}

/// The trace's id as telemetry writes it.
pub fn trace_hex(who: &Who) -> String {
    who.trace_id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn span_id(who: &Who, index: usize) -> Vec<u8> {
    let [a, b, c, d, ..] = who.trace_id;
    let [e, f, g, h] = (index as u32 + 1).to_be_bytes();
    vec![a, b, c, d, e, f, g, h]
}

fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.micros()).unwrap_or(0) * 1_000
}

fn identity(dialect: Dialect, who: &Who) -> Vec<KeyValue> {
    let session = if dialect == Dialect::GenAi { "gen_ai.conversation.id" } else { "session.id" };
    vec![
        text(session, &who.session),
        text("gen_ai.agent.id", &who.agent_id),
        text(if dialect == Dialect::OpenInference { "agent.name" } else { "gen_ai.agent.name" }, &who.agent_name),
        text("user.id", &who.principal),
        text("oauth.client_id", &who.client_id),
        text("credential.id", &who.credential_id),
    ]
}

fn turn(
    dialect: Dialect,
    conversation: &Conversation,
    heard: &str,
    said: Option<&str>,
    calls: &[Call],
) -> Vec<KeyValue> {
    let said = said.unwrap_or_default();
    if dialect == Dialect::OpenInference {
        return vec![
            text("openinference.span.kind", "LLM"),
            text("llm.model_name", &conversation.model),
            text("input.value", heard),
            text("output.value", said),
        ];
    }
    let mut parts = Vec::new();
    if !said.is_empty() {
        parts.push(json!({ "type": "text", "content": said }));
    }
    parts.extend(
        calls
            .iter()
            .map(|call| json!({ "type": "tool_call", "id": call.id, "name": call.tool, "arguments": call.arguments })),
    );
    let mut attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "test"),
        text("gen_ai.request.model", &conversation.model),
        text("gen_ai.output.messages", &json!([{ "role": "assistant", "parts": parts }]).to_string()),
        number("gen_ai.usage.input_tokens", heard.len() as i64 / 4),
        number("gen_ai.usage.output_tokens", said.len() as i64 / 4),
    ];
    if !heard.is_empty() {
        let input = json!([{ "role": "user", "parts": [{ "type": "text", "content": heard }] }]);
        attributes.push(text("gen_ai.input.messages", &input.to_string()));
    }
    attributes
}

fn tool_run(dialect: Dialect, call_id: &str, tool: &str, call: Option<&Call>, result: &str) -> Vec<KeyValue> {
    let arguments = call.map(|call| call.arguments.to_string()).unwrap_or_default();
    let mut attributes = if dialect == Dialect::OpenInference {
        vec![
            text("openinference.span.kind", "TOOL"),
            text("tool.name", tool),
            text("tool.id", call_id),
            text("input.value", &arguments),
            text("input.mime_type", "application/json"),
            text("output.value", result),
        ]
    } else {
        vec![
            text("gen_ai.operation.name", "execute_tool"),
            text("gen_ai.tool.name", tool),
            text("gen_ai.tool.call.id", call_id),
            text("gen_ai.tool.call.arguments", &arguments),
            text("gen_ai.tool.call.result", result),
        ]
    };
    // What an instrumented HTTP client adds: the address that was asked.
    let url = call.and_then(|call| call.arguments.get("url")).and_then(|url| url.as_str());
    if let Some(url) = url {
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        attributes.push(text("url.full", &full));
    }
    attributes
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Any::IntValue(value))
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
