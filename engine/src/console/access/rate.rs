//! How often somebody may ask: a bucket of tokens for each, filled as time passes. The time is handed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Callers that are remembered. Beyond it those whose buckets are full again are forgotten.
const REMEMBERED: usize = 4_096;

/// Whom a bucket is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::console) enum Whose {
    /// A token, by its name.
    Token(std::sync::Arc<str>),
    /// An address.
    Address(std::net::IpAddr),
}

/// What one caller has left.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// The buckets of all callers.
#[derive(Debug)]
pub(in crate::console) struct Buckets {
    per_second: f64,
    most: f64,
    known: HashMap<Whose, Bucket>,
}

impl Buckets {
    /// Buckets of `burst` requests that fill with `per_second`.
    pub(in crate::console) fn new(per_second: u32, burst: u32) -> Self {
        Buckets { per_second: f64::from(per_second.max(1)), most: f64::from(burst.max(1)), known: HashMap::new() }
    }

    /// Takes one request out of a bucket.
    ///
    /// # Errors
    /// How long to wait for the next, where the bucket is empty.
    pub(in crate::console) fn take(&mut self, whose: Whose, now: Instant) -> Result<(), Duration> {
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&whose) {
            self.forget(now);
        }
        let (per_second, most) = (self.per_second, self.most);
        let bucket = self.known.entry(whose).or_insert(Bucket { left: most, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + passed * per_second).min(most);
        bucket.at = bucket.at.max(now);
        if bucket.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.left) / per_second));
        }
        bucket.left -= 1.0;
        Ok(())
    }

    /// Forgets those who would have a full bucket anyway; where that is nobody, the one that asked longest ago.
    fn forget(&mut self, now: Instant) {
        let (per_second, most) = (self.per_second, self.most);
        let full =
            |bucket: &Bucket| bucket.left + now.saturating_duration_since(bucket.at).as_secs_f64() * per_second >= most;
        self.known.retain(|_, bucket| !full(bucket));
        if self.known.len() >= REMEMBERED
            && let Some(oldest) = self.known.iter().min_by_key(|(_, bucket)| bucket.at).map(|(whose, _)| whose.clone())
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn address(number: u32) -> Whose {
        Whose::Address(IpAddr::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_that_time_gives() {
        let start = Instant::now();
        let mut buckets = Buckets::new(10, 3);
        let mut take = |after_ms: u64| buckets.take(address(1), start + Duration::from_millis(after_ms));
        assert_eq!([take(0), take(0), take(0)], [Ok(()); 3]);
        let wait = take(0).expect_err("the bucket is empty");
        assert_eq!(wait, Duration::from_millis(100));
        assert!(take(99).is_err());
        assert_eq!(take(101), Ok(()));
        assert!(take(101).is_err());
        // A clock that goes back gives nothing.
        assert!(take(0).is_err());
        // A long pause gives no more than the burst.
        assert_eq!([take(60_000), take(60_000), take(60_000)], [Ok(()); 3]);
        assert!(take(60_000).is_err());
    }

    #[test]
    fn one_caller_takes_nothing_from_another() {
        let now = Instant::now();
        let mut buckets = Buckets::new(1, 1);
        assert_eq!(buckets.take(address(1), now), Ok(()));
        assert!(buckets.take(address(1), now).is_err());
        assert_eq!(buckets.take(address(2), now), Ok(()));
        assert_eq!(buckets.take(Whose::Token("ada".into()), now), Ok(()));
    }

    #[test]
    fn many_addresses_take_no_memory_without_end() {
        let now = Instant::now();
        let mut buckets = Buckets::new(1, 2);
        for number in 0..3 * u32::try_from(REMEMBERED).expect("small") {
            assert_eq!(buckets.take(address(number), now), Ok(()));
        }
        assert!(buckets.known.len() <= REMEMBERED);
    }
}
