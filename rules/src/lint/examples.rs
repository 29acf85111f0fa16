//! An example for each code: what it finds fault with, and what to write instead. Tests compile them all.

use super::Code;

/// Why there is a code, and what it is about.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Why such rules are refused or warned about.
    pub why: &'static str,
    /// A rule with exactly this finding.
    pub bad: Sample,
    /// A rule without any.
    pub good: Sample,
}

/// A rule in an example.
#[derive(Clone, Copy, Debug)]
pub enum Sample {
    /// The key and the SQL of a rule whose front matter doesn't matter.
    Sql(&'static str, &'static str),
    /// A whole file.
    File(&'static str),
    /// A file that is too long to be shown, or no text: what is shown, and the file.
    Made(&'static str, fn() -> Vec<u8>),
}

impl Sample {
    /// The rule file.
    pub fn file(&self) -> Vec<u8> {
        match self {
            Sample::Sql(key, sql) => around(key, sql).into_bytes(),
            Sample::File(text) => text.as_bytes().to_vec(),
            Sample::Made(_, file) => file(),
        }
    }

    /// The block of Markdown that shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Sample::Sql(key, sql) => format!("```sql\n-- key: [{key}]\n{sql}\n```\n"),
            Sample::File(text) | Sample::Made(text, _) => format!("```sql\n{text}\n```\n"),
        }
    }
}

/// A rule file of the access plane around this SQL.
fn around(key: &str, sql: &str) -> String {
    format!(
        "/*---\nid: example\ntitle: An example\nplane: access\nseverity: low\nkey: [{key}]\nowner: iam\n---*/\n{sql}\n"
    )
}

const GOOD: Sample = Sample::File(
    "/*---
id: token-revoked
title: A token was revoked
plane: access
severity: low
key: [revocation_event_id]
owner: iam
---*/
SELECT event_time, tenant, principal, event_id AS revocation_event_id FROM identity WHERE kind = 'token_revoked'",
);

const fn example(why: &'static str, bad: Sample, good: Sample) -> Example {
    Example { why, bad, good }
}

