//! What can be asked of a core, running or not.

use std::time::Duration;

use serde_json::{Value, json};
use watershed_schemas::Timestamp;

use crate::core::Core;
use crate::{inventory, lifecycle};

/// Something that is asked of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is it that this id names?
    Identity {
        /// The organisation.
        tenant: String,
        /// The id.
        id: String,
        /// The time that it is asked about; now where absent.
        at: Option<Timestamp>,
    },
    /// Which links between ids are refused?
    Conflicts {
        /// Of this organisation; of all where absent.
        tenant: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// How far does an identity reach?
    BlastRadius {
        /// The organisation.
        tenant: String,
        /// Any id of the identity.
        id: String,
        /// As of when; the newest event where absent.
        at: Option<Timestamp>,
        /// How long before that its deeds are counted; a day where absent.
        window: Option<Duration>,
    },
    /// What is there, and what is wrong with it?
    Inventory(inventory::Options),
    /// When did access change that was said to change?
    Lifecycle(lifecycle::Options),
}

impl Question {
    /// What the core knows of it.
    pub fn answer(&self, core: &Core) -> Value {
        match self {
            Question::Identity { tenant, id, at } => {
                serde_json::to_value(core.identity(tenant, id, *at)).unwrap_or_default()
            }
            Question::Conflicts { tenant, limit } => {
                let all = core.principals().conflicts();
                let asked = all.filter(|(name, _)| tenant.as_deref().is_none_or(|tenant| tenant == *name));
                let mut shown = Vec::new();
                let mut count = 0_usize;
                for (tenant, conflict) in asked {
                    count += 1;
                    if shown.len() < *limit {
                        let mut value = serde_json::to_value(conflict).unwrap_or_default();
                        value["tenant"] = tenant.into();
                        shown.push(value);
                    }
                }
                json!({"count": count, "conflicts": shown})
            }
            Question::BlastRadius { tenant, id, at, window } => {
                serde_json::to_value(core.blast_radius(tenant, id, *at, *window)).unwrap_or_default()
            }
            // Null where no books are kept.
            Question::Inventory(options) => serde_json::to_value(core.inventory(options)).unwrap_or_default(),
            Question::Lifecycle(options) => serde_json::to_value(core.lifecycle(options)).unwrap_or_default(),
        }
    }
}
