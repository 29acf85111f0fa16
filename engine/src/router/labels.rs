//! What a half of an incident is called in matchers, silences and groups.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::{Array, RecordBatch, StringArray};
use serde::{Deserialize, Serialize};

use watershed_schemas::Origin;

use super::message::RuleBrief;
use crate::correlator::Telling;

/// Most values of one label: matchers are asked of each.
const VALUES: usize = 64;

/// One property that a matcher may ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// `model_abuse`, `access_compromise` or `both`.
    Verdict,
    /// The plane of the half: `model` or `access`.
    Plane,
    /// `info`, `low`, `medium`, `high` or `critical`.
    Severity,
    /// The plane that moved first: `model`, `access` or `undetermined`.
    Origin,
    /// The organisation.
    Tenant,
    /// The identity; empty where it is unknown.
    Principal,
    /// Agents that its evidence names.
    Agent,
    /// The team that owns the plane, and whoever the reference table `agents` names as owner or team of its agents.
    Owner,
    /// Ids of the rules that found something.
    Rule,
    /// Tags of these rules.
    Tag,
    /// Entries of public frameworks that these rules name.
    Framework,
}

impl Label {
    /// All labels.
    pub const ALL: [Label; 11] = [
        Label::Verdict,
        Label::Plane,
        Label::Severity,
        Label::Origin,
        Label::Tenant,
        Label::Principal,
        Label::Agent,
        Label::Owner,
        Label::Rule,
        Label::Tag,
        Label::Framework,
    ];

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Label::Verdict => "verdict",
            Label::Plane => "plane",
            Label::Severity => "severity",
            Label::Origin => "origin",
            Label::Tenant => "tenant",
            Label::Principal => "principal",
            Label::Agent => "agent",
            Label::Owner => "owner",
            Label::Rule => "rule",
            Label::Tag => "tag",
            Label::Framework => "framework",
        }
    }

    /// The label of this name.
    ///
    /// # Errors
    /// Where there is none, with those there are.
    pub fn parse(name: &str) -> Result<Label, String> {
        Label::ALL.into_iter().find(|label| label.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Label::ALL.iter().map(|label| label.name()).collect();
            let shown: String = name.chars().take(64).collect();
            format!("`{}` is no label; there is {}", shown.escape_debug(), known.join(", "))
        })
    }

    /// Every value that it can have, where these are few and known.
    pub fn values(self) -> Option<&'static [&'static str]> {
        match self {
            Label::Verdict => Some(&["model_abuse", "access_compromise", "both"]),
            Label::Plane => Some(&["model", "access"]),
            Label::Severity => Some(&["info", "low", "medium", "high", "critical"]),
            Label::Origin => Some(&["model", "access", "undetermined"]),
            _ => None,
        }
    }

    /// Whether it has several values at once: a matcher holds where it holds for one of them.
    pub fn is_list(self) -> bool {
        matches!(self, Label::Agent | Label::Owner | Label::Rule | Label::Tag | Label::Framework)
    }
}

/// The values of all labels of one half of an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<Label, BTreeSet<String>>);

impl Labels {
    /// Adds a value.
    #[must_use]
    pub fn with(mut self, label: Label, value: impl Into<String>) -> Self {
        self.add(label, value.into());
        self
    }

    fn add(&mut self, label: Label, value: String) {
        let values = self.0.entry(label).or_default();
        if values.len() < VALUES {
            values.insert(value);
        }
    }

    /// The values of a label, in order; one that is empty where there is none.
    pub fn values(&self, label: Label) -> impl Iterator<Item = &str> {
        let values = self.0.get(&label).filter(|values| !values.is_empty());
        let none = values.is_none().then_some("");
        values.into_iter().flatten().map(String::as_str).chain(none)
    }

    /// The values as one text.
    pub fn text(&self, label: Label) -> String {
        self.values(label).collect::<Vec<_>>().join(",")
    }

    /// What is known of a half.
    pub(super) fn of(
        telling: &Telling,
        rules: &BTreeMap<String, RuleBrief>,
        owners: &BTreeMap<String, Vec<String>>,
    ) -> Labels {
        let incident = &telling.incident;
        let mut labels = Labels::default()
            .with(Label::Verdict, incident.verdict.name())
            .with(Label::Plane, telling.plane.name())
            .with(Label::Severity, incident.severity.name())
            .with(Label::Origin, origin(incident.origin))
            .with(Label::Tenant, incident.tenant.as_str())
            .with(Label::Owner, telling.plane.team());
        if let Some(principal) = &incident.principal {
            labels.add(Label::Principal, principal.clone());
        }
        let evidence = telling.signals.iter().flat_map(|signal| &signal.evidence);
        let named = evidence.filter_map(|evidence| evidence.columns.get("agent_id"));
        for agent in incident.agents.iter().chain(named) {
            labels.add(Label::Agent, agent.clone());
            for owner in owners.get(agent).into_iter().flatten() {
                labels.add(Label::Owner, owner.clone());
            }
        }
        for rule in &incident.rules {
            labels.add(Label::Rule, rule.clone());
            if let Some(brief) = rules.get(rule) {
                brief.tags.iter().for_each(|tag| labels.add(Label::Tag, tag.clone()));
                brief.frameworks.iter().for_each(|framework| labels.add(Label::Framework, framework.clone()));
            }
        }
        incident.tags.iter().for_each(|tag| labels.add(Label::Tag, tag.clone()));
        incident.frameworks.iter().for_each(|framework| labels.add(Label::Framework, framework.clone()));
        labels
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Model => "model",
        Origin::Access => "access",
        Origin::Undetermined => "undetermined",
    }
}

/// Owner and team of each agent.
pub(super) fn owners(agents: &RecordBatch) -> BTreeMap<String, Vec<String>> {
    let column = |name: &str| agents.column_by_name(name)?.as_any().downcast_ref::<StringArray>();
    let text = |name: &str, row: usize| {
        let column = column(name).filter(|column| !column.is_null(row))?;
        Some(column.value(row).to_owned()).filter(|text| !text.is_empty())
    };
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in 0..agents.num_rows() {
        if let Some(agent) = text("agent_id", row) {
            owners.entry(agent).or_default().extend(["owner", "team"].into_iter().filter_map(|name| text(name, row)));
        }
    }
    owners
}
