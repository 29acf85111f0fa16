//! Rule sets to measure with: the ten of `benches/rules`, and any number of generated ones.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The ten rules of different shapes, in SQL that DuckDB reads as well.
pub fn ten() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

/// Writes the ten rules, and generated ones until there are `count`.
///
/// # Errors
/// When a file can't be written.
pub fn write(directory: &Path, count: usize, seed: u64) -> io::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut written = 0;
    for entry in std::fs::read_dir(ten())? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| written < count) {
            std::fs::copy(&path, directory.join(name))?;
            written += 1;
        }
    }
    for number in written..count {
        let id = format!("generated-{number:04}");
        let (plane, key, sql) = generated(&mut rng, number);
        let text = format!("/*---\nid: {id}\ntitle: {id}\nplane: {plane}\nseverity: low\nkey: {key}\n---*/\n{sql}\n");
        std::fs::write(directory.join(format!("{id}.sql")), text)?;
    }
    Ok(())
}

/// What teams write most: one more tool to watch, one more phrase, one more network, each with its own window. Like real
/// rules most of them look for what hardly ever happens.
fn generated(rng: &mut ChaCha8Rng, number: usize) -> (&'static str, &'static str, String) {
    let minutes = rng.random_range(5..120);
    let outputs = "event_time, tenant, principal, session_id, event_id AS hit_event_id";
    let joined =
        "b.event_time, b.tenant, b.principal, b.session_id, b.event_id AS hit_event_id, a.event_id AS first_event_id";
    let within = format!("b.event_time > a.event_time AND b.event_time <= a.event_time + INTERVAL '{minutes} minutes'");
    let one = "[hit_event_id]";
    match number % 10 {
        0 => (
            "model",
            one,
            format!(
                "SELECT {outputs} FROM runtime WHERE kind = 'tool_call' AND tool IN ('tool_{number}', 'tool_{number}_v2')"
            ),
        ),
        1 => (
            "model",
            one,
            format!("SELECT {outputs} FROM runtime WHERE kind = 'prompt' AND content ILIKE '%codeword {number}%'"),
        ),
        2 => (
            "model",
            one,
            format!(
                "SELECT {outputs} FROM runtime WHERE kind IN ('prompt', 'retrieval') AND content LIKE '%ignore rule {number}%'"
            ),
        ),
        3 => (
            "model",
            one,
            format!(
                "SELECT {joined} FROM runtime a JOIN runtime b ON b.tenant = a.tenant AND b.session_id = a.session_id AND {within} \
             WHERE a.kind = 'guardrail' AND a.category = 'category_{number}' AND b.kind = 'tool_call'"
            ),
        ),
        4 => (
            "access",
            one,
            format!(
                "SELECT {outputs} FROM identity WHERE kind = 'authentication' AND outcome = 'success' AND asn = {}",
                60_000 + number
            ),
        ),
        5 => (
            "access",
            one,
            format!(
                "SELECT {joined} FROM identity a JOIN identity b ON b.tenant = a.tenant AND b.principal = a.principal AND {within} \
             WHERE a.kind = 'role_granted' AND a.resource = '/roles/{number}' AND b.kind = 'access_allowed'"
            ),
        ),
        6 => (
            "access",
            one,
            format!(
                "SELECT {joined} FROM identity a JOIN runtime b ON b.tenant = a.tenant AND b.principal = a.principal AND {within} \
             WHERE a.kind = 'consent_granted' AND a.client_id = 'app-{number}' AND b.kind = 'tool_call'"
            ),
        ),
        7 => {
            let mut sql = String::new();
            // Writing to a string does not fail.
            let _ = write!(
                sql,
                "SELECT g.event_time, g.tenant, g.principal, g.session_id, g.event_id AS hit_event_id FROM runtime g \
                 WHERE g.kind = 'guardrail' AND g.policy = 'policy-{number}' AND NOT EXISTS (SELECT 1 FROM runtime d \
                 WHERE d.tenant = g.tenant AND d.session_id = g.session_id AND d.kind = 'policy_decision' \
                 AND d.event_time > g.event_time AND d.event_time <= g.event_time + INTERVAL '{minutes} minutes')"
            );
            ("model", one, sql)
        }
        8 => (
            "access",
            "[tenant, principal, bucket]",
            format!(
                "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '{minutes} minutes', event_time) AS bucket, \
             count(*) AS n FROM identity WHERE kind = 'access_denied' AND resource = '/apps/{number}' \
             GROUP BY tenant, principal, date_bin(INTERVAL '{minutes} minutes', event_time) HAVING count(*) >= 5"
            ),
        ),
        _ => (
            "model",
            one,
            format!(
                "SELECT {outputs} FROM runtime WHERE kind = 'tool_call' AND starts_with(target, 'https://host{number}.') AND outcome = 'success'"
            ),
        ),
    }
}
