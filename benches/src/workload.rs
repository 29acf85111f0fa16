//! Telemetry of a busy day: canonical JSON lines of realistic size, one in a thousand of them of interest.
//!
//! A block of three thousand holds a flagged result, a look at invoices and a mail in one session, and on the identity
//! side in turn a revoked token, a raised risk, an ended session, a burst of failures, a sign-in from elsewhere.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use watershed_schemas::Timestamp;

/// Events of one block: three runtime events of each belong to something that a rule looks for.
const BLOCK: u64 = 3_000;
/// Identity events per runtime events: one in so many lines.
const IDENTITY_SHARE: u64 = 6;
const START: Timestamp = Timestamp::from_secs(1_772_438_400);
/// Microseconds between two events: a million in about five and a half hours.
const STEP: i64 = 20_000;

/// What is written.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Lines in all.
    pub events: u64,
    /// Where the randomness starts.
    pub seed: u64,
    /// Whether one principal has half of all events.
    pub hot: bool,
}

/// How many events of each plane were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Runtime events.
    pub runtime: u64,
    /// Identity events.
    pub identity: u64,
    /// Bytes of both files.
    pub bytes: u64,
}

impl Workload {
    /// Writes `runtime.jsonl` and `identity.jsonl`.
    ///
    /// # Errors
    /// When the files can't be written.
    pub fn write(self, directory: &Path) -> io::Result<Written> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let create = |name: &str| std::fs::File::create(directory.join(name));
        let mut runtime = BufWriter::with_capacity(1 << 20, create("runtime.jsonl")?);
        let mut identity = BufWriter::with_capacity(1 << 20, create("identity.jsonl")?);
        let mut written = Written { runtime: 0, identity: 0, bytes: 0 };
        for number in 0..self.events {
            let time = START.plus_micros(i64::try_from(number).unwrap_or(0) * STEP + rng.random_range(0..STEP));
            let hot = self.hot && rng.random_bool(0.5);
            let line = if number.is_multiple_of(IDENTITY_SHARE) {
                written.identity += 1;
                identity_event(&mut rng, number, time, hot)
            } else {
                written.runtime += 1;
                runtime_event(&mut rng, number, time, hot)
            };
            written.bytes += line.len() as u64 + 1;
            writeln!(if number.is_multiple_of(IDENTITY_SHARE) { &mut identity } else { &mut runtime }, "{line}")?;
        }
        runtime.flush()?;
        identity.flush()?;
        Ok(written)
    }
}

const KINDS: [&str; 6] = ["prompt", "completion", "retrieval", "tool_result", "completion", "prompt"];
const TOOLS: [&str; 6] = ["search_documents", "read_file", "get_ticket", "list_invoices", "run_query", "get_weather"];
const TEXT: &str = "The quarterly numbers for the northern region are attached; revenue grew by four percent while support \
    costs fell. Please compare them with the plan, point out what changed most, and say in two sentences what the board \
    should know. Use the figures of the ledger where the two differ, and name the documents that you read. ";

fn person(number: u64, hot: bool) -> String {
    format!("person.{:04}@northwind.example", if hot { 0 } else { number % 2_000 })
}

