//! What the benchmarks share: a seeded workload and ways to measure a process.

pub mod process;
pub mod workload;
