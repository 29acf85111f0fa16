//! The two planes, and which of them a rule's findings belong to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::column::Column;
use crate::tables;

/// One of the two kinds of telemetry. They stay apart all the way: topics, tables, watermarks and owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// Runtime telemetry of AI agents, owned by AI security; table `runtime`.
    Model,
    /// Identity telemetry, owned by IAM; table `identity`.
    Access,
}

impl Plane {
    /// Both planes, in the order that everything which lists them uses.
    pub const ALL: [Plane; 2] = [Plane::Model, Plane::Access];

    /// The plane's name: `model` or `access`.
    pub fn name(self) -> &'static str {
        match self {
            Plane::Model => "model",
            Plane::Access => "access",
        }
    }

    /// The table that holds the plane's events: `runtime` or `identity`.
    pub fn table(self) -> &'static str {
        match self {
            Plane::Model => "runtime",
            Plane::Access => "identity",
        }
    }

    /// The team that owns what is found on the plane, unless somebody says otherwise.
    pub fn team(self) -> &'static str {
        match self {
            Plane::Model => "ai-security",
            Plane::Access => "iam",
        }
    }

    /// The plane whose table has this name.
    pub fn from_table(table: &str) -> Option<Plane> {
        Plane::ALL.into_iter().find(|plane| plane.table() == table)
    }

    /// The columns of the plane's table, in order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Plane::Model => &tables::runtime::COLUMNS,
            Plane::Access => &tables::identity::COLUMNS,
        }
    }

    /// The position of a column in the plane's table.
    pub fn column(self, name: &str) -> Option<usize> {
        self.columns().iter().position(|column| column.name == name)
    }

    /// Positions of the columns that name one principal each. Rules read them as what the principal is called, and not as the
    /// record has it.
    pub fn principal_columns(self) -> &'static [usize] {
        use tables::{identity, runtime};
        match self {
            Plane::Model => &[runtime::PRINCIPAL, runtime::ON_BEHALF_OF],
            Plane::Access => &[identity::PRINCIPAL, identity::ACTOR, identity::ON_BEHALF_OF, identity::OWNER],
        }
    }

    /// 0 for `model`, 1 for `access`: for arrays that hold one value per plane.
    pub fn index(self) -> usize {
        match self {
            Plane::Model => 0,
            Plane::Access => 1,
        }
    }

    /// The other plane.
    pub fn other(self) -> Plane {
        match self {
            Plane::Model => Plane::Access,
            Plane::Access => Plane::Model,
        }
    }
}

impl std::fmt::Display for Plane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose finding a rule's signals are. `both` needs wrongdoing evidenced in each plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RulePlane {
    /// A finding of AI security alone.
    Model,
    /// A finding of IAM alone.
    Access,
    /// A finding of both.
    Both,
}

impl RulePlane {
    /// The planes that the finding counts for.
    pub fn planes(self) -> &'static [Plane] {
        match self {
            RulePlane::Model => &[Plane::Model],
            RulePlane::Access => &[Plane::Access],
            RulePlane::Both => &Plane::ALL,
        }
    }

    /// `model`, `access` or `both`.
    pub fn name(self) -> &'static str {
        match self {
            RulePlane::Model => "model",
            RulePlane::Access => "access",
            RulePlane::Both => "both",
        }
    }
}
