//! Difference constraints between moments, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

/// A moment that a rule speaks about: the event time of a row, the start of a bucket, the least time of a group.
pub(super) type Var = usize;

/// `later - earlier <= at_most`, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) later: Var,
    pub(super) earlier: Var,
    pub(super) at_most: i64,
}

/// What holds for every tuple of rows that can take part in one output.
#[derive(Clone, Debug, Default)]
pub(super) struct System {
    pub(super) edges: Vec<Edge>,
    /// Scans whose row is part of the tuple, with the variable of its event time.
    pub(super) scans: Vec<(usize, Var)>,
    /// Rows that may be absent from an output: the right side of an anti or left join, the branches of a union, the
    /// neighbours in a window. What is known about them may lean on this system, never the other way round.
    pub(super) attached: Vec<System>,
}

/// No moments can meet all the constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction;

/// How far a row's event time can lie from a moment, in microseconds; `None` where nothing bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The most that the row can lie after the moment; may be negative.
    pub(crate) ahead: Option<i64>,
    /// The most that the row can lie before it; may be negative.
    pub(crate) behind: Option<i64>,
}

impl System {
    /// Takes in the tuple of another system: the two tuples are one.
    pub(super) fn join(&mut self, other: System) {
        self.edges.extend(other.edges);
        self.scans.extend(other.scans);
        self.attached.extend(other.attached);
    }

    /// How far the rows of each scan can lie from `base`.
    pub(super) fn reaches(&self, base: Var) -> Result<BTreeMap<usize, Reach>, Contradiction> {
        let mut reaches = BTreeMap::new();
        self.collect(&[], base, &mut reaches)?;
        Ok(reaches)
    }

    fn collect(&self, known: &[Edge], base: Var, reaches: &mut BTreeMap<usize, Reach>) -> Result<(), Contradiction> {
        let edges: Vec<Edge> = known.iter().chain(&self.edges).copied().collect();
        let after = uppers(&edges, base)?;
        let before = lowers(&edges, base)?;
        for (scan, var) in &self.scans {
            let here = Reach { ahead: after.get(var).copied(), behind: before.get(var).copied() };
            reaches
                .entry(*scan)
                .and_modify(|reach| {
                    reach.ahead = reach.ahead.zip(here.ahead).map(|(a, b)| a.max(b));
                    reach.behind = reach.behind.zip(here.behind).map(|(a, b)| a.max(b));
                })
                .or_insert(here);
        }
        self.attached.iter().try_for_each(|system| system.collect(&edges, base, reaches))
    }

    /// A copy in which every variable but the shared ones is a new one: another tuple of which the same is known.
    pub(super) fn renamed(&self, shared: &BTreeSet<Var>, fresh: &mut impl FnMut(Var) -> Var) -> System {
        let mut name = |var: Var| if shared.contains(&var) { var } else { fresh(var) };
        let edges = self
            .edges
            .iter()
            .map(|edge| Edge { later: name(edge.later), earlier: name(edge.earlier), at_most: edge.at_most })
            .collect();
        let scans = self.scans.iter().map(|(scan, var)| (*scan, name(*var))).collect();
        let attached = self.attached.iter().map(|system| system.renamed(shared, fresh)).collect();
        System { edges, scans, attached }
    }
}

/// For each variable the most that it can lie after `base`.
pub(super) fn uppers(edges: &[Edge], base: Var) -> Result<BTreeMap<Var, i64>, Contradiction> {
    shortest(edges.iter().map(|edge| (edge.earlier, edge.later, edge.at_most)), base)
}

/// For each variable the most that it can lie before `base`.
pub(super) fn lowers(edges: &[Edge], base: Var) -> Result<BTreeMap<Var, i64>, Contradiction> {
    shortest(edges.iter().map(|edge| (edge.later, edge.earlier, edge.at_most)), base)
}

/// Bellman-Ford: shortest distances from `base`; a cycle of negative length is a contradiction.
fn shortest(
    steps: impl Iterator<Item = (Var, Var, i64)> + Clone,
    base: Var,
) -> Result<BTreeMap<Var, i64>, Contradiction> {
    let vars: BTreeSet<Var> = steps.clone().flat_map(|(from, to, _)| [from, to]).chain([base]).collect();
    let mut distances = BTreeMap::from([(base, 0_i64)]);
    for _ in 0..=vars.len() {
        let mut changed = false;
        for (from, to, length) in steps.clone() {
            let Some(so_far) = distances.get(&from) else { continue };
            let through = so_far.saturating_add(length);
            if distances.get(&to).is_none_or(|known| through < *known) {
                distances.insert(to, through);
                changed = true;
            }
        }
        if !changed {
            return Ok(distances);
        }
    }
    Err(Contradiction)
}