impl Code {
    /// An example of what it finds fault with.
    pub fn example(self) -> Example {
        use Sample::{File, Made, Sql};
        match self {
            Code::FileTooLarge => example(
                "A rule is read by people. What makes it long is nearly always a list, which belongs into a reference table.",
                Made("/*--- … ---*/\nSELECT … /* 70,000 bytes */", || {
                    let padding = " ".repeat(70_000);
                    around(
                        "e_event_id",
                        &format!("SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity{padding}"),
                    )
                    .into_bytes()
                }),
                Sql(
                    "e_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r JOIN tools t ON t.tool = r.tool",
                ),
            ),
            Code::FrontMatterMissing => example(
                "Without a front matter nobody knows whose finding it is, how bad it is, and what identifies it.",
                File("SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity"),
                GOOD,
            ),
            Code::FrontMatterInvalid => example(
                "A member that is misspelt would be silently without effect, so unknown ones are refused.",
                File(
                    "/*---\nid: token-revoked\ntitle: A token was revoked\nplane: access\nseverty: low\nkey: [e_event_id]\n---*/\nSELECT event_time, tenant, principal, event_id AS e_event_id FROM identity",
                ),
                GOOD,
            ),
            Code::MetaInvalid => example(
                "An id is part of every signal's identity, of file names and of metrics.",
                File(
                    "/*---\nid: Token Revoked!\ntitle: A token was revoked\nplane: access\nseverity: low\nkey: [e_event_id]\n---*/\nSELECT event_time, tenant, principal, event_id AS e_event_id FROM identity",
                ),
                GOOD,
            ),
            Code::OwnerMismatch => example(
                "AI security owns the model plane, IAM the access plane; a finding goes to the team that can act on it.",
                File(
                    "/*---\nid: token-revoked\ntitle: A token was revoked\nplane: access\nseverity: low\nkey: [e_event_id]\nowner: ai-security\n---*/\nSELECT event_time, tenant, principal, event_id AS e_event_id FROM identity",
                ),
                GOOD,
            ),
            Code::PlaneMismatch => example(
                "A finding of both planes must show wrongdoing in each.",
                File(
                    "/*---\nid: token-revoked\ntitle: A token was revoked\nplane: both\nseverity: low\nkey: [e_event_id]\n---*/\nSELECT event_time, tenant, principal, event_id AS e_event_id FROM identity",
                ),
                GOOD,
            ),
            Code::NotText => example(
                "SQL is text. A file that isn't UTF-8 is another kind of file, or was saved by an editor of the last century.",
                Made("/*---\nid: caf\\xE9\n…", || b"/*---\nid: caf\xe9\n---*/\nSELECT 1".to_vec()),
                GOOD,
            ),
            Code::Syntax => example(
                "The place is where the parser gave up; what is wrong may stand just before it.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE kind = = 'token_revoked'",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE kind = 'token_revoked'",
                ),
            ),
            Code::NotOneSelect => example(
                "A rule is one question. What changes something, or asks two, isn't.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity; SELECT 2",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE kind = 'token_revoked'\nUNION ALL\nSELECT event_time, tenant, principal, event_id FROM identity WHERE kind = 'session_revoked'",
                ),
            ),
            Code::TooComplex => {
                example(
                    "Planning takes time and stack for each operator; a rule that takes long to plan would hold up the start.",
                    Made("SELECT … WHERE tool = 'a1' OR tool = 'a2' OR … /* 3,000 times */", || {
                        let chain = (0..3_000).map(|n| format!("tool = 'a{n}'")).collect::<Vec<_>>().join(" OR ");
                        around("e_event_id", &format!("SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE {chain}")).into_bytes()
                    }),
                    Sql(
                        "e_event_id",
                        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r\nWHERE r.tool IN (SELECT t.tool FROM tools t WHERE t.sensitivity = 'high')",
                    ),
                )
            }
            Code::Limit => example(
                "Over a stream there is no first row: which one it was would change as rows arrive. Every row of the result is a finding.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity ORDER BY event_time LIMIT 1",
                ),
                Sql(
                    "e_event_id",
                    "SELECT b.event_time, b.tenant, b.principal, b.event_id AS e_event_id FROM identity b\nWHERE NOT EXISTS (SELECT 1 FROM identity a WHERE a.tenant = b.tenant AND a.principal = b.principal\n  AND a.event_time >= b.event_time - INTERVAL '1 day' AND a.event_time < b.event_time)",
                ),
            ),
            Code::NotIn => example(
                "NOT IN is never true once the subquery holds a NULL. In a WHERE, alone or under AND and OR, with one plain column selected, it is rewritten into exactly that; elsewhere say what you mean.",
                Sql(
                    "e_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id,\n       r.ip NOT IN (SELECT i.ip FROM identity i WHERE i.tenant = r.tenant AND i.event_time BETWEEN r.event_time - INTERVAL '1 hour' AND r.event_time) AS elsewhere\nFROM runtime r",
                ),
                Sql(
                    "e_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r\nWHERE r.ip NOT IN (SELECT i.ip FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal AND i.event_time BETWEEN r.event_time - INTERVAL '1 hour' AND r.event_time)",
                ),
            ),
            Code::Recursive => example(
                "How deep a recursion goes isn't known beforehand, so neither is what must be remembered.",
                Sql(
                    "e_event_id",
                    "WITH RECURSIVE chain AS (\n  SELECT event_time, tenant, principal, event_id, span_id FROM runtime WHERE kind = 'prompt'\n  UNION ALL\n  SELECT r.event_time, r.tenant, r.principal, r.event_id, r.span_id FROM runtime r JOIN chain c ON r.parent_span_id = c.span_id)\nSELECT event_time, tenant, principal, event_id AS e_event_id FROM chain",
                ),
                Sql(
                    "e_event_id",
                    "SELECT b.event_time, b.tenant, b.principal, b.event_id AS e_event_id\nFROM runtime a JOIN runtime b ON b.tenant = a.tenant AND b.parent_span_id = a.span_id\n AND b.event_time BETWEEN a.event_time AND a.event_time + INTERVAL '10 minutes'\nWHERE a.kind = 'prompt'",
                ),
            ),
            Code::TableFunction => example(
                "A table function makes rows out of nothing, as many as it likes.",
                Sql(
                    "e_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r, generate_series(1, 1000000000)",
                ),
                Sql(
                    "e_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id\nFROM runtime r JOIN (VALUES ('shell'), ('browser')) AS risky (tool) ON risky.tool = r.tool",
                ),
            ),
            Code::UnknownFunction => example(
                "Functions come from a list: their results depend on nothing but the arguments, and take bounded time and memory.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE repeat(tool, 1000000) = 'x'",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE lower(tool) = 'shell'",
                ),
            ),
            Code::Volatile => example(
                "A rule means the same whenever it runs, live or over a recording. What counts is when things happened.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE event_time > now() - INTERVAL '1 hour'",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE expires_at > event_time + INTERVAL '30 days'",
                ),
            ),
            Code::NodeForbidden => example(
                "Some constructs have no bounded meaning over a stream. There is another way to say it.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime\nEXCEPT\nSELECT event_time, tenant, principal, event_id FROM runtime WHERE kind = 'prompt'",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind <> 'prompt'",
                ),
            ),
            Code::NegativeInterval => example(
                "A negative bound of a frame says the opposite of what it seems to say.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id,\n       count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '-1 hour' PRECEDING AND CURRENT ROW) AS n\nFROM identity",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id,\n       count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS n\nFROM identity",
                ),
            ),
            Code::EmptyAggregate => example(
                "Without GROUP BY there is a row even when nothing happened, and it is never final. To count for each row, join and group by that row.",
                Sql(
                    "e_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r\nWHERE (SELECT count(*) FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal\n  AND i.event_time BETWEEN r.event_time - INTERVAL '1 hour' AND r.event_time) < 3",
                ),
                Sql(
                    "e_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id\nFROM runtime r LEFT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal\n AND i.event_time BETWEEN r.event_time - INTERVAL '1 hour' AND r.event_time\nGROUP BY r.tenant, r.principal, r.event_time, r.event_id HAVING count(i.event_id) < 3",
                ),
            ),
            Code::LargeList => example(
                "A long list in SQL is data in the wrong place.",
                Made("SELECT … WHERE tool IN ('a1', 'a2', … /* 2,000 values */)", || {
                    let list = (0..2_000).map(|n| format!("'a{n}'")).collect::<Vec<_>>().join(", ");
                    around("e_event_id", &format!("SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE tool IN ({list})")).into_bytes()
                }),
                Sql(
                    "e_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r JOIN tools t ON t.tool = r.tool",
                ),
            ),
            Code::LargePattern => example(
                "A pattern is compiled once and runs on hostile text: it must be a constant, valid, and small when compiled.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE content ~ '(a{900}){900}'",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE content ~ '(?i)ignore (all|previous) instructions'",
                ),
            ),
            Code::UnknownName => example(
                "The tables are `runtime`, `identity` and the reference tables; `docs/tables.md` lists their columns.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE contry = 'DE'",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE country = 'DE'",
                ),
            ),
            Code::Planning => example(
                "The types don't fit, or the query can't be planned as it stands.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE mfa + 1 > 2",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE mfa IS NOT TRUE",
                ),
            ),
            Code::IngestTime => example(
                "When a record was received differs from run to run, so that a replay would find something else.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE ingest_time - event_time > INTERVAL '1 hour'",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE expires_at > event_time + INTERVAL '1 hour'",
                ),
            ),
            Code::NoInput => example(
                "A rule is about events.",
                Sql(
                    "principal",
                    "SELECT TIMESTAMP '2025-01-01T00:00:00' AS event_time, 'acme' AS tenant, 'ada' AS principal",
                ),
                GOOD,
            ),
            Code::NeverFires => example(
                "The bounds leave no moment at which all of them hold.",
                Sql(
                    "r_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id\nFROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal\n AND i.event_time < r.event_time AND i.event_time > r.event_time + INTERVAL '1 minute'",
                ),
                Sql(
                    "r_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id\nFROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal\n AND i.event_time < r.event_time AND i.event_time > r.event_time - INTERVAL '1 minute'",
                ),
            ),
            Code::Shadow => example(
                "Whoever reads `FROM runtime` must be able to rely on what it is.",
                Sql(
                    "e_event_id",
                    "WITH runtime AS (SELECT * FROM identity)\nSELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime",
                ),
                Sql(
                    "e_event_id",
                    "WITH logins AS (SELECT event_time, tenant, principal, event_id FROM identity WHERE kind = 'authentication')\nSELECT event_time, tenant, principal, event_id AS e_event_id FROM logins",
                ),
            ),
            Code::OrderMissing => example(
                "Rows of one moment have no order among themselves. A function that picks one of them needs an order that no two rows share: the event's id last, and behind a join the ids of all events.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id,\n       lag(country) OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) ORDER BY event_time) AS previous\nFROM identity",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id,\n       lag(country) OVER (PARTITION BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) ORDER BY event_time, event_id) AS previous\nFROM identity",
                ),
            ),
            Code::Fallible => example(
                "A record that makes an expression fail would stop the rule for everybody: one request with `\"n\": \"many\"` would switch the detection off. Lint evaluates every expression over hostile values.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime\nWHERE CAST(json_text(attributes, 'n') AS BIGINT) > 2",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime\nWHERE TRY_CAST(json_text(attributes, 'n') AS BIGINT) > 2",
                ),
            ),
            Code::ListOrder => example(
                "`array_agg` without an order gathers in any order. As a detail it is shown sorted, and one may ask what it holds; a text made of it, or an element of it, would differ from run to run.",
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '1 hour', event_time) AS bucket,\n       array_agg(event_id) AS call_event_ids, array_to_string(array_agg(tool), ' > ') AS path\nFROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) HAVING count(*) >= 3",
                ),
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '1 hour', event_time) AS bucket,\n       array_agg(event_id) AS call_event_ids, array_to_string(array_agg(tool ORDER BY event_time, event_id), ' > ') AS path\nFROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) HAVING count(*) >= 3",
                ),
            ),
            Code::OutputMissing => example(
                "Every finding says when it happened, in which organisation, and about whom.",
                Sql("e_event_id", "SELECT event_time, tenant, event_id AS e_event_id FROM identity"),
                Sql("e_event_id", "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity"),
            ),
            Code::OutputType => example(
                "A key of floats depends on rounding, a key of lists grows; the other columns have the types of the tables.",
                Sql(
                    "e_event_id, score",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id, score FROM runtime",
                ),
                Sql("e_event_id", "SELECT event_time, tenant, principal, event_id AS e_event_id, score FROM runtime"),
            ),
            Code::KeyMissing => example(
                "The key names output columns: those that say which finding it is.",
                Sql("event_id", "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity"),
                Sql("e_event_id", "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity"),
            ),
            Code::KeyUnbounded => example(
                "A finding is remembered until nothing can change it any more. One that is about no moment is remembered for ever.",
                Sql("principal, country", "SELECT DISTINCT event_time, tenant, principal, country FROM identity"),
                Sql(
                    "e_event_id",
                    "SELECT b.event_time, b.tenant, b.principal, b.country, b.event_id AS e_event_id FROM identity b\nWHERE NOT EXISTS (SELECT 1 FROM identity a WHERE a.tenant = b.tenant AND a.principal = b.principal AND a.country = b.country\n  AND a.event_time >= b.event_time - INTERVAL '30 days' AND a.event_time < b.event_time)",
                ),
            ),
            Code::NotOfKey => example(
                "All rows of one key are one finding. Where they differ in whom they are about, it is told of one of them only.",
                Sql(
                    "ip, bucket",
                    "SELECT max(event_time) AS event_time, tenant, min(principal) AS principal, ip, date_bin(INTERVAL '1 hour', event_time) AS bucket,\n       array_agg(event_id) AS login_event_ids\nFROM identity GROUP BY tenant, ip, date_bin(INTERVAL '1 hour', event_time) HAVING count(DISTINCT principal) >= 5",
                ),
                Sql(
                    "principal, ip, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, ip, date_bin(INTERVAL '1 hour', event_time) AS bucket,\n       array_agg(event_id) AS login_event_ids\nFROM identity GROUP BY tenant, principal, ip, date_bin(INTERVAL '1 hour', event_time) HAVING count(*) >= 5",
                ),
            ),
            Code::EvidenceMissing => example(
                "Evidence is what a person opens first. Columns that end in `_event_id` or `_event_ids` are evidence.",
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '1 hour', event_time) AS bucket, count(*) AS n\nFROM identity GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) HAVING count(*) >= 5",
                ),
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '1 hour', event_time) AS bucket, count(*) AS n,\n       array_agg(event_id) AS login_event_ids\nFROM identity GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) HAVING count(*) >= 5",
                ),
            ),
            Code::EventTimeUnknown => example(
                "What must be remembered, and when a finding is final, counts from its `event_time`: it has to be the time of an event, of a bucket or of a group.",
                Sql(
                    "e_event_id",
                    "SELECT expires_at AS event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE expires_at IS NOT NULL",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id, expires_at FROM identity WHERE expires_at IS NOT NULL",
                ),
            ),
            Code::OutputNull => example(
                "A finding without a time or an organisation can be told to nobody.",
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) FILTER (WHERE kind = 'risk_changed') AS event_time, tenant, principal,\n       date_bin(INTERVAL '1 hour', event_time) AS bucket, array_agg(event_id) AS e_event_ids\nFROM identity GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time)",
                ),
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) FILTER (WHERE kind = 'risk_changed') AS event_time, tenant, principal,\n       date_bin(INTERVAL '1 hour', event_time) AS bucket, array_agg(event_id) AS e_event_ids\nFROM identity GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time)\nHAVING max(event_time) FILTER (WHERE kind = 'risk_changed') IS NOT NULL",
                ),
            ),
            Code::SlidingBuckets => example(
                "Each event is in one bucket for each slide that fits into the size. Both must be known, and their number bounded.",
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, bucket, array_agg(event_id) AS e_event_ids\nFROM (SELECT event_time, tenant, principal, event_id, unnest(hop(event_time, INTERVAL '5 minutes', INTERVAL '10 minutes')) AS bucket FROM identity)\nGROUP BY tenant, principal, bucket HAVING count(*) >= 5",
                ),
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, bucket, array_agg(event_id) AS e_event_ids\nFROM (SELECT event_time, tenant, principal, event_id, unnest(hop(event_time, INTERVAL '10 minutes', INTERVAL '5 minutes')) AS bucket FROM identity)\nGROUP BY tenant, principal, bucket HAVING count(*) >= 5",
                ),
            ),
            Code::SpanParts => example(
                "The difference of two moments has hours, no days. Intervals are compared months first, then days, then the rest, so that 100 hours would be less than one day.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE expires_at - event_time > INTERVAL '30 days'",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE expires_at > event_time + INTERVAL '30 days'",
                ),
            ),
            Code::Unbounded => example(
                "A stream never ends. Rows that may be joined for ever would have to be kept for ever.",
                Sql(
                    "r_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id\nFROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id\nWHERE i.kind = 'token_revoked'",
                ),
                Sql(
                    "r_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id\nFROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id\n AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '12 hours'\nWHERE i.kind = 'token_revoked'",
                ),
            ),
            Code::WindowUnbounded => example(
                "The row before may lie years back. A bucket in PARTITION BY, a RANGE frame, or a filter on the time between bounds it.",
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, e_event_id FROM (\n  SELECT event_time, tenant, principal, event_id AS e_event_id, country,\n         lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous\n  FROM identity)\nWHERE country <> previous",
                ),
                Sql(
                    "e_event_id",
                    "SELECT event_time, tenant, principal, e_event_id FROM (\n  SELECT event_time, tenant, principal, event_id AS e_event_id, country,\n         lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous,\n         lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous_time\n  FROM identity)\nWHERE country <> previous AND event_time - previous_time <= INTERVAL '12 hours'",
                ),
            ),
            Code::Global => example(
                "Without a key that all scans share, all rows of a tenant are looked at together, by one worker.",
                Sql(
                    "r_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id\nFROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.event_time BETWEEN r.event_time - INTERVAL '1 minute' AND r.event_time\nWHERE i.kind = 'policy_changed'",
                ),
                Sql(
                    "r_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id\nFROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.event_time BETWEEN r.event_time - INTERVAL '1 minute' AND r.event_time\nWHERE i.kind = 'policy_changed'",
                ),
            ),
            Code::FloatPredicate => example(
                "The sum of floats depends on the order in which they are added, so that the same rows would cross a threshold or not. Decimals add up exactly.",
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '1 hour', event_time) AS bucket, array_agg(event_id) AS e_event_ids\nFROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) HAVING sum(score) > 2.5",
                ),
                Sql(
                    "principal, bucket",
                    "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '1 hour', event_time) AS bucket, array_agg(event_id) AS e_event_ids\nFROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) HAVING sum(TRY_CAST(score AS DECIMAL(18, 6))) > 2.5",
                ),
            ),
            Code::SignalsOfWhom => example(
                "What a rule finds of another's signals follows from that rule: when it may speak, and how long rows are remembered. So each scan of `signals` names the rules that it reads.",
                Sql(
                    "upstream_signal",
                    "SELECT s.event_time, s.tenant, s.principal, s.signal_id AS upstream_signal, s.evidence AS upstream_event_ids\nFROM signals s WHERE s.severity = 'high' OR s.rule = 'token-revoked'",
                ),
                Sql(
                    "upstream_signal",
                    "SELECT s.event_time, s.tenant, s.principal, s.signal_id AS upstream_signal, s.evidence AS upstream_event_ids\nFROM signals s WHERE s.rule = 'token-revoked' AND s.principal LIKE 'svc-%'",
                ),
            ),
            Code::SignalsOfNobody => example(
                "A rule that reads signals which nobody writes would be silent for ever. A disabled rule has none; one in shadow has.",
                Sql(
                    "upstream_signal",
                    "SELECT s.event_time, s.tenant, s.principal, s.signal_id AS upstream_signal, s.evidence AS upstream_event_ids\nFROM signals s WHERE s.rule = 'tokens-revoked'",
                ),
                Sql(
                    "upstream_signal",
                    "SELECT s.event_time, s.tenant, s.principal, s.signal_id AS upstream_signal, s.evidence AS upstream_event_ids\nFROM signals s WHERE s.rule = 'token-revoked'",
                ),
            ),
            Code::SignalsDisabled => example(
                "A rule that is disabled says nothing, so that part of what this one looks for can't be found. Where no other rule is left to a scan it is refused.",
                Sql(
                    "upstream_signal",
                    "-- Here `session-revoked` is disabled.\nSELECT s.event_time, s.tenant, s.principal, s.signal_id AS upstream_signal, s.evidence AS upstream_event_ids\nFROM signals s WHERE s.rule IN ('token-revoked', 'session-revoked')",
                ),
                Sql(
                    "upstream_signal",
                    "SELECT s.event_time, s.tenant, s.principal, s.signal_id AS upstream_signal, s.evidence AS upstream_event_ids\nFROM signals s WHERE s.rule = 'token-revoked'",
                ),
            ),
            Code::SignalsCycle => example(
                "Rules are evaluated one stratum after the other; what rests on itself, also through others, has no first one.",
                Sql(
                    "upstream_signal",
                    "SELECT s.event_time, s.tenant, s.principal, s.signal_id AS upstream_signal, s.evidence AS upstream_event_ids\nFROM signals s WHERE s.rule IN ('token-revoked', 'example')",
                ),
                Sql(
                    "upstream_signal",
                    "SELECT s.event_time, s.tenant, s.principal, s.signal_id AS upstream_signal, s.evidence AS upstream_event_ids\nFROM signals s WHERE s.rule = 'token-revoked'",
                ),
            ),
            Code::StateLookup => example(
                "Versions are kept by what they are versions of, not in the order of events: a rule says by which id it wants them, and of which organisation. What nobody asks for can't be found.",
                Sql(
                    "call_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS call_event_id\nFROM runtime r JOIN accounts a ON a.tenant = r.tenant AND a.owner = r.principal\n  AND a.valid_from <= r.event_time AND (a.valid_to IS NULL OR r.event_time < a.valid_to)\nWHERE r.kind = 'tool_call' AND a.status = 'inactive'",
                ),
                Sql(
                    "call_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS call_event_id\nFROM runtime r JOIN accounts a ON a.tenant = r.tenant AND a.principal = r.principal\n  AND a.valid_from <= r.event_time AND (a.valid_to IS NULL OR r.event_time < a.valid_to)\nWHERE r.kind = 'tool_call' AND a.status = 'inactive'",
                ),
            ),
            Code::StateAsOf => example(
                "A call is judged by what was known of its account at that moment. Without one a version of any time would do, today's too, and what a rule finds would change for ever.",
                Sql(
                    "call_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS call_event_id\nFROM runtime r JOIN accounts a ON a.tenant = r.tenant AND a.principal = r.principal\nWHERE r.kind = 'tool_call' AND a.status = 'inactive' AND a.valid_to IS NULL",
                ),
                Sql(
                    "call_event_id",
                    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS call_event_id\nFROM runtime r JOIN accounts a ON a.tenant = r.tenant AND a.principal = r.principal\n  AND a.valid_from <= r.event_time AND (a.valid_to IS NULL OR r.event_time < a.valid_to)\nWHERE r.kind = 'tool_call' AND a.status = 'inactive'",
                ),
            ),
            Code::Parameter => example(
                "A value that an installation may change is named in the front matter, with what it is where nobody changes it: a name that is written wrongly would be no value at all.",
                File(
                    "/*---
id: many-calls
title: Many calls
plane: model
severity: low
key: [tenant, session_id, bucket]
owner: ai-security
parameters: {calls: 20}
---*/
SELECT max(event_time) AS event_time, tenant, session_id, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
       array_agg(event_id ORDER BY event_id) AS call_event_ids
FROM runtime WHERE kind = 'tool_call'
GROUP BY tenant, session_id, date_bin(INTERVAL '10 minutes', event_time)
HAVING count(*) >= $limit",
                ),
                File(
                    "/*---
id: many-calls
title: Many calls
plane: model
severity: low
key: [tenant, session_id, bucket]
owner: ai-security
parameters: {calls: 20}
---*/
SELECT max(event_time) AS event_time, tenant, session_id, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
       array_agg(event_id ORDER BY event_id) AS call_event_ids
FROM runtime WHERE kind = 'tool_call'
GROUP BY tenant, session_id, date_bin(INTERVAL '10 minutes', event_time)
HAVING count(*) >= $calls",
                ),
            ),
        }
    }
}
