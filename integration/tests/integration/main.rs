//! End-to-end tests of the whole program.

mod harness;
mod workspace;
