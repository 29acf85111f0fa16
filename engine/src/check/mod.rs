//! `check`: everything that can be known about a configuration without a network.
//!
//! * [`RuleSet`] reads and plans the rules that a configuration names; `run` and `replay` use the same.
//! * [`check`] adds what only all parts together show, and collects every problem.

mod in_strata;
mod rule_files;
mod rule_set;
#[cfg(test)]
mod tests;

use std::path::Path;

use watershed_connectors::escape::for_log;
use watershed_rules::ReferenceTables;

use crate::config::{Config, Level, Loaded, Problem, Problems};
use crate::evaluator::RuleSetup;
use crate::operator;
use crate::router::{Label, Matcher};

pub use in_strata::{around, each_in_strata};
pub use rule_files::{RuleFile, RuleFiles};
pub use rule_set::{Planned, RefusedRule, RuleSet};

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// Every problem, errors and warnings, in the order of files and lines.
    pub problems: Problems,
    /// One line about what runs, for a configuration without errors.
    pub summary: String,
}

/// Checks a configuration and everything that it names.
pub fn check(path: &Path) -> Checked {
    let (loaded, mut problems) = match Config::load(path) {
        Ok(loaded) => {
            let warnings = loaded.warnings.clone();
            (loaded, warnings)
        }
        Err(problems) => return Checked { problems, summary: String::new() },
    };
    let config = &loaded.config;
    let reference = reference(&loaded, &mut problems);
    let rules = rules(&loaded, &reference, &mut problems);
    if !config.receivers.iter().any(|receiver| receiver.team == operator::TEAM) {
        let message = "none is of team \"operator\": nobody is told of a silent plane, a stopped rule or a receiver that takes \
                       nothing; add one, with `planes = []`";
        problems.push(loaded.lines.problem(Level::Warning, "receivers", message.to_owned()));
    }
    problems.sort();
    let teams: std::collections::BTreeSet<&str> =
        config.receivers.iter().map(|receiver| receiver.team.as_str()).collect();
    let mut summary = format!(
        "{} rules, {} receivers of {}",
        rules.setups.len(),
        config.receivers.len(),
        teams.into_iter().collect::<Vec<_>>().join(" and ")
    );
    let mut apart = reference.shared_agents();
    apart.extend(config.shared_principals.iter().cloned());
    if !apart.is_empty() {
        let apart: Vec<String> = apart.iter().map(|id| for_log(id)).collect();
        summary.push_str(&format!("; by session and not by principal: {}", apart.join(", ")));
    }
    Checked { problems, summary }
}

/// What the reference tables say.
fn reference(loaded: &Loaded, problems: &mut Problems) -> ReferenceTables {
    let tables =
        loaded.config.reference.as_deref().map_or_else(|| Ok(ReferenceTables::default()), ReferenceTables::load_dir);
    tables.unwrap_or_else(|error| {
        problems.push(loaded.lines.problem(Level::Error, "reference.dir", error.to_string()));
        ReferenceTables::default()
    })
}

/// Plans every rule, and looks for settings about rules that are not there.
fn rules(loaded: &Loaded, reference: &ReferenceTables, problems: &mut Problems) -> RuleSet {
    let config = &loaded.config;
    let rules = RuleSet::load(&config.rules, reference);
    problems.extend(rules.problems().into_iter().map(|problem| {
        // What the configuration says of a rule has its line there.
        match problem.setting.starts_with("rules.") {
            true => loaded.lines.problem(problem.level, &problem.setting, problem.message),
            false => problem,
        }
    }));
    let mentioned = mentioned(config);
    for (setting, id) in mentioned {
        if !rules.ids.contains(&id) {
            let message =
                format!("there is no rule `{}`; see `watershed rules lint` for those there are", id.escape_debug());
            problems.push(loaded.lines.problem(Level::Error, &setting, message));
        }
    }
    for (setting, label, value) in asked_of_rules(config) {
        if label == Label::Tag && !rules.setups.iter().any(|setup| setup.rule.meta.tags.contains(&value)) {
            let message = format!("no rule carries the tag `{}`, so that nothing matches", value.escape_debug());
            problems.push(loaded.lines.problem(Level::Warning, &setting, message));
        }
    }
    problems.extend(
        excepts_nothing(config, &rules)
            .into_iter()
            .map(|(setting, message)| loaded.lines.problem(Level::Error, &setting, message)),
    );
    rules
}

