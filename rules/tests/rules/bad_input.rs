//! Whatever a rule file holds, it is refused with a precise finding: no panic, no hang.

use std::path::Path;

use watershed_rules::{Code, LintFinding, RuleSource};

use crate::check::{compiled, file, list};

fn findings(bytes: &[u8]) -> Vec<LintFinding> {
    let source = RuleSource::parse_bytes(Path::new("bad.sql"), bytes);
    source.and_then(|source| compiled(&source)).err().unwrap_or_else(|| panic!("accepted: {}", show(bytes)))
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned()
}

/// The first finding has this code, stands at this line and column, and says these words.
fn check(bytes: impl AsRef<[u8]>, code: Code, place: (usize, usize), words: &str) {
    let bytes = bytes.as_ref();
    let found = findings(bytes);
    let first = &found[0];
    assert_eq!((first.code, first.line, first.column), (code, place.0, place.1), "{}\n{}", list(&found), show(bytes));
    assert!(first.message.contains(words), "{first}\n{}", show(bytes));
    assert!(!first.help.is_empty(), "no way out: {first}");
}

/// The SQL begins on line 10.
fn sql(sql: &str) -> String {
    file("access", "e_event_id", sql)
}

const SELECT: &str = "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity";

#[test]
fn a_file_that_is_not_utf_8() {
    check(b"/*---\nid: caf\xe9\n---*/\nSELECT 1", Code::NotText, (2, 8), "byte 13 isn't UTF-8");
    check([0xff, 0xfe, b'/', 0], Code::NotText, (1, 1), "byte 0");
}

#[test]
fn a_file_of_a_megabyte() {
    check(sql(&format!("{SELECT} -- {}", "x".repeat(1 << 20))), Code::FileTooLarge, (1, 1), "65536");
    check(vec![0xff; 1 << 20], Code::FileTooLarge, (1, 1), "1048576 bytes");
}

#[test]
fn a_file_without_a_query_or_with_two() {
    check("", Code::FrontMatterMissing, (1, 1), "no front matter");
    check("\u{feff}  ", Code::FrontMatterMissing, (1, 4), "no front matter");
    check(sql(""), Code::NotOneSelect, (9, 6), "holds no query");
    check(sql("-- nothing but this"), Code::NotOneSelect, (9, 6), "holds no query");
    check(sql(&format!("{SELECT};\n{SELECT}")), Code::NotOneSelect, (11, 1), "2 statements");
    check(sql("DROP TABLE identity"), Code::NotOneSelect, (10, 1), "isn't a SELECT");
}

#[test]
fn a_cartesian_and_an_unbounded_join() {
    let select = "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id\nFROM runtime r";
    check(sql(&format!("{select}, identity i")), Code::Unbounded, (11, 17), "never forgets `identity i`");
    check(sql(&format!("{select} CROSS JOIN identity i")), Code::Unbounded, (11, 27), "never forgets `identity i`");
    let joined = format!("{select}\nJOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal");
    check(sql(&joined), Code::Unbounded, (12, 6), "never forgets `identity i`");
}

#[test]
fn regex_bombs() {
    for pattern in ["(a{900}){900}", "(((a{50}){50}){50}){50}", "(", "a{2,1}", "(?<=a)b"] {
        let column = SELECT.len() + 1 + "WHERE user_agent ~ ".len() + 1;
        let query = format!("{SELECT} WHERE user_agent ~ '{pattern}'");
        check(sql(&query), Code::LargePattern, (10, column), "regular expression");
    }
    // What is slow elsewhere is linear here.
    let source = RuleSource::parse(Path::new("fine.sql"), &sql(&format!("{SELECT} WHERE user_agent ~ '(a+)+$'")));
    compiled(&source.expect("fine")).expect("accepted");
}

