//! How far the rows of a scan can lie from a finding, and why.

/// How far the rows of a scan can lie from a finding's `event_time`, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanReach {
    /// Before it.
    pub behind: Chain,
    /// After it.
    pub ahead: Chain,
}

/// Bounds that add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Their sum in microseconds; absent where nothing bounds it.
    pub micros: Option<i64>,
    /// One after the other, from the finding to the row. Steps that add nothing and say nothing are left out.
    pub steps: Vec<Step>,
}

/// One bound of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The predicate in the SQL that it comes from; absent where it follows from the plan's shape.
    pub because: Option<String>,
    /// What it adds, in microseconds.
    pub micros: i64,
}
