//! Rules over what other rules say: which of them can be compiled, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::compile::{compile_beside, signals_read};
use crate::compiled::CompiledRule;
use crate::front_matter::RuleSource;
use crate::lint::{Code, LintFinding};
use crate::reference::ReferenceTables;
use crate::text::SqlText;

/// The rules that a rule may read through `signals`, and why others that it may name aren't there.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    rules: BTreeMap<String, Arc<CompiledRule>>,
    missing: BTreeMap<String, Missing>,
}

/// Why the signals of a rule can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The installation has switched it off.
    Disabled,
    /// It doesn't compile.
    Refused,
    /// It rests on the signals of the rule that would read it: the ids from there back to itself.
    Cycle(Vec<String>),
}

impl Beside {
    /// Adds a rule whose signals may be read.
    pub fn add(&mut self, rule: Arc<CompiledRule>) {
        self.missing.remove(&rule.meta.id);
        self.rules.insert(rule.meta.id.clone(), rule);
    }

    /// States that a rule isn't there, and why.
    pub fn miss(&mut self, id: String, why: Missing) {
        self.rules.remove(&id);
        self.missing.insert(id, why);
    }

    /// The rule of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<CompiledRule>> {
        self.rules.get(id)
    }

    /// The rules that are named, in order of their ids; those that are disabled are left out.
    ///
    /// # Errors
    /// A finding for each other that isn't there.
    pub(crate) fn upstream(
        &self,
        source: &RuleSource,
        text: &SqlText,
        names: &BTreeSet<String>,
    ) -> Result<Vec<Arc<CompiledRule>>, Vec<LintFinding>> {
        let (mut found, mut findings) = (Vec::new(), Vec::new());
        for name in names {
            match self.rules.get(name).filter(|_| *name != source.meta.id) {
                Some(rule) => found.push(Arc::clone(rule)),
                None if self.missing.get(name) == Some(&Missing::Disabled) => {}
                None => findings.push(self.absent(source, text, name)),
            }
        }
        if findings.is_empty() { Ok(found) } else { Err(findings) }
    }

    fn absent(&self, source: &RuleSource, text: &SqlText, name: &str) -> LintFinding {
        let place = text.literal(name).or_else(|| text.word("signals")).unwrap_or_else(|| text.start());
        let name = name.escape_debug();
        if *name.to_string() == source.meta.id {
            let message = "the rule reads its own signals";
            let help = "read those of another rule; what its own SQL finds can stand in a query of WITH";
            return text.finding(Code::SignalsCycle, place, message, help);
        }
        match self.missing.get(&name.to_string()) {
            Some(Missing::Cycle(path)) => {
                let path = path.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" reads ");
                let message = format!("signals can't rest on themselves: {path}");
                let help = "let one of them read `runtime` or `identity` instead, or put what they share into a rule of its own that both read";
                text.finding(Code::SignalsCycle, place, message, help)
            }
            Some(Missing::Refused) => {
                let message = format!("the rule `{name}` is refused, so that it has no signals to read");
                text.finding(Code::SignalsOfNobody, place, message, "correct that rule first")
            }
            Some(Missing::Disabled) | None => {
                let message = format!("there is no rule `{name}` whose signals could be read");
                let known: Vec<String> =
                    self.rules.keys().filter(|id| **id != source.meta.id).map(|id| format!("`{id}`")).collect();
                let help = match known.len() {
                    0 => {
                        "name a rule that is loaded with this one: lint and check look at a whole directory".to_owned()
                    }
                    1..=20 => format!("name one of {}", known.join(", ")),
                    more => format!("name one of the {more} rules that are loaded with this one"),
                };
                text.finding(Code::SignalsOfNobody, place, message, help)
            }
        }
    }
}

/// What becomes of a rule.
pub type Outcome = Result<Arc<CompiledRule>, Vec<LintFinding>>;

