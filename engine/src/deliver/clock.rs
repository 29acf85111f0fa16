//! Time and chance, passed in so that tests need neither.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;
use watershed_schemas::Timestamp;

/// What delivery knows of time and chance.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day, for signatures and dead letters. It may jump.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; it never goes back.
    fn elapsed(&self) -> Duration;
    /// Returns when so much time has gone by.
    async fn sleep(&self, duration: Duration);
    /// A number in `[0, 1)`.
    fn jitter(&self) -> f64;
}

/// The system's clocks.
pub struct SystemClock {
    start: Instant,
    chance: Mutex<ChaCha8Rng>,
}

impl SystemClock {
    /// With a seed of the system's.
    pub fn new() -> Self {
        // The hasher of the standard library is keyed by the system's randomness.
        let seed = std::hash::RandomState::new().build_hasher().finish();
        SystemClock { start: Instant::now(), chance: Mutex::new(ChaCha8Rng::seed_from_u64(seed)) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(Utc::now().timestamp_micros())
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn jitter(&self) -> f64 {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).random_range(0.0..1.0)
    }
}
