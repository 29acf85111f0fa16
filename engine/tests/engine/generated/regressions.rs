//! What the generator has found, frozen.
