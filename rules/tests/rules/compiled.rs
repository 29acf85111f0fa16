//! What is proven about rules that compile.

use watershed_rules::{CompiledRule, Speaks};
use watershed_schemas::Plane;

use crate::check::accepted;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

fn named(rule: &CompiledRule, scan: usize, columns: &[usize]) -> Vec<&'static str> {
    columns.iter().map(|&column| rule.scans[scan].table.columns()[column].name).collect()
}

fn keys(rule: &CompiledRule) -> Vec<Vec<&'static str>> {
    (0..rule.scans.len()).map(|scan| named(rule, scan, &rule.scans[scan].key)).collect()
}

fn scan<'a>(rule: &'a CompiledRule, alias: &str) -> &'a watershed_rules::Scan {
    rule.scans.iter().find(|scan| scan.alias == alias).unwrap_or_else(|| panic!("no scan {alias}: {:?}", rule.scans))
}

const REVOKED: &str =
    "SELECT r.event_time, r.tenant, r.principal, r.event_id AS tool_event_id, i.event_id AS revocation_event_id
FROM runtime r JOIN identity i
  ON i.tenant = r.tenant AND i.credential_id = r.credential_id
 AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '6 hours'
WHERE r.kind = 'tool_call' AND i.kind = 'token_revoked'";

#[test]
fn an_interval_join_keeps_each_side_as_long_as_the_other_can_follow() {
    let rule = accepted("tool_event_id", REVOKED);
    assert_eq!(keys(&rule), [["tenant", "credential_id"], ["tenant", "credential_id"]]);
    let (r, i) = (scan(&rule, "r"), scan(&rule, "i"));
    assert_eq!((r.table, i.table), (Plane::Model.into(), Plane::Access.into()));
    assert_eq!(r.keep, [Some(0), Some(0)]);
    assert_eq!(i.keep, [Some(6 * HOUR), Some(6 * HOUR)]);
    assert_eq!((r.around, i.around), ((0, 0), (-6 * HOUR, 0)));
    assert_eq!(rule.lookahead, [Some(0), Some(0)]);
    assert_eq!((r.min_rows, i.min_rows), (1, 1));
    assert!(matches!(rule.speaks, Speaks::AtOnce { .. }));
    assert!(rule.warnings.is_empty(), "{:?}", rule.warnings);
}

#[test]
fn equal_conditions_have_equal_texts_and_cheap_ones_come_first() {
    let rule = accepted(
        "e_event_id",
        "SELECT x.event_time, x.tenant, x.principal, x.event_id AS e_event_id FROM identity x
         WHERE x.user_agent ILIKE '%curl%' AND x.outcome IN ('failure', 'unknown') AND x.asn > 5 AND x.kind = 'authentication'",
    );
    let texts: Vec<&str> = rule.scans[0].filters.iter().map(|conjunct| conjunct.text.as_ref()).collect();
    assert_eq!(texts[0], "kind = Utf8(\"authentication\")");
    assert!(texts[1].contains("outcome"), "{texts:?}");
    assert!(texts.last().expect("four").contains("ILIKE"), "{texts:?}");
    let other = accepted(
        "a_event_id",
        "SELECT event_time, tenant, principal, event_id AS a_event_id FROM identity
         WHERE 'authentication' = kind AND outcome IN ('unknown', 'failure')",
    );
    assert_eq!(
        rule.scans[0].filters[..2].iter().map(|c| &c.text).collect::<Vec<_>>(),
        other.scans[0].filters.iter().map(|c| &c.text).collect::<Vec<_>>()
    );
    assert_eq!(keys(&other), [["tenant", "event_id"]]);
}

#[test]
fn an_absence_waits_for_the_side_that_may_be_missing() {
    let rule = accepted(
        "login_event_id",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (
           SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
             AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '10 minutes')",
    );
    let Speaks::AtWatermark { lookahead, why } = &rule.speaks else { panic!("{:?}", rule.speaks) };
    // Half open: a row at exactly ten minutes doesn't matter.
    assert_eq!(*lookahead, [Some(10 * MINUTE - 1), None]);
    assert!(why.contains("NOT EXISTS") && why.contains("runtime r"), "{why}");
    assert_eq!(scan(&rule, "i").keep, [Some(10 * MINUTE - 1), Some(0)]);
    assert_eq!(scan(&rule, "r").keep, [Some(10 * MINUTE - 1), Some(0)]);
    assert_eq!((scan(&rule, "i").min_rows, scan(&rule, "r").min_rows), (1, 0));
    assert_eq!(keys(&rule), [["tenant", "principal"], ["tenant", "principal"]]);
}

#[test]
fn a_threshold_in_a_bucket_is_monotone_and_guarded() {
    let sql = |having: &str| {
        format!(
            "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket,
                    count(*) AS n, array_agg(event_id) AS failure_event_ids
             FROM identity WHERE kind = 'authentication' AND outcome = 'failure'
             GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING {having}"
        )
    };
    for having in ["count(*) >= 5", "count(*) > 4", "5 <= count(*)", "count(DISTINCT ip) >= 5"] {
        let rule = accepted("principal, bucket", &sql(having));
        assert!(matches!(rule.speaks, Speaks::AtOnce { .. }), "{having}: {:?}", rule.speaks);
        assert_eq!(rule.scans[0].min_rows, 5, "{having}");
        assert_eq!(keys(&rule), [["tenant", "principal"]], "{having}");
        // A row and the time of its group lie less than a bucket apart, either way.
        assert_eq!(rule.scans[0].around, (1 - 5 * MINUTE, 5 * MINUTE - 1), "{having}");
        assert_eq!(rule.lookahead, [None, Some(5 * MINUTE - 1)], "{having}");
        assert_eq!(rule.scans[0].keep, [None, Some(10 * MINUTE - 2)], "{having}");
    }
    for having in ["count(*) < 5", "count(*) = 5", "max(asn) <= 7", "count(*) >= 5 AND sum(asn) > 3"] {
        let rule = accepted("principal, bucket", &sql(having));
        let Speaks::AtWatermark { lookahead, .. } = &rule.speaks else { panic!("{having}: {:?}", rule.speaks) };
        assert_eq!(*lookahead, [None, Some(5 * MINUTE - 1)], "{having}");
    }
}

