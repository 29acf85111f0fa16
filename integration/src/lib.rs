//! End-to-end tests of Watershed: the harness that they share.
//!
//! * [`broker`]: a real Apache Kafka broker, one per test run, gone with the test process whatever ends it.
//! * [`receivers`]: real HTTP receivers that remember every request and can refuse, stall or fail.
//! * [`program`] and [`deployment`]: the `watershed` binary as a process, and what it is configured with.
//! * [`agentdojo`]: recorded agent conversations as OpenTelemetry spans, and a seeded guardrail over them.
//! * [`identity`]: generated identity telemetry to pair with them: ordinary, decoy and stolen.
//! * [`scenario`] and [`score`]: who was attacked on which plane, and how well the pages tell it.
//! * [`scenarios`]: stories written by hand, each with a twin, and what every team must come to know of them.
//!
//! The tests themselves are in `tests/integration`.

pub mod agentdojo;
pub mod broker;
pub mod deployment;
pub mod guard;
pub mod identity;
pub mod program;
pub mod receivers;
pub mod recordings;
pub mod scenario;
pub mod scenarios;
pub mod score;
pub mod wait;