fn runtime_event(rng: &mut impl Rng, number: u64, time: Timestamp, hot: bool) -> String {
    let session = number / 40;
    let (kind, tool) = match number % BLOCK {
        1 => ("guardrail", ""),
        3 => ("tool_call", "list_invoices"),
        5 => ("tool_call", "send_email"),
        _ if rng.random_bool(0.12) => ("tool_call", TOOLS[rng.random_range(0..TOOLS.len())]),
        _ => (KINDS[rng.random_range(0..KINDS.len())], TOOLS[rng.random_range(0..TOOLS.len())]),
    };
    let number_of_person = session % 2_000;
    let mut event = json!({
        "event_id": format!("rt-{number:09}"), "event_time": time.to_string(), "tenant": "northwind",
        "source": "agent-gateway", "kind": kind, "session_id": format!("s-{session:07}"),
        "trace_id": format!("{:032x}", u128::from(number) * 7_919), "span_id": format!("{:016x}", number * 104_729),
        "agent_id": format!("agent-{:03}", session % 120), "agent_name": "research-assistant",
        "principal": person(session, hot), "client_id": "gateway",
        "credential_id": format!("tok-{session:07}"), "provider": "anthropic", "model": "claude-sonnet-4",
        "request_id": format!("req-{number:09}"), "ip": format!("10.1.{}.{}", number_of_person / 250, number_of_person % 250),
        "content": &TEXT[..rng.random_range(180..TEXT.len())], "deployment": "eu-1", "sampling": {"temperature": 0.2},
    });
    let more = match kind {
        "tool_call" | "tool_result" => json!({
            "tool": tool, "tool_call_id": format!("call-{number:09}"), "outcome": "success",
            "arguments": {"query": "status of the northern region", "limit": 20},
        }),
        "guardrail" => json!({
            "verdict": if number % (2 * BLOCK) == 1 { "deny" } else { "warn" }, "category": "prompt_injection", "score": 0.91, "detector": "prompt-shield", "enforced": false,
            "target": "tool_result",
        }),
        _ => json!({"input_tokens": rng.random_range(100..4_000), "output_tokens": rng.random_range(10..900)}),
    };
    merge(&mut event, more);
    event.to_string()
}

const IDENTITY_KINDS: [&str; 6] =
    ["authentication", "session_started", "token_used", "access_allowed", "token_refreshed", "group_added"];

fn identity_event(rng: &mut impl Rng, number: u64, time: Timestamp, hot: bool) -> String {
    let session = number / 40;
    let mut who = rng.random_range(0..2_000_u64);
    let mut kind = IDENTITY_KINDS[rng.random_range(0..IDENTITY_KINDS.len())];
    let (mut outcome, mut risk, mut country) = ("success", "low", "DE");
    let mut credential = format!("web-{number:09}");
    match (number / BLOCK % 5, number % BLOCK) {
        (0, 0) => (kind, credential) = ("token_revoked", format!("tok-{session:07}")),
        (1, 0) => (kind, risk, who) = ("risk_changed", "high", session),
        (2, 0) => (kind, who) = ("session_revoked", session),
        (3, 0..=36) => (kind, outcome, who) = ("authentication", "failure", number / BLOCK),
        (4, 0) => (kind, country, who) = ("authentication", "BR", number / BLOCK - 4),
        (4, 6) => (kind, who) = ("authentication", number / BLOCK - 4),
        _ => {}
    }
    let place = who % 2_000;
    json!({
        "event_id": format!("id-{number:09}"), "event_time": time.to_string(), "tenant": "northwind", "source": "idp",
        "kind": kind, "principal": person(who, hot), "principal_type": "human",
        "session_id": format!("web-{:07}", number / 9), "client_id": "portal", "credential_id": credential,
        "credential_type": "access_token", "outcome": outcome, "auth_method": "passkey", "mfa": true, "risk": risk,
        "ip": format!("10.2.{}.{}", place / 250, place % 250), "asn": 3_320, "country": country,
        "latitude": 52.52, "longitude": 13.40, "scopes": ["openid", "documents.read"],
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "device_id": format!("dev-{place:05}"), "request_id": format!("req-{number:09}"), "issuer": "https://idp.northwind.example",
        "audience": "https://portal.northwind.example", "resource": "/apps/portal/home",
        "geo": {"city": "Berlin", "region": "BE"}, "transaction": {"id": format!("tx-{number:09}"), "type": "WEB"},
    })
    .to_string()
}

fn merge(event: &mut serde_json::Value, more: serde_json::Value) {
    if let (Some(event), serde_json::Value::Object(more)) = (event.as_object_mut(), more) {
        event.extend(more);
    }
}
