//! What must not leave the engine, and what must not reach a team.
//!
//! Two things are kept apart. A **secret** (a key, a token, a password) is nobody's business: wherever one is found, in
//! whatever column, it becomes `[masked:kind]` when the text is copied, and again when a message leaves. Everything else
//! is a question of who reads.

pub mod secrets;

pub use secrets::{mask_known, mask_secrets};