/// The constraints that one after the other say how far `to` can lie after `from`; absent where nothing bounds it.
pub(super) fn path(edges: &[Edge], from: Var, to: Var) -> Option<Vec<Edge>> {
    let mut known: BTreeMap<Var, (i64, Option<Edge>)> = BTreeMap::from([(from, (0, None))]);
    let vars: BTreeSet<Var> = edges.iter().flat_map(|edge| [edge.later, edge.earlier]).collect();
    for _ in 0..=vars.len() {
        for edge in edges {
            let Some(&(so_far, _)) = known.get(&edge.earlier) else { continue };
            let through = so_far.saturating_add(edge.at_most);
            if known.get(&edge.later).is_none_or(|(best, _)| through < *best) {
                known.insert(edge.later, (through, Some(*edge)));
            }
        }
    }
    let mut found = Vec::new();
    let mut at = to;
    while at != from {
        let edge = known.get(&at)?.1?;
        found.push(edge);
        at = edge.earlier;
        if found.len() > vars.len() {
            return None;
        }
    }
    found.reverse();
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edge(later: Var, earlier: Var, at_most: i64) -> Edge {
        Edge { later, earlier, at_most }
    }

    #[test]
    fn bounds_add_up_along_a_chain() {
        let edges = [edge(1, 0, 10), edge(0, 1, 0), edge(2, 1, 5), edge(1, 2, -1)];
        let after = uppers(&edges, 0).expect("consistent");
        let before = lowers(&edges, 0).expect("consistent");
        assert_eq!((after[&2], before[&2]), (15, -1));
    }

    #[test]
    fn a_path_adds_up_to_its_bound() {
        let edges = [edge(1, 0, 10), edge(0, 1, 0), edge(2, 1, 5), edge(2, 0, 30), edge(1, 2, -1)];
        assert_eq!(path(&edges, 0, 2), Some(vec![edges[0], edges[2]]));
        assert_eq!(path(&edges, 2, 0), Some(vec![edges[4], edges[1]]));
        assert_eq!(path(&edges, 0, 7), None);
    }

    #[test]
    fn a_negative_cycle_is_a_contradiction() {
        assert_eq!(uppers(&[edge(1, 0, -1), edge(0, 1, 0)], 0), Err(Contradiction));
    }

    #[test]
    fn an_absent_row_leans_on_the_tuple_but_bounds_nothing_in_it() {
        // b lies within 10 of a and of c; that says nothing about a and c.
        let (a, b, c) = (0, 1, 2);
        let around = |x, y| [edge(x, y, 10), edge(y, x, 10)];
        let absent = System { edges: [around(a, b), around(b, c)].concat(), scans: vec![(1, b)], attached: vec![] };
        let system = System { edges: vec![], scans: vec![(0, a), (2, c)], attached: vec![absent] };
        let reaches = system.reaches(a).expect("consistent");
        assert_eq!(reaches[&1], Reach { ahead: Some(10), behind: Some(10) });
        assert_eq!(reaches[&2], Reach { ahead: None, behind: None });
    }

    /// Moments from -6 to 6 for the variables 1 to 3, and 0 for variable 0.
    fn assignments() -> impl Iterator<Item = [i64; 4]> {
        (-6..=6).flat_map(|a| (-6..=6).flat_map(move |b| (-6..=6).map(move |c| [0, a, b, c])))
    }

    proptest! {
        #[test]
        fn bounds_are_sound_and_tight(edges in proptest::collection::vec((0_usize..4, 0_usize..4, -2_i64..3), 0..8)) {
            let edges: Vec<Edge> = edges.into_iter().map(|(later, earlier, at_most)| edge(later, earlier, at_most)).collect();
            let holds = |at: &[i64; 4]| edges.iter().all(|edge| at[edge.later] - at[edge.earlier] <= edge.at_most);
            let possible: Vec<[i64; 4]> = assignments().filter(holds).collect();
            match (uppers(&edges, 0), lowers(&edges, 0)) {
                // A contradiction elsewhere may go unnoticed: then there is nothing to bound.
                (Ok(_), Ok(_)) if possible.is_empty() => {}
                (Ok(after), Ok(before)) => {
                    for var in 0..4 {
                        let most = possible.iter().map(|at| at[var]).max();
                        let least = possible.iter().map(|at| at[var]).min();
                        // Chains of three edges stay inside the range of the brute force.
                        if let Some(after) = after.get(&var) {
                            prop_assert_eq!(most, Some(*after));
                        }
                        if let Some(before) = before.get(&var) {
                            prop_assert_eq!(least, Some(-before));
                        }
                    }
                }
                // A contradiction that the base can reach leaves nothing.
                _ => prop_assert!(possible.is_empty()),
            }
        }
    }
}
