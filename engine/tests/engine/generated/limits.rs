//! A key that is full cuts what its rule can see: it may miss something, and says nothing false.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use watershed_rules::CompiledRule;

use super::events::{Event, history};
use super::grammar::{Luck, Rule, Shape};
use super::run::check_true;
use super::schedule::{Schedule, in_order};
use super::shrink;
use super::{compiled, tables};

#[test]
fn a_full_key_says_nothing_false() {
    let mut luck = Luck::seed_from_u64(13);
    let tables = tables();
    let mut left_out = 0;
    for round in 0..6 {
        let mut rules: Vec<Arc<CompiledRule>> = Vec::new();
        for shape in Shape::ALL {
            // Who says what isn't final may have to take it back, and can't where the row that would tell was cut.
            let rule = Rule { early: false, ..shape.draw(&mut luck) };
            rules.extend(compiled(&rule.file(&format!("{shape:?}-{round}").to_lowercase()), &tables));
        }
        for _ in 0..6 {
            let events: Vec<Event> =
                history(&mut luck).into_iter().map(|event| Event { ingest: None, ..event }).collect();
            let schedule = Schedule { rows_per_key: luck.random_range(1..5), ..in_order(&mut luck, &events) };
            match check_true(&rules, &events, &schedule) {
                Ok(findings) => left_out += findings,
                Err(mismatch) => {
                    let rule = std::slice::from_ref(&rules[mismatch.rule]);
                    let (events, schedule) = shrink::shrink(events, schedule, |events, schedule| {
                        check_true(rule, events, schedule).is_err()
                    });
                    let what = check_true(rule, &events, &schedule).err().map(|mismatch| mismatch.what);
                    panic!("{:?}\n{}\n{}", rule[0], what.unwrap_or_default(), shrink::literal(&events, &schedule));
                }
            }
        }
    }
    assert!(left_out >= 100, "only {left_out} findings were left out: the keys were not full");
}
