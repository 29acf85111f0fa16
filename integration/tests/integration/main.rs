//! End-to-end tests of the whole program.

mod api;
mod backfill;
mod compose;
mod crash;
#[path = "../../../engine/tests/engine/deeds.rs"]
mod deeds;
mod demo;
mod duckdb;
mod harness;
mod pairs;
mod poison;
mod quadrants;
mod recorded;
mod rerun;
mod scenarios;
mod secure;
mod waves;
mod workspace;