#[test]
fn enormous_lists_and_expressions() {
    let list = (0..5_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    check(sql(&format!("{SELECT} WHERE asn IN ({list})")), Code::TooComplex, (10, 1), "words");
    let list = (0..600).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    check(sql(&format!("{SELECT} WHERE asn IN ({list})")), Code::LargeList, (10, 82), "600 values");
    check(
        sql(&format!("{SELECT} WHERE {}", vec!["asn = 1"; 2_000].join(" OR "))),
        Code::TooComplex,
        (10, 1),
        "operators",
    );
    check(
        sql(&format!("{SELECT} WHERE {}asn{} = 1", "(".repeat(500), ")".repeat(500))),
        Code::TooComplex,
        (10, 1),
        "nests too deep",
    );
    check(sql(&format!("{SELECT} WHERE {}mfa", "NOT ".repeat(1_000))), Code::Syntax, (10, 274), "found: NOT");
    check(sql(&format!("SELECT {} FROM identity", "-".repeat(3))), Code::Syntax, (10, 1), "an expression");
}

#[test]
fn intervals_that_make_no_sense() {
    let over = |frame: &str| {
        sql(&format!(
            "SELECT event_time, tenant, principal, event_id AS e_event_id, count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time {frame}) AS n\nFROM identity"
        ))
    };
    let negative = "RANGE BETWEEN INTERVAL '-1 hour' PRECEDING AND CURRENT ROW";
    check(over(negative), Code::NegativeInterval, (10, 63), "negative");
    check(over("RANGE BETWEEN -5 PRECEDING AND CURRENT ROW"), Code::NegativeInterval, (10, 63), "negative");
    let bucket = |size: &str| {
        file(
            "access",
            "principal, bucket",
            &format!(
                "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '{size}', event_time) AS bucket\nFROM identity GROUP BY tenant, principal, date_bin(INTERVAL '{size}', event_time)"
            ),
        )
    };
    check(bucket("-5 minutes"), Code::KeyUnbounded, (10, 47), "time bucket");
    check(bucket("0 minutes"), Code::Fallible, (10, 58), "DATE_BIN stride must be non-zero");
    check(bucket("a while"), Code::Planning, (10, 76), "interval");
}

#[test]
fn types_that_do_not_fit() {
    check(sql(&format!("{SELECT} WHERE mfa + 1 > 2")), Code::Planning, (10, 1), "Boolean");
    check(sql(&format!("{SELECT} WHERE kind")), Code::Planning, (10, 82), "non-boolean");
    check(sql(&format!("{SELECT} WHERE lower(asn, 5) = 'x'")), Code::Planning, (10, 82), "lower");
    check(sql(&format!("{SELECT} WHERE event_time > 'yesterday'")), Code::Planning, (10, 1), "yesterday");
}

#[test]
fn names_that_hide_a_table() {
    let cte = |name: &str| sql(&format!("WITH {name} AS (SELECT 1 AS x) SELECT * FROM {name}"));
    for name in ["runtime", "identity", "agents", "tools", "Runtime", "signals"] {
        check(cte(name), Code::Shadow, (10, 6), "is the name of a table");
    }
    check(sql("SELECT * FROM runtime AS identity"), Code::Shadow, (10, 26), "`identity`");
    check(sql("SELECT * FROM (SELECT * FROM runtime) tools"), Code::Shadow, (10, 39), "`tools`");
}

#[test]
fn a_key_that_is_no_output() {
    check(file("access", "missing", SELECT), Code::KeyMissing, (6, 7), "`missing`");
    check(file("access", "e_event_id, e_event_id", SELECT), Code::MetaInvalid, (6, 1), "twice");
    check(file("access", "", SELECT), Code::MetaInvalid, (6, 1), "empty");
}

#[test]
fn rules_that_read_signals() {
    let select = "SELECT s.event_time, s.tenant, s.principal, s.signal_id AS e_event_id FROM signals s";
    check(sql(select), Code::SignalsOfWhom, (10, 76), "doesn't say whose signals it reads");
    let twice = format!("{select} JOIN signals t ON t.tenant = s.tenant AND t.rule = 'x' WHERE s.rule = 'y'");
    check(sql(&twice), Code::SignalsOfNobody, (10, 137), "there is no rule `x`");
    let itself = format!("{select} WHERE s.rule = 'under-test'");
    check(sql(&itself), Code::SignalsCycle, (10, 101), "the rule reads its own signals");
}

#[test]
fn text_that_is_no_sql() {
    check(sql("SELECT 'unclosed"), Code::Syntax, (10, 8), "string");
    check(sql("SELECT /* unclosed"), Code::Syntax, (10, 19), "comment");
    check(sql("SELECT \u{0} FROM identity"), Code::Syntax, (10, 8), "");
    check(sql("🔒"), Code::Syntax, (10, 1), "");
    // Columns count characters, not bytes.
    check(sql(&format!("{SELECT} WHERE kind = 'café 🔒' AND nothing = 1")), Code::UnknownName, (10, 102), "nothing");
    check("/*---\nid: [\n---*/\nSELECT 1", Code::FrontMatterInvalid, (2, 5), "");
    check("/*---\n- a\n- b\n---*/\nSELECT 1", Code::FrontMatterInvalid, (2, 1), "");
    check(
        format!("/*---\n{}\n---*/\nSELECT 1", "[".repeat(10_000)),
        Code::FrontMatterInvalid,
        (2, 256),
        "recursion limit",
    );
    check("/*---\na: &a [x]\nb: [*a, *a]\n---*/\nSELECT 1", Code::FrontMatterInvalid, (2, 1), "");
}
