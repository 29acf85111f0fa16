//! What must not leave the engine, and what must not reach a team.
//!
//! Two things are kept apart. A **secret** (a key, a token, a password) is nobody's business: wherever one is found, in
//! whatever column, it becomes `[masked:kind]` when the text is copied, and again when a message leaves. Everything else
//! is a question of who reads: each column has a [`Class`], each receiver a [`Policy`], and through its [`Lens`] a receiver
//! sees a value, or `withheld:class#fingerprint` in its place.

mod answer;
mod class;
mod fingerprint;
mod lens;
mod message;
mod policy;
pub mod secrets;
mod settings;
#[cfg(test)]
mod walk;

use std::collections::BTreeMap;

use watershed_schemas::Plane;

pub use answer::{mask_answer, mask_reach, mask_signal, masked};
pub use class::Class;
pub use fingerprint::Key;
pub use lens::{Event, Lens};
pub use message::mask_message;
pub use policy::{Overrides, Policy, Sight};
pub use secrets::{mask_known, mask_secrets};
pub use settings::Settings;

/// What an installation says about redaction.
#[derive(Clone, Debug)]
pub struct Redaction {
    /// Under which fingerprints are made.
    pub key: Key,
    /// What receivers are shown beyond the default, by name.
    pub receivers: BTreeMap<String, Overrides>,
}

impl Default for Redaction {
    fn default() -> Self {
        Redaction { key: Key::public(), receivers: BTreeMap::new() }
    }
}

impl Redaction {
    /// What this receiver, which may show the evidence of these planes, is shown.
    pub fn policy(&self, receiver: &str, planes: &[Plane]) -> Policy {
        let policy = Policy::of(planes);
        self.receivers.get(receiver).map_or(policy, |overrides| policy.with(overrides))
    }
}
