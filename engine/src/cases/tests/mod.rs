//! Case files over their life: growth, restart, retention, erasure, views.

mod example;
mod life;
mod privacy;

pub(crate) use example::{hostile, moment, whole};
