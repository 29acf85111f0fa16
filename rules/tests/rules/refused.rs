//! What is refused, where, and with which way out.

use watershed_rules::{Code, LintFinding};

use crate::check::{compile_text, file, list, rule};

/// The rule is refused with this code at this line of the SQL (from 1) and this column, and the help says `hint`.
fn refused(key: &str, sql: &str, code: Code, place: (usize, usize), hint: &str) {
    let findings = rule(key, sql).err().unwrap_or_else(|| panic!("accepted: {sql}"));
    let found = findings.iter().find(|finding| finding.code == code);
    let finding = found.unwrap_or_else(|| panic!("expected {code}, got {}\n{sql}", list(&findings)));
    assert_eq!((finding.line - 9, finding.column), place, "{finding}\n{sql}");
    assert!(finding.help.contains(hint), "{}", finding.help);
}

const COLUMNS: &str = "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id";

#[test]
fn an_unbounded_scan_is_refused_with_a_bound_that_would_do() {
    let join = "JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal";
    let sql = format!("{COLUMNS}\nFROM runtime r\n{join}");
    refused(
        "e_event_id",
        &sql,
        Code::Unbounded,
        (3, 6),
        "r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '1 hour'",
    );
    for half in
        ["i.event_time <= r.event_time", "i.event_time >= r.event_time", "i.event_time = r.event_time OR i.kind = 'x'"]
    {
        refused("e_event_id", &format!("{sql} WHERE {half}"), Code::Unbounded, (3, 6), "BETWEEN");
    }
    refused("e_event_id", &format!("{COLUMNS}\nFROM runtime r, identity i"), Code::Unbounded, (2, 17), "BETWEEN");
    let absent = format!(
        "{COLUMNS}\nFROM runtime r WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.principal = r.principal)"
    );
    refused("e_event_id", &absent, Code::Unbounded, (2, 48), "BETWEEN");
}

#[test]
fn a_bound_inside_not_exists_says_nothing_about_the_rows_outside() {
    let sql = format!(
        "{COLUMNS}\nFROM runtime r\nJOIN runtime c ON c.tenant = r.tenant AND c.principal = r.principal\nWHERE NOT EXISTS (SELECT 1 FROM identity b WHERE b.tenant = r.tenant AND b.principal = r.principal
        AND b.event_time BETWEEN r.event_time AND r.event_time + INTERVAL '5 minutes'
        AND b.event_time BETWEEN c.event_time AND c.event_time + INTERVAL '5 minutes')"
    );
    refused("e_event_id", &sql, Code::Unbounded, (3, 6), "c.event_time");
}

#[test]
fn a_day_is_not_compared_with_hours_part_by_part() {
    // DataFusion compares intervals by months, then days, then the rest: any number of hours is less than a day.
    let sql = |bound: &str| {
        format!(
            "{COLUMNS}\nFROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.event_time <= r.event_time AND {bound}"
        )
    };
    let whole = rule("e_event_id", &sql("r.event_time - i.event_time <= INTERVAL '24 hours'"));
    assert!(whole.is_ok(), "{}", list(&whole.err().unwrap_or_default()));
    for bound in ["r.event_time - i.event_time <= INTERVAL '1 day'", "INTERVAL '1 month' > r.event_time - i.event_time"]
    {
        let sql = sql(&format!("i.event_time > r.event_time - INTERVAL '2 hours'\n AND {bound}"));
        refused("e_event_id", &sql, Code::SpanParts, (2, 122), "INTERVAL '24 hours'");
    }
}

