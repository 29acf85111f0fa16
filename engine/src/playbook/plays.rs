//! The table of steps: what, to what, and when.

use watershed_schemas::{Move, Plane};

/// What a step is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// A credential that was used, and is not known to be over.
    Credential,
    /// A session at the identity provider, not known to be over.
    IdentitySession,
    /// The account of the incident's identity.
    Account,
    /// An agent.
    Agent,
    /// A tool that was called; one of which the registry says that it is not sensitive is left alone.
    Tool,
    /// A session of an agent.
    AgentSession,
    /// A memory that was written or read.
    Memory,
}

/// When a step is worth its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Where the evidence names what it is done to.
    Named,
    /// Where less would not do: several credentials, something done to the account itself, or nothing left to revoke.
    LessWouldNotDo,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Play {
    pub(crate) plane: Plane,
    pub(crate) action: Move,
    pub(crate) object: Object,
    pub(crate) when: When,
    /// Most objects that are named.
    pub(crate) most: usize,
    /// What to do, `{}` for the object.
    pub(crate) text: &'static str,
    /// The same where the evidence names none.
    pub(crate) unnamed: &'static str,
}

const fn play(
    plane: Plane,
    action: Move,
    object: Object,
    when: When,
    most: usize,
    text: &'static str,
    unnamed: &'static str,
) -> Play {
    Play { plane, action, object, when, most, text, unnamed }
}

/// The steps of each plane, in their order.
#[rustfmt::skip]
pub(crate) const PLAYS: [Play; 7] = [
    play(Plane::Model, Move::PauseAgent, Object::Agent, When::Named, 2, "pause agent {}", "pause the agent"),
    play(Plane::Model, Move::QuarantineSession, Object::AgentSession, When::Named, 3, "quarantine session {}", "quarantine its session"),
    play(Plane::Model, Move::QuarantineSession, Object::Memory, When::Named, 2, "quarantine memory {}", "quarantine its memory"),
    play(Plane::Model, Move::DisableTool, Object::Tool, When::Named, 2, "take tool {} from agents", "take the tool from agents"),
    play(Plane::Access, Move::RevokeCredential, Object::Credential, When::Named, 3, "revoke credential {}", "revoke the credential"),
    play(Plane::Access, Move::EndSession, Object::IdentitySession, When::Named, 3, "end session {}", "end its sessions"),
    play(Plane::Access, Move::DisableAccount, Object::Account, When::LessWouldNotDo, 1, "disable account {}", "disable the account"),
];

/// Kinds of identity events after which the account itself is not to be trusted: somebody signed in as it, or changed what it is.
pub(super) const OF_THE_ACCOUNT: [&str; 10] = [
    "authentication",
    "mfa_challenge",
    "account_created",
    "account_updated",
    "account_reactivated",
    "credential_created",
    "role_granted",
    "group_added",
    "consent_granted",
    "risk_changed",
];

/// Words for tools that need not be taken from anybody.
pub(super) const HARMLESS: [&str; 4] = ["none", "info", "low", "public"];
