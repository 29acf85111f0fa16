//! The YAML block that opens a rule file.

mod parameter;
mod parse;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use watershed_schemas::{PlaneScores, RulePlane, Severity};

pub use parameter::Parameter;

/// A rule file as read: nothing is planned yet.
#[derive(Clone, Debug)]
pub struct RuleSource {
    /// Where it was read from; for messages.
    pub path: PathBuf,
    /// The whole file.
    pub text: String,
    /// Byte offset of the SQL in `text`.
    pub sql_offset: usize,
    /// The front matter.
    pub meta: RuleMeta,
}

/// When a rule that isn't monotone may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Emit {
    /// At the first watermark that makes the row final.
    #[default]
    Final,
    /// At once; what turns out false is withdrawn.
    Early,
}

/// What the front matter says. Unknown members are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleMeta {
    /// Unique id, of `[a-z0-9-]`; the file's stem.
    pub id: String,
    /// One line for the person who gets the alert.
    pub title: String,
    /// Whose finding it is.
    pub plane: RulePlane,
    /// How bad it is.
    pub severity: Severity,
    /// The output columns that identify a finding.
    pub key: Vec<String>,
    /// References such as `ASI03:2026`, `NHI1:2025`, `AML.T0091.000`.
    #[serde(default)]
    pub frameworks: Vec<String>,
    /// The team that owns the finding: `ai-security`, `iam`; for `both` either or absent.
    #[serde(default)]
    pub owner: Option<String>,
    /// Where to read what to do.
    #[serde(default)]
    pub runbook: Option<String>,
    /// What the rule looks for and why, for its reader.
    #[serde(default)]
    pub description: Option<String>,
    /// What to do first, per plane; the default comes from the plane.
    #[serde(default)]
    pub first_move: FirstMove,
    /// How much a finding counts for each plane; 1 for the planes of `plane` where absent.
    #[serde(default, deserialize_with = "weights")]
    pub weights: Option<PlaneScores>,
    /// What `$name` stands for in the SQL, by name, unless an installation says otherwise.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// Free words for routing.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it may speak.
    #[serde(default)]
    pub emit: Emit,
}

/// First containment steps of a rule, per plane.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FirstMove {
    /// For AI security.
    pub model: Option<String>,
    /// For IAM.
    pub access: Option<String>,
}

/// Weights of one plane or both; a plane that isn't named has none.
fn weights<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PlaneScores>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Weights {
        model: f64,
        access: f64,
    }
    let weights = Option::<Weights>::deserialize(deserializer)?;
    Ok(weights.map(|Weights { model, access }| PlaneScores { model, access }))
}