#[test]
fn constructs_without_a_meaning_over_streams_are_refused() {
    let from = "\nFROM runtime r";
    for (tail, code, place, hint) in [
        (" LIMIT 5", Code::Limit, (2, 16), "every row"),
        (" ORDER BY 1 OFFSET 3", Code::Limit, (2, 27), "every row"),
        (" WHERE r.principal NOT IN (SELECT principal FROM identity)", Code::Unbounded, (2, 64), "BETWEEN"),
        (" WHERE (r.principal NOT IN (SELECT principal FROM identity)) IS NULL", Code::NotIn, (2, 35), "NOT EXISTS"),
        (
            " WHERE NOT NOT (r.principal IN (SELECT principal FROM identity)) IS TRUE",
            Code::Unbounded,
            (2, 69),
            "BETWEEN",
        ),
        (" WHERE r.event_time > now() - INTERVAL '1 hour'", Code::Volatile, (2, 37), "event_time"),
        (" WHERE r.event_time > current_date", Code::Volatile, (2, 37), "event_time"),
        (" WHERE random() < 0.5", Code::Volatile, (2, 22), "event_time"),
        (" WHERE repeat(r.tool, 1000000) = 'x'", Code::UnknownFunction, (2, 22), "reference"),
        (" WHERE r.ingest_time > r.event_time", Code::IngestTime, (2, 24), "event_time"),
        (" WHERE r.nothing = 1", Code::UnknownName, (2, 22), "columns"),
        (" WHERE r.tool ~ '(a{900}){900}'", Code::LargePattern, (2, 31), "LIKE"),
        (" WHERE r.tool ~ '('", Code::LargePattern, (2, 31), "LIKE"),
        (" WHERE r.tool ~ r.content", Code::LargePattern, (1, 1), "LIKE"),
        (" WHERE", Code::Syntax, (2, 1), ""),
        (", generate_series(1, 1000000000)", Code::TableFunction, (2, 17), "reference table"),
        (
            " EXCEPT SELECT event_time, tenant, principal, event_id FROM identity",
            Code::NodeForbidden,
            (2, 16),
            "EXISTS",
        ),
    ] {
        let sql = format!("{COLUMNS}{from}{tail}");
        if code == Code::Syntax {
            let findings = rule("e_event_id", &sql).err().unwrap_or_else(|| panic!("accepted: {sql}"));
            assert_eq!(findings[0].code, code, "{}", list(&findings));
            continue;
        }
        refused("e_event_id", &sql, code, place, hint);
    }
}

#[test]
fn whole_statements_other_than_one_select_are_refused() {
    for sql in [
        "DROP TABLE runtime",
        "EXPLAIN SELECT 1",
        "INSERT INTO runtime SELECT * FROM runtime",
        "COPY runtime TO '/tmp/x'",
        "SELECT 1; SELECT 2",
        "",
        "SET a = 1",
    ] {
        let findings = rule("e_event_id", sql).err().unwrap_or_else(|| panic!("accepted: {sql}"));
        assert_eq!(findings[0].code, Code::NotOneSelect, "{sql}: {}", list(&findings));
    }
    refused(
        "x",
        "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) SELECT * FROM t",
        Code::Recursive,
        (1, 6),
        "joins",
    );
    refused("x", "WITH runtime AS (SELECT 1 AS x) SELECT * FROM runtime", Code::Shadow, (1, 6), "another name");
}

#[test]
fn the_output_contract_is_checked() {
    let from = " FROM runtime r";
    refused(
        "e_event_id",
        &format!("SELECT r.tenant, r.principal, r.event_id AS e_event_id{from}"),
        Code::OutputMissing,
        (1, 1),
        "event_time",
    );
    refused(
        "e_event_id",
        &format!("SELECT r.event_time, r.principal, r.event_id AS e_event_id{from}"),
        Code::OutputMissing,
        (1, 1),
        "tenant",
    );
    refused(
        "e_event_id",
        &format!("SELECT r.event_time, r.tenant, r.event_id AS e_event_id{from}"),
        Code::OutputMissing,
        (1, 1),
        "session_id",
    );
    refused(
        "principal",
        "SELECT 'x' AS event_time, tenant, principal FROM runtime",
        Code::OutputType,
        (1, 15),
        "event_time",
    );
    refused("score", "SELECT event_time, tenant, principal, score FROM runtime", Code::OutputType, (1, 39), "rounding");
    refused(
        "principal, country",
        "SELECT DISTINCT event_time, tenant, principal, country FROM identity WHERE 1 = 0",
        Code::NoInput,
        (1, 1),
        "runtime",
    );
    refused(
        "principal",
        "SELECT max(event_time) AS event_time, tenant, principal FROM identity GROUP BY tenant, principal",
        Code::KeyUnbounded,
        (1, 47),
        "date_bin",
    );
    refused(
        "n",
        "SELECT count(*) AS n, max(event_time) AS event_time, max(tenant) AS tenant, max(principal) AS principal FROM identity",
        Code::EmptyAggregate,
        (1, 8),
        "group by",
    );
    let findings = rule("missing", &format!("{COLUMNS}{from}")).expect_err("the key isn't there");
    assert_eq!(
        (findings[0].code, findings[0].line, findings[0].column),
        (Code::KeyMissing, 6, 7),
        "{}",
        list(&findings)
    );
}

