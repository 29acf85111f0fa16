//! What an operator looks at: `/metrics`, `/healthz` and `/readyz`; and `/api/v1` ([`api`]), where programs ask.
//!
//! * [`Metrics`] and [`Health`] are shared with the pipeline and the delivery workers, which only ever call cheap synchronous
//!   methods on them; [`serve`] shows them over HTTP.
//! * `access`: who may ask and change what, and how often. `audit`: who changed what. `connection`: bounds of sockets.
//! * `live`: what has just happened.
//! * [`logging`] writes the logs.

mod access;
pub mod api;
mod audit;
mod case_metrics;
mod cold_metrics;
mod connection;
mod health;
mod live;
pub mod logging;
mod metrics;
mod operator_metrics;
mod principal_metrics;
mod routing_metrics;
mod server;
mod settings;
mod state_metrics;
mod template_metrics;

pub use access::{Role, Token, Tokens};
pub use cold_metrics::ColdMetrics;
pub use health::Health;
pub use metrics::{Delivery, Metrics};
pub use operator_metrics::OperatorMetrics;
pub use principal_metrics::PrincipalMetrics;
pub use routing_metrics::RoutingMetrics;
pub use server::{Error, Served, serve};
pub use settings::{Limits, Settings};
pub use state_metrics::StateMetrics;
pub use template_metrics::TemplateMetrics;
