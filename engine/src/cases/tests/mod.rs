//! Case files over their life.
