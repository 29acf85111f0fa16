//! What an operator looks at: `/metrics`, `/healthz` and `/readyz`; and `/api/v1` ([`api`]), where programs ask.
//!
//! [`Metrics`] and [`Health`] are shared with the pipeline and the delivery workers, which only ever call cheap
//! synchronous methods on them; [`serve`] shows them over HTTP. [`logging`] writes the logs.

pub mod api;
mod cold_metrics;
mod health;
pub mod logging;
mod metrics;
mod operator_metrics;
mod principal_metrics;
mod server;
mod state_metrics;

pub use cold_metrics::ColdMetrics;
pub use health::Health;
pub use metrics::{Delivery, Metrics};
pub use operator_metrics::OperatorMetrics;
pub use principal_metrics::PrincipalMetrics;
pub use server::{Error, Served, serve};
pub use state_metrics::StateMetrics;
