//! What the benchmarks share: a seeded workload, rules, and ways to run and measure a process.

pub mod findings;
pub mod modes;
pub mod process;
pub mod rule_mix;
pub mod workload;