/// Compiles rules, each after those whose signals it reads; what becomes of each stands at its place, nothing where it is
/// `disabled`. `reads` says which rules the one at this position reads, `compile` compiles it.
pub fn in_strata(
    sources: &[&RuleSource],
    disabled: &BTreeSet<String>,
    reads: impl Fn(usize, &RuleSource) -> BTreeSet<String>,
    mut compile: impl FnMut(usize, &RuleSource, &Beside) -> Outcome,
) -> Vec<Option<Outcome>> {
    let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut of_id: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut beside = Beside::default();
    for (at, source) in sources.iter().enumerate() {
        let id = &source.meta.id;
        if disabled.contains(id) {
            beside.miss(id.clone(), Missing::Disabled);
        } else {
            read.entry(id.clone()).or_default().extend(reads(at, source));
            of_id.entry(id).or_default().push(at);
        }
    }
    let strata = strata(&read);
    let mut outcomes: Vec<Option<Outcome>> = sources.iter().map(|_| None).collect();
    for id in &strata.order {
        if let Some(path) = strata.cycles.get(id) {
            for name in read[id].iter().filter(|name| strata.cycles.contains_key(*name)) {
                beside.miss(name.clone(), Missing::Cycle(path.clone()));
            }
        }
        for &at in of_id.get(id.as_str()).into_iter().flatten() {
            let outcome = compile(at, sources[at], &beside);
            match &outcome {
                Ok(rule) => beside.add(Arc::clone(rule)),
                Err(_) => beside.miss(id.clone(), Missing::Refused),
            }
            outcomes[at] = Some(outcome);
        }
    }
    outcomes
}

/// Compiles a set of rules, in which some may read the signals of others; what becomes of each stands at its place.
pub fn compile_set(sources: &[&RuleSource], reference: &ReferenceTables) -> Vec<Outcome> {
    // What keeps a rule from being planned is told when it is compiled.
    let reads = |_, source: &RuleSource| signals_read(source, reference).unwrap_or_default();
    let compile = |_, source: &RuleSource, beside: &Beside| compile_beside(source, reference, beside).map(Arc::new);
    in_strata(sources, &BTreeSet::new(), reads, compile).into_iter().flatten().collect()
}

/// In which order rules can be compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strata {
    /// Every id, each after those whose signals it reads; those that rest on themselves are in order of their ids.
    pub order: Vec<String>,
    /// For each rule that rests on itself a shortest way back to it, itself first and last.
    pub cycles: BTreeMap<String, Vec<String>>,
}

/// Orders rules by what they read: for each id the ids whose signals it reads.
pub fn strata(reads: &BTreeMap<String, BTreeSet<String>>) -> Strata {
    let cycles: BTreeMap<String, Vec<String>> =
        reads.keys().filter_map(|id| Some((id.clone(), way_back(id, reads)?))).collect();
    let mut order: Vec<String> = Vec::with_capacity(reads.len());
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&String> = reads.keys().collect();
    while !open.is_empty() {
        let waits = |id: &String| {
            let below = reads[id].iter();
            below
                .filter(|name| reads.contains_key(*name) && !cycles.contains_key(id))
                .any(|name| !placed.contains(name.as_str()))
        };
        let (later, now): (Vec<&String>, Vec<&String>) = open.iter().partition(|id| waits(id));
        if now.is_empty() {
            // Only what rests on itself could wait for ever, and that doesn't wait.
            order.extend(later.into_iter().cloned());
            break;
        }
        placed.extend(now.iter().map(|id| id.as_str()));
        order.extend(now.into_iter().cloned());
        open = later;
    }
    Strata { order, cycles }
}

/// The shortest way along what rules read from one back to itself; of several the least.
fn way_back(id: &str, reads: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut ways: Vec<Vec<String>> = vec![vec![id.to_owned()]];
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while !ways.is_empty() {
        let mut farther = Vec::new();
        for way in &ways {
            for next in way.last().and_then(|last| reads.get(last)).into_iter().flatten() {
                let way: Vec<String> = way.iter().chain([next]).cloned().collect();
                if next == id {
                    return Some(way);
                }
                if reads.contains_key(next) && seen.insert(next.clone()) {
                    farther.push(way);
                }
            }
        }
        ways = farther;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reads: &[(&str, &[&str])]) -> Strata {
        let reads = reads.iter().map(|(id, names)| {
            ((*id).to_owned(), names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>())
        });
        strata(&reads.collect())
    }

    #[test]
    fn each_rule_comes_after_what_it_reads() {
        let found = of(&[("a", &["c"]), ("b", &[]), ("c", &["d", "b"]), ("d", &["b", "nobody"])]);
        assert_eq!((found.order.join(" ").as_str(), found.cycles.len()), ("b d c a", 0));
    }

    #[test]
    fn what_rests_on_itself_is_named_with_its_way() {
        let found = of(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &["d"]), ("e", &["a"])]);
        assert_eq!(found.cycles.keys().collect::<Vec<_>>(), ["b", "c", "d"]);
        assert_eq!(found.cycles["b"].join(" "), "b c b");
        assert_eq!(found.cycles["d"].join(" "), "d d");
        assert_eq!(found.order.join(" "), "b c d a e");
    }
}
