//! Which plan judges which outputs.
//!
//! A reference file that is read anew is valid from the largest accepted event time on: outputs up to there are still
//! judged by the data as it was, later ones by the new data.

use std::sync::Arc;

use watershed_rules::CompiledRule;
use watershed_schemas::Timestamp;

use super::span::Span;

/// Most versions of reference data that one rule tells apart; what the oldest judged is then left as it was said.
const MOST_VERSIONS: usize = 8;

/// The plans of one rule version over the versions of its reference data.
pub(super) struct Plans {
    /// The plan of the present.
    pub(super) current: Arc<CompiledRule>,
    /// Digest of the reference tables that it reads.
    pub(super) reference: String,
    /// Earlier plans with the last event time that each judges, oldest first.
    earlier: Vec<(Timestamp, Arc<CompiledRule>)>,
    /// Outputs up to here are not judged any more.
    pub(super) frozen_until: Timestamp,
}

impl Plans {
    pub(super) fn new(current: Arc<CompiledRule>, reference: String) -> Self {
        Plans { current, reference, earlier: Vec::new(), frozen_until: Timestamp::MIN }
    }

    /// Judges outputs after `until` by another plan from now on.
    pub(super) fn change(&mut self, plan: Arc<CompiledRule>, reference: String, until: Timestamp) {
        let before = std::mem::replace(&mut self.current, plan);
        self.reference = reference;
        match self.earlier.last() {
            // Nothing came between two changes: the one between judged nothing.
            Some((last, _)) if *last >= until => {}
            _ if self.frozen_until >= until => {}
            _ => self.earlier.push((until, before)),
        }
        if self.earlier.len() > MOST_VERSIONS {
            self.frozen_until = self.earlier.remove(0).0;
        }
    }

    /// Forgets plans that judge only outputs which `is_sealed`.
    pub(super) fn forget(&mut self, is_sealed: impl Fn(Timestamp) -> bool) {
        while let Some((until, _)) = self.earlier.first() {
            if !is_sealed(*until) {
                return;
            }
            self.frozen_until = self.earlier.remove(0).0;
        }
    }

    /// The last time that an earlier plan judges: after a restart nothing up to here can be judged again.
    pub(super) fn changed_at(&self) -> Timestamp {
        self.earlier.last().map_or(self.frozen_until, |(until, _)| *until)
    }

    /// The parts of a span with the plan that judges each.
    pub(super) fn over(&self, span: Span) -> impl Iterator<Item = (Span, &CompiledRule)> {
        let ends = self.earlier.iter().map(|(until, plan)| (until.micros(), plan));
        let mut from = if self.frozen_until == Timestamp::MIN { i64::MIN } else { self.frozen_until.micros() + 1 };
        ends.chain([(i64::MAX, &self.current)]).filter_map(move |(until, plan)| {
            let part = Span { least: from, most: until }.common(span);
            from = until.saturating_add(1);
            part.map(|part| (part, plan.as_ref()))
        })
    }

    /// The part of a span that is judged, where the present plan judges all of it.
    pub(super) fn present_part(&self, span: Span) -> Option<Span> {
        let mut parts = self.over(span);
        let (part, plan) = parts.next()?;
        (parts.next().is_none() && std::ptr::eq(plan, self.current.as_ref())).then_some(part)
    }

    /// Whether an output of this time may still be judged.
    pub(super) fn judges(&self, time: Timestamp) -> bool {
        self.frozen_until == Timestamp::MIN || time > self.frozen_until
    }
}