#[test]
fn contradicting_bounds_and_float_thresholds_are_refused() {
    let sql = format!(
        "{COLUMNS}\nFROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.event_time < r.event_time AND i.event_time > r.event_time + INTERVAL '1 second'"
    );
    refused("e_event_id", &sql, Code::NeverFires, (2, 32), "earlier");
    let sql =
        "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '1 hour', event_time) AS bucket
FROM runtime GROUP BY tenant, principal, date_bin(INTERVAL '1 hour', event_time) HAVING sum(score) > 0.6";
    refused("principal, bucket", sql, Code::FloatPredicate, (2, 82), "DECIMAL");
}

#[test]
fn windows_need_a_bound_and_no_negative_interval() {
    let window = |over: &str| {
        format!(
            "SELECT event_time, tenant, principal, event_id AS e_event_id, count(*) OVER (PARTITION BY tenant, principal {over}) AS n\nFROM identity"
        )
    };
    let lag = "SELECT event_time, tenant, principal, event_id AS e_event_id,
lag(country) OVER (PARTITION BY principal ORDER BY event_time) AS previous FROM identity";
    refused("e_event_id", lag, Code::OrderMissing, (2, 1), "event_id");
    refused("e_event_id", &window("ORDER BY event_time"), Code::WindowUnbounded, (1, 72), "RANGE BETWEEN");
    refused(
        "e_event_id",
        &window("ORDER BY event_time RANGE BETWEEN INTERVAL '-1 hour' PRECEDING AND CURRENT ROW"),
        Code::NegativeInterval,
        (1, 63),
        "positive",
    );
    let bounded =
        rule("e_event_id", &window("ORDER BY event_time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW"));
    assert!(bounded.is_ok(), "{}", list(&bounded.err().unwrap_or_default()));
}

#[test]
fn the_front_matter_is_strict() {
    let body = "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity";
    let check = |text: &str, code: Code, line: usize| {
        let findings: Vec<LintFinding> = compile_text(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!((findings[0].code, findings[0].line), (code, line), "{}", list(&findings));
    };
    let good = file("access", "e_event_id", body);
    assert!(compile_text(&good).is_ok());
    assert!(compile_text(&good.replace("severity: high", "severity: high\nweights: {access: 2}")).is_ok());
    check(&good.replace("severity: high", "severity: high\nweights: {model: 2, access: 1}"), Code::MetaInvalid, 6);
    check(body, Code::FrontMatterMissing, 1);
    check(&good.replace("---*/", "*/"), Code::FrontMatterMissing, 1);
    check(&good.replace("severity: high", "severity: terrible"), Code::FrontMatterInvalid, 5);
    check(&good.replace("severity: high", "severity: high\nsurprise: 1"), Code::FrontMatterInvalid, 6);
    check(&good.replace("id: under-test", "id: Under Test"), Code::MetaInvalid, 2);
    check(&good.replace("owner: iam", "owner: ai-security"), Code::OwnerMismatch, 7);
    check(&good.replace("plane: access", "plane: both"), Code::PlaneMismatch, 4);
    check(&good.replace("key: [e_event_id]", "key: []"), Code::MetaInvalid, 6);
    check(&format!("{good}{}", " ".repeat(70_000)), Code::FileTooLarge, 1);
}

#[test]
fn enormous_queries_are_refused_quickly() {
    let list = (0..2_000).map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ");
    refused(
        "e_event_id",
        &format!("{COLUMNS} FROM runtime r WHERE r.tool IN ({list})"),
        Code::LargeList,
        (1, 91),
        "reference table",
    );
    let chain = vec!["r.tool = 'a'"; 3_000].join(" OR ");
    refused(
        "e_event_id",
        &format!("{COLUMNS} FROM runtime r WHERE {chain}"),
        Code::TooComplex,
        (1, 1),
        "reference table",
    );
    let deep = format!("{}r.asn{}", "(".repeat(400), ")".repeat(400));
    let findings = rule("e_event_id", &format!("{COLUMNS} FROM runtime r WHERE {deep} = 1")).expect_err("too deep");
    assert_eq!(findings[0].code, Code::TooComplex, "{}", crate::check::list(&findings));
}
