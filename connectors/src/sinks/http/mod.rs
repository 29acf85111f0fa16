//! One HTTP request to a receiver: where it may connect, and what the answer means.
//!
//! No redirects, no proxies from the environment, addresses checked when the connection is made (so that a name that
//! changes its address between check and use gains nothing), and no body of an answer in any message or log.

mod address;
mod answer;
mod client;
mod resolver;

pub use address::{Network, NetworkSettings};
pub use client::{HttpClient, HttpSettings};

pub(super) use answer::Answer;
pub(super) use client::{Endpoint, url_problems};