#[test]
fn bounds_close_through_a_third_scan() {
    let rule = accepted(
        "c_event_id",
        "SELECT c.event_time, c.tenant, c.principal, a.event_id AS a_event_id, c.event_id AS c_event_id
         FROM runtime a
         JOIN runtime b ON b.tenant = a.tenant AND b.session_id = a.session_id AND b.event_time > a.event_time
         JOIN runtime c ON c.tenant = b.tenant AND c.session_id = b.session_id AND c.event_time > b.event_time
           AND c.event_time - a.event_time <= INTERVAL '30 minutes'
         WHERE a.kind = 'guardrail' AND b.kind = 'tool_call' AND c.kind = 'tool_result'",
    );
    assert_eq!(scan(&rule, "a").around, (-30 * MINUTE, -2));
    assert_eq!(scan(&rule, "b").around, (1 - 30 * MINUTE, -1));
    assert_eq!(keys(&rule), vec![vec!["tenant", "session_id"]; 3]);
}

#[test]
fn a_group_binds_its_rows_to_each_other() {
    let rule = accepted(
        "principal, bucket",
        "SELECT date_bin(INTERVAL '1 hour', r.event_time) AS event_time, r.tenant, r.principal,
                date_bin(INTERVAL '1 hour', r.event_time) AS bucket, array_agg(r.event_id) AS tool_event_ids
         FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
           AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '10 minutes'
         WHERE r.kind = 'tool_call' AND i.kind = 'risk_changed'
         GROUP BY r.tenant, r.principal, date_bin(INTERVAL '1 hour', r.event_time) HAVING count(*) >= 2",
    );
    assert_eq!(scan(&rule, "r").around, (0, HOUR - 1));
    assert_eq!(scan(&rule, "i").around, (-10 * MINUTE, HOUR - 1));
    // The bucket starts up to an hour before its last row, and an identity row ten minutes before that.
    assert_eq!(scan(&rule, "i").keep[Plane::Model.index()], Some(HOUR - 1 + 10 * MINUTE));
    // Two by one rows make two pairs: behind a join a count needs one row of each.
    assert_eq!((scan(&rule, "r").min_rows, scan(&rule, "i").min_rows), (1, 1));
}

#[test]
fn alternatives_bound_by_their_union_and_subqueries_by_themselves() {
    let rule = accepted(
        "r_event_id",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id FROM runtime r
         WHERE r.kind = 'tool_call' AND EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
           AND (i.event_time BETWEEN r.event_time - INTERVAL '1 hour' AND r.event_time
             OR i.event_time BETWEEN r.event_time AND r.event_time + INTERVAL '5 minutes'))",
    );
    assert_eq!(scan(&rule, "i").around, (-HOUR, 5 * MINUTE));
    assert_eq!(rule.lookahead, [Some(0), Some(5 * MINUTE)]);
    assert!(matches!(rule.speaks, Speaks::AtOnce { .. }));
}

#[test]
fn union_branches_keep_their_own_bounds_and_share_the_key() {
    let rule = accepted(
        "e_event_id",
        "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'policy_decision'
         UNION ALL
         SELECT i.event_time, i.tenant, i.principal, i.event_id AS e_event_id FROM identity i
         JOIN identity p ON p.tenant = i.tenant AND p.principal = i.principal
           AND i.event_time BETWEEN p.event_time AND p.event_time + INTERVAL '1 hour'
         WHERE i.kind = 'access_denied' AND p.kind = 'risk_changed'",
    );
    assert_eq!(rule.scans.len(), 3);
    assert_eq!(scan(&rule, "p").around, (-HOUR, 0));
    assert_eq!(keys(&rule), vec![vec!["tenant", "principal"]; 3]);
    assert!(rule.scans.iter().all(|scan| scan.min_rows == 0));
}

#[test]
fn a_change_between_neighbours_is_bounded_by_its_filter() {
    let rule = accepted(
        "e_event_id",
        "SELECT event_time, tenant, principal, event_id AS e_event_id, previous FROM (
           SELECT event_time, tenant, principal, event_id, country,
                  lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous,
                  lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous_time
           FROM identity WHERE kind = 'authentication')
         WHERE country <> previous AND event_time - previous_time <= INTERVAL '2 hours'",
    );
    assert_eq!(rule.scans[0].around, (-2 * HOUR, 0));
    assert_eq!(keys(&rule), [["tenant", "principal"]]);
    let Speaks::AtWatermark { lookahead, why } = &rule.speaks else { panic!("{:?}", rule.speaks) };
    assert_eq!(*lookahead, [None, Some(0)]);
    assert!(why.contains("lag"), "{why}");
}

#[test]
fn a_comment_does_not_change_the_version_and_the_key_does() {
    let commented = REVOKED.replace("FROM runtime r", "-- why\nfrom   runtime r /* here */");
    let version = accepted("tool_event_id", REVOKED).version;
    assert_eq!(accepted("tool_event_id", &commented).version, version);
    assert_ne!(accepted("revocation_event_id", REVOKED).version, version);
    assert_ne!(accepted("tool_event_id", &REVOKED.replace("6 hours", "7 hours")).version, version);
}
