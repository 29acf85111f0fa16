//! A clock that goes as far as anyone sleeps.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use watershed_schemas::Timestamp;

use crate::deliver::Clock;

#[derive(Default)]
pub(super) struct TestClock {
    slept: Mutex<Vec<Duration>>,
}

impl TestClock {
    /// Every sleep, in order.
    pub(super) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_780_000_000).plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.slept().iter().sum()
    }

    async fn sleep(&self, duration: Duration) {
        self.slept.lock().expect("not poisoned").push(duration);
        tokio::task::yield_now().await;
    }

    fn jitter(&self) -> f64 {
        0.0
    }
}
