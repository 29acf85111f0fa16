//! Conditions on one row: comparisons, NULL tests, and the functions that rules may call.

use rand::RngExt;

use super::scan::Scan;
use super::{Luck, any};

/// Conditions on columns that both tables have; `x` is the alias.
const SHARED: &[&str] = &[
    "x.principal IS NOT NULL",
    "x.session_id IS NULL",
    "x.outcome = 'failure'",
    "x.outcome <> 'failure'",
    "(x.outcome IS NULL OR x.outcome <> 'failure')",
    "x.principal LIKE 'p%'",
    "x.principal <> 'p0'",
    "x.session_id IN ('s0', 's7')",
    "x.session_id NOT IN ('s0', 's7')",
    "coalesce(x.outcome, 'unknown') <> 'success'",
    "nullif(x.outcome, 'failure') IS NULL",
    "cidr_contains('10.0.0.0/8', x.ip)",
    "NOT cidr_contains('10.0.0.0/16', x.ip)",
    "ip_prefix(x.ip, 24) = '10.0.0.0/24'",
    "date_part('minute', x.event_time) < 20",
    "date_trunc('hour', x.event_time) = date_trunc('hour', x.event_time - INTERVAL '4 minutes')",
    "CASE WHEN x.outcome = 'failure' THEN true ELSE x.principal IS NULL END",
    "concat(x.principal, '/', x.session_id) <> 'p0/s0'",
    "x.principal || x.session_id <> 'p0s0'",
    "right(x.event_id, 1) <> '3'",
    "substr(x.session_id, 2) = '0'",
    "character_length(x.event_id) = 2",
];

const RUNTIME: &[&str] = &[
    "lower(x.tool) LIKE '%http%'",
    "x.tool ILIKE 'SEND%'",
    "x.tool NOT LIKE '%file%'",
    "strpos(x.tool, 'file') > 0",
    "starts_with(x.tool, 'read')",
    "split_part(x.tool, '_', 1) IN ('send', 'HTTP')",
    "x.input_tokens > 2",
    "x.input_tokens BETWEEN 0 AND 5",
    "coalesce(x.input_tokens, 0) >= 1",
    "greatest(x.input_tokens, 3) = 3",
    "x.score >= 0.3",
    "x.score < 0.5",
    "regexp_like(x.content, '[Ii]gnore|weather')",
    "x.content ILIKE '%PREVIOUS%'",
    "x.content IS NULL",
    "json_text(x.arguments, 'to') = 'eve@example.org'",
    "json_text(x.arguments, 'path.name') IS NOT NULL",
    "json_text(x.arguments, 'n') = '3'",
];

const IDENTITY: &[&str] = &[
    "x.country = 'DE'",
    "x.country <> 'US'",
    "x.country IS NULL",
    "lower(x.country) IN ('de', 'fr')",
    "x.asn >= 3",
    "x.asn < 4",
    "x.latitude < 0.5",
    "array_has(x.scopes, 'write')",
    "array_length(x.scopes) = 1",
    "array_to_string(x.scopes, ' ') LIKE '%admin%'",
    "x.scopes IS NULL",
    "x.user_agent ILIKE '%instructions%'",
    "replace(x.country, 'D', 'd') = 'dE'",
];

/// A condition that some of the scan's rows meet.
pub(super) fn condition(luck: &mut Luck, scan: &Scan) -> String {
    match luck.random_range(0..8) {
        0 => format!("({} OR {})", leaf(luck, scan), leaf(luck, scan)),
        1 => format!("({} AND {})", leaf(luck, scan), leaf(luck, scan)),
        2 => format!("NOT ({})", leaf(luck, scan)),
        _ => leaf(luck, scan),
    }
}

fn leaf(luck: &mut Luck, scan: &Scan) -> String {
    let own = if scan.access { IDENTITY } else { RUNTIME };
    let template = if luck.random_bool(0.5) { any(luck, SHARED) } else { any(luck, own) };
    template.replace("x.", &format!("{}.", scan.alias))
}

/// A condition on two rows that a join has put together.
pub(super) fn between(luck: &mut Luck, a: &Scan, b: &Scan) -> String {
    let template = any(
        luck,
        &[
            "x.outcome = y.outcome",
            "coalesce(x.outcome, '?') <> coalesce(y.outcome, '?')",
            "x.ip <> y.ip",
            "x.event_id <> y.event_id",
            "(x.outcome IS NULL OR y.outcome IS NULL OR x.outcome = y.outcome)",
            "concat(x.principal, y.session_id) <> 'p1s0'",
        ],
    );
    template.replace("x.", &format!("{}.", a.alias)).replace("y.", &format!("{}.", b.alias))
}
