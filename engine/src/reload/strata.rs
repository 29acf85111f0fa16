//! Which rules stay as they were where one of them does: a rule runs only beside the rules that it was planned beside.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::evaluator::RuleSetup;

/// The rules that shall run, in order of their ids, where those that are `kept` stay as they are `running`: so do the rules
/// that they read, and those that were planned beside others than run then. Also gives the ids of all that stay.
pub(super) fn beside_those_kept(
    loaded: &[RuleSetup],
    running: &[RuleSetup],
    mut kept: BTreeSet<String>,
) -> (Vec<RuleSetup>, BTreeSet<String>) {
    let of = |setups: &[RuleSetup], id: &str| setups.iter().find(|setup| setup.rule.meta.id == id).cloned();
    loop {
        let before = kept.len();
        // What a rule reads that stays.
        let read = kept.iter().filter_map(|id| of(running, id)).flat_map(|setup| setup.rule.strata());
        kept.extend(read.map(|rule| rule.meta.id.clone()).collect::<BTreeSet<_>>());
        // What was planned beside something else than will run.
        let elsewhere = |setup: &&RuleSetup| {
            setup.rule.strata().iter().any(|below| {
                let will_run = if kept.contains(&below.meta.id) {
                    of(running, &below.meta.id)
                } else {
                    of(loaded, &below.meta.id)
                };
                will_run.is_none_or(|setup| !Arc::ptr_eq(&setup.rule, below) && setup.rule.version != below.version)
            })
        };
        let elsewhere: BTreeSet<String> = loaded
            .iter()
            .filter(|setup| !kept.contains(&setup.rule.meta.id))
            .filter(elsewhere)
            .map(|setup| setup.rule.meta.id.clone())
            .collect();
        kept.extend(elsewhere);
        if kept.len() == before {
            break;
        }
    }
    let mut setups: Vec<RuleSetup> =
        loaded.iter().filter(|setup| !kept.contains(&setup.rule.meta.id)).cloned().collect();
    setups.extend(kept.iter().filter_map(|id| of(running, id)));
    setups.sort_by(|a, b| a.rule.meta.id.cmp(&b.rule.meta.id));
    (setups, kept)
}