/// Exceptions that ask for a column that a rule of theirs does not have, so that nothing of it is excepted.
fn excepts_nothing(config: &Config, rules: &RuleSet) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (index, exception) in config.rules.exceptions.iter().enumerate() {
        let meant = |setup: &&RuleSetup| exception.rules.is_empty() || exception.rules.contains(&setup.rule.meta.id);
        let meant: Vec<&RuleSetup> = rules.setups.iter().filter(meant).collect();
        for column in exception.matches.keys() {
            let lacks = |setup: &&&RuleSetup| !setup.rule.output_columns().contains(column);
            let lacking: Vec<&&RuleSetup> = meant.iter().filter(lacks).collect();
            let shown: String = column.chars().take(64).collect();
            let shown = shown.escape_debug();
            // Where it is about all rules, those that have the column are meant.
            let message = match lacking.as_slice() {
                [] => continue,
                _ if exception.rules.is_empty() && lacking.len() < meant.len() => continue,
                _ if exception.rules.is_empty() => format!("no rule says `{shown}` of its findings"),
                [setup, ..] => {
                    let (id, columns) = (&setup.rule.meta.id, setup.rule.output_columns().join(", "));
                    format!("`{id}` does not say `{shown}` of its findings; it says {columns}")
                }
            };
            found.push((format!("rules.exceptions[{index}].match.{column}"), message));
        }
    }
    found
}

/// Every rule id in the configuration, with the setting that names it.
fn mentioned(config: &Config) -> Vec<(String, String)> {
    let mut mentioned: Vec<(String, String)> = Vec::new();
    mentioned.extend(config.rules.disable.iter().map(|id| ("rules.disable".to_owned(), id.clone())));
    for (index, exception) in config.rules.exceptions.iter().enumerate() {
        let setting = format!("rules.exceptions[{index}].rules");
        mentioned.extend(exception.rules.iter().map(|id| (setting.clone(), id.clone())));
    }
    mentioned.extend(config.rules.tuning.keys().map(|id| (format!("rules.override.{id}"), id.clone())));
    let routed = asked_of_rules(config).into_iter().filter(|(_, label, _)| *label == Label::Rule);
    mentioned.extend(routed.map(|(setting, _, id)| (setting, id)));
    mentioned.sort();
    mentioned.dedup();
    mentioned
}

/// Every rule and tag that a route, an inhibition or a silence asks for, with the setting that does.
fn asked_of_rules(config: &Config) -> Vec<(String, Label, String)> {
    let mut asked = Vec::new();
    let mut all: Vec<(String, &[Matcher])> = Vec::new();
    for (index, inhibition) in config.routes.inhibitions.iter().enumerate() {
        all.push((format!("routing.inhibitions[{index}].source"), &inhibition.source));
        all.push((format!("routing.inhibitions[{index}].target"), &inhibition.target));
    }
    for (index, silence) in config.routes.silences.iter().enumerate() {
        all.push((format!("routing.silences[{index}].matchers"), &silence.matchers));
    }
    let routes = config.routes.each();
    for (place, route) in &routes {
        let place: Vec<String> = place.split('.').map(|step| format!("routes[{step}]")).collect();
        let setting = format!("routing.{}", place.join("."));
        let matchers = &route.matchers;
        all.push((format!("{setting}.matchers"), &matchers.further));
        for (label, values) in [(Label::Rule, &matchers.rules), (Label::Tag, &matchers.tags)] {
            asked.extend(values.iter().map(|value| (format!("{setting}.{}", label.name()), label, value.clone())));
        }
    }
    for (setting, matchers) in all {
        for (at, matcher) in matchers.iter().enumerate() {
            let value = matcher.only_value().filter(|_| matches!(matcher.label(), Label::Rule | Label::Tag));
            asked.extend(value.map(|value| (format!("{setting}[{at}]"), matcher.label(), value.to_owned())));
        }
    }
    asked
}

/// A problem of a whole file.
fn of_file(path: &Path, message: impl Into<String>) -> Problem {
    Problem {
        level: Level::Error,
        file: path.to_owned(),
        line: None,
        column: None,
        setting: String::new(),
        message: message.into(),
    }
}
