//! A test hook: ends the process as a power cut would, at a named boundary.
//!
//! `WATERSHED_CRASH_AT=after_send:3` aborts when the point `after_send` is reached for the third time; without a count
//! the first time. It exists so that tests can show what survives a kill between any two steps, and does nothing
//! unless the variable is set. The points are, in the order of the data path: `before_commit`, `after_commit`,
//! `before_send`, `after_send`.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The environment variable that names the point.
pub const VARIABLE: &str = "WATERSHED_CRASH_AT";

static PLAN: LazyLock<Option<Plan>> = LazyLock::new(|| {
    let text = std::env::var(VARIABLE).ok()?;
    let plan = Plan::parse(&text);
    match &plan {
        Some(plan) => {
            tracing::warn!(point = %plan.point, times = plan.times, "{VARIABLE} is set: this process will abort itself")
        }
        None => tracing::warn!(value = %text.escape_debug(), "{VARIABLE} is ignored: write it like `after_send:3`"),
    }
    plan
});

static REACHED: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, PartialEq, Eq)]
struct Plan {
    point: String,
    times: u32,
}

impl Plan {
    fn parse(text: &str) -> Option<Plan> {
        let (point, times) = text.split_once(':').unwrap_or((text, "1"));
        let times = times.parse().ok().filter(|times| *times > 0)?;
        (!point.is_empty()).then(|| Plan { point: point.to_owned(), times })
    }
}

/// Aborts the process if this is the point, and the time, that the environment names.
pub fn point(name: &str) {
    if let Some(plan) = PLAN.as_ref()
        && plan.point == name
        && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == plan.times
    {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_point_and_a_count() {
        let plan = |point: &str, times| Some(Plan { point: point.to_owned(), times });
        assert_eq!(Plan::parse("after_send:3"), plan("after_send", 3));
        assert_eq!(Plan::parse("before_commit"), plan("before_commit", 1));
        for bad in ["", ":2", "after_send:0", "after_send:x", "after_send:-1"] {
            assert_eq!(Plan::parse(bad), None, "{bad}");
        }
    }
}
