//! Rows that were put on a shelf and can't be had back: what needs them is not said, and it is known of what.

use std::collections::BTreeMap;

use super::RuleState;
use super::keys::SlotId;
use crate::evaluator::rows::Segment;
use crate::evaluator::span::Span;

impl RuleState {
    /// Outputs of this span of a key can't be judged any more. What was said of them stands.
    pub(super) fn lose(&mut self, key: SlotId, span: Span) {
        let Some(state) = self.keys.get_mut(key) else { return };
        self.tally.unreadable += 1;
        self.tally.degraded += u64::from(state.degraded.is_none());
        self.degraded_keys += usize::from(state.degraded.is_none());
        state.degraded = Some(span.joined(state.degraded));
        self.lost = Some(span.joined(self.lost));
        self.unrecorded = true;
    }

    /// Rows of a segment that it should have been given are lost, and nobody knows of which keys.
    pub(in crate::evaluator) fn lose_segment(&mut self, segment: &Segment) {
        self.tally.unreadable += 1;
        let rule = std::sync::Arc::clone(self.rule());
        for scan in rule.scans.iter().filter(|scan| scan.table == segment.table) {
            let (first, last) = segment.span();
            let touched = Span::touched_by(first, scan.around).joined(Some(Span::touched_by(last, scan.around)));
            self.lost = Some(touched.joined(self.lost));
            self.lost_before = Some(touched.joined(self.lost_before));
        }
        self.unrecorded = true;
    }

    /// What it holds of these segments, given with their bytes.
    pub(in crate::evaluator) fn bytes_of(&self, segments: &BTreeMap<u64, usize>) -> usize {
        if segments.is_empty() { 0 } else { self.memory.bytes_of(segments) }
    }
}
