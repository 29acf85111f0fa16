//! Where a condition holds in a batch.

use datafusion::arrow::array::BooleanBufferBuilder;
use datafusion::arrow::buffer::BooleanBuffer;

/// What is known of a condition on the rows of a batch.
#[derive(Clone, Debug, Default)]
pub(super) enum Truth {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It holds nowhere.
    Never,
    /// It holds at these rows.
    At(BooleanBuffer),
}

/// The rows at which a condition holds, being found.
pub(super) struct Bits(BooleanBufferBuilder);

impl Bits {
    /// None of so many rows.
    pub(super) fn new(rows: usize) -> Self {
        let mut bits = BooleanBufferBuilder::new(rows);
        bits.append_n(rows, false);
        Bits(bits)
    }

    pub(super) fn set(&mut self, row: usize) {
        self.0.set_bit(row, true);
    }

    pub(super) fn into_truth(mut self) -> Truth {
        Truth::At(self.0.finish())
    }
}
