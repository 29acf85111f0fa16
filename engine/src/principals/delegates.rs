//! Who an id is and who acts for it, found without looking at everybody else.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_schemas::Timestamp;

use super::Principals;
use super::tenant::Tenant;

/// One principal and those whose deeds are its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acting {
    /// What it is called.
    pub principal: String,
    /// Its ids.
    pub ids: BTreeSet<String>,
    /// What those are called who act on its behalf, or whom it answers for.
    pub delegates: BTreeSet<String>,
    /// Other organisations in which one of its ids is tied to another.
    pub tenants: BTreeSet<String>,
}

impl Principals {
    /// The principal that an id belongs to, and who acted for it in events up to this moment.
    pub fn acting(&self, tenant: &str, id: &str, at: Timestamp) -> Acting {
        let nobody = Tenant::default();
        let state = self.tenants.get(tenant).unwrap_or(&nobody);
        let principal = state.canonical(&id.into());
        let ids: BTreeSet<Arc<str>> =
            state.members.get(&principal).cloned().unwrap_or_else(|| BTreeSet::from([Arc::clone(&principal)]));
        let from = ids.iter().flat_map(|id| state.toward(id, at)).filter(|from| !ids.contains(*from));
        let delegates: BTreeSet<Arc<str>> = from.map(|from| state.canonical(from)).collect();
        let tenants = self.tenants.iter().filter(|(_, state)| ids.iter().any(|id| state.ties(id)));
        Acting {
            tenants: tenants.map(|(name, _)| name.to_string()).collect(),
            delegates: delegates.iter().map(ToString::to_string).collect(),
            ids: ids.iter().chain([&principal]).map(ToString::to_string).collect(),
            principal: principal.to_string(),
        }
    }
}
