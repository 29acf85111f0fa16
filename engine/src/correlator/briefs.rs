//! What rules say of themselves and incidents repeat.

use std::collections::{BTreeMap, BTreeSet};

use watershed_schemas::IncidentRevision;

use crate::evaluator::RuleSetup;

/// Tags and frameworks of one rule.
#[derive(Debug, Default)]
struct Brief {
    tags: Vec<String>,
    frameworks: Vec<String>,
}

/// Those of all rules that ran since the start.
#[derive(Debug, Default)]
pub(super) struct Briefs(BTreeMap<String, Brief>);

impl Briefs {
    /// Takes up a set of rules; what is known of rules that are gone stays.
    pub(super) fn learn(&mut self, setups: &[RuleSetup]) {
        for setup in setups {
            let meta = &setup.rule.meta;
            let brief = Brief { tags: meta.tags.clone(), frameworks: meta.frameworks.clone() };
            self.0.insert(meta.id.clone(), brief);
        }
    }

    /// Tags and frameworks of these rules, sorted. Where one of them went before the start, what the last revision had
    /// stays.
    pub(super) fn of<'a>(
        &self,
        rules: impl Iterator<Item = &'a String>,
        last: Option<&IncidentRevision>,
    ) -> [Vec<String>; 2] {
        let mut tags = BTreeSet::new();
        let mut frameworks = BTreeSet::new();
        for rule in rules {
            let known = self.0.get(rule).map(|brief| (&brief.tags, &brief.frameworks));
            let before = last.map(|last| (&last.tags, &last.frameworks));
            if let Some((named, listed)) = known.or(before) {
                tags.extend(named.iter().cloned());
                frameworks.extend(listed.iter().cloned());
            }
        }
        [tags.into_iter().collect(), frameworks.into_iter().collect()]
    }
}
