//! Which fields are sensitive, and in which way: the one place that says so.

use std::fmt;

use serde::{Deserialize, Serialize};
use watershed_schemas::Plane;

/// A class of fields that a receiver may be kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// What people and agents say to models, and what guardrails quote of it.
    Prompt,
    /// Arguments of tool calls, and what tools act on.
    Arguments,
    /// What models and tools answer, and what was retrieved.
    Result,
    /// Network addresses and where they are.
    Address,
    /// Devices and user agents.
    Device,
    /// What names people beside the principal: e-mail addresses in texts, other names, reasons in a source's own words.
    Personal,
    /// Keys, tokens and passwords, wherever they are. Shown to nobody.
    Secret,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 7] =
        [Class::Prompt, Class::Arguments, Class::Result, Class::Address, Class::Device, Class::Personal, Class::Secret];

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Class::Prompt => "prompt",
            Class::Arguments => "arguments",
            Class::Result => "result",
            Class::Address => "address",
            Class::Device => "device",
            Class::Personal => "personal",
            Class::Secret => "secret",
        }
    }

    /// The class of a column of this plane in an event of this kind; none where anybody who is told of the event may read
    /// it. `content_fingerprint` and `arguments_fingerprint` stand for the columns that they were made of.
    ///
    /// A principal is not `personal`: it is whom the incident is about, and both teams have to act on it. Ids of sessions,
    /// agents, clients and credentials are ids, not secrets.
    pub fn of(plane: Plane, kind: &str, column: &str) -> Option<Class> {
        let column = column.strip_suffix("_fingerprint").unwrap_or(column);
        match (plane, column) {
            (Plane::Model, "content") => Some(match kind {
                "completion" | "tool_result" | "retrieval" => Class::Result,
                _ => Class::Prompt,
            }),
            (Plane::Model, "arguments" | "target") => Some(Class::Arguments),
            (_, "ip" | "asn" | "country" | "latitude" | "longitude") => Some(Class::Address),
            (_, "device_id" | "user_agent") => Some(Class::Device),
            (_, "reason" | "aliases" | "attributes") => Some(Class::Personal),
            _ => None,
        }
    }

    /// Whether the team of the other plane is shown this column, which is of no class: what was done. The rest would not help it.
    pub fn is_open_to_others(plane: Plane, column: &str) -> bool {
        let open: &[&str] = match plane {
            Plane::Model => &["tool", "agent_id", "agent_name", "credential_id", "outcome", "verdict", "category"],
            Plane::Access => &["credential_id", "credential_type", "grant_type", "client_id", "outcome", "risk"],
        };
        open.contains(&column)
    }

    /// Whether people and sources write into this column as they like: secrets, addresses and names of people are looked for
    /// inside of it.
    pub fn is_free_text(column: &str) -> bool {
        matches!(
            column,
            "content"
                | "arguments"
                | "target"
                | "resource"
                | "reason"
                | "policy"
                | "agent_name"
                | "user_agent"
                | "attributes"
        )
    }

    /// Whether network addresses in this free text say where somebody came from, and not what was acted on.
    pub(super) fn tells_whence(column: &str) -> bool {
        !matches!(column, "target" | "resource")
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A column that comes new is open until somebody decides otherwise; this is where they have to.
    #[test]
    fn every_column_is_decided() {
        let classified = |plane: Plane| {
            let of = |kind| {
                plane.columns().iter().filter_map(move |column| {
                    Some(format!("{} {kind} {}", column.name, Class::of(plane, kind, column.name)?))
                })
            };
            of("prompt").chain(of("tool_result").filter(|line| line.starts_with("content"))).collect::<Vec<_>>()
        };
        assert_eq!(
            classified(Plane::Model),
            [
                "target prompt arguments",
                "content prompt prompt",
                "arguments prompt arguments",
                "ip prompt address",
                "aliases prompt personal",
                "attributes prompt personal",
                "content tool_result result",
            ]
        );
        assert_eq!(
            classified(Plane::Access),
            [
                "reason prompt personal",
                "ip prompt address",
                "asn prompt address",
                "country prompt address",
                "latitude prompt address",
                "longitude prompt address",
                "user_agent prompt device",
                "device_id prompt device",
                "aliases prompt personal",
                "attributes prompt personal",
            ]
        );
        let open = Plane::ALL.map(|plane| {
            plane.columns().iter().filter(|column| Class::of(plane, "prompt", column.name).is_none()).count()
        });
        assert_eq!(open, [Plane::Model.columns().len() - 6, Plane::Access.columns().len() - 10]);
    }
}
