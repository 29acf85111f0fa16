//! The example of `docs/incidents.md` is what the code reckons. `UPDATE_EXPECTED=1` rewrites its object.

use std::path::Path;
use std::sync::Arc;

use watershed_engine::core::Settings;
use watershed_engine::evaluator::RuleSetup;
use watershed_rules::CompiledRule;
use watershed_schemas::{Origin, Severity, Verdict};

use super::play;
use crate::driver::Arrival;
use crate::history::{Event, MINUTE, rule};

const BEGIN: &str = "<!-- the example's object -->\n```json\n";
const END: &str = "\n```\n";

fn rules() -> Vec<Arc<CompiledRule>> {
    let hit = "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'guardrail' AND principal IS NOT NULL";
    let risk = "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE kind = 'risk_changed' AND principal IS NOT NULL";
    let driven = "SELECT r.event_time, r.tenant, r.principal, r.event_id AS r_event_id, i.event_id AS i_event_id FROM runtime r JOIN identity i
         ON i.tenant = r.tenant AND i.principal = r.principal AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '10 minutes'
         WHERE r.kind = 'tool_call' AND i.kind = 'risk_changed'";
    vec![
        rule("example-guardrail-hit", "model", "key: [e_event_id]\nweights: {model: 0.6, access: 0}", hit),
        rule("example-risky-sign-in", "access", "key: [e_event_id]", risk),
        rule(
            "example-tool-after-risk",
            "both",
            "key: [r_event_id, i_event_id]\nweights: {model: 0.4, access: 0.5}",
            driven,
        ),
    ]
}

#[test]
fn the_worked_example_is_what_the_code_reckons() {
    let model =
        |minute: i64, kind: usize| Event { time: minute * MINUTE, kind, principal: Some(0), ..Event::default() };
    let risk = Event { access: true, ..model(6, 2) };
    let history = [model(2, 1), model(5, 1), risk, model(8, 0)];
    let rules = rules();
    let driver = play(Settings::default(), &rules, &history, &Arrival::in_order(1));
    let verdicts: Vec<Verdict> = driver.revisions().map(|revision| revision.verdict).collect();
    assert_eq!(verdicts, [Verdict::AccessCompromise, Verdict::Both], "the guardrail alone is not enough");
    let last = driver.revisions().last().expect("two revisions");
    assert_eq!((last.origin, last.severity), (Origin::Model, Severity::High));
    assert_eq!((last.scores.model, last.scores.access), (1.3, 1.5));
    assert!(rules.iter().all(|rule| RuleSetup::as_written(Arc::clone(rule)).weights.is_none()));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/incidents.md");
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the example's object begins");
    let (written, after) = rest.split_once(END).expect("the example's object ends");
    let reckoned = serde_json::to_string_pretty(&last.because).expect("serialises");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{reckoned}{END}{after}")).expect("the page can be written");
    } else {
        assert_eq!(written, reckoned, "docs/incidents.md says otherwise; UPDATE_EXPECTED=1 rewrites it");
    }
}
