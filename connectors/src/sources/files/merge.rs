//! The merge of sorted runs, by counting: what leaves a run is always its beginning.

/// How many of the next `rows` rows in merged order come from each sorted run; ties go to the earlier run. Stops early
/// where a run that had rows is used up, because what follows in its file is not known yet.
pub(super) fn counts(runs: &[&[i64]], rows: usize) -> Vec<usize> {
    let mut taken = vec![0; runs.len()];
    let mut left = rows;
    while left > 0 {
        let head = |run: usize| runs[run].get(taken[run]).map(|key| (*key, run));
        let Some((_, first)) = (0..runs.len()).filter_map(head).min() else { break };
        let bound = (0..runs.len()).filter(|run| *run != first).filter_map(head).min();
        let rest = &runs[first][taken[first]..];
        let rest = &rest[..rest.len().min(left)];
        let run = match bound {
            Some((key, other)) => gallop(rest, |own| (own, first) < (key, other)),
            None => rest.len(),
        };
        taken[first] += run;
        left -= run;
        if taken[first] == runs[first].len() {
            break;
        }
    }
    taken
}

/// The length of the prefix that satisfies a monotone test, found in the logarithm of that length: files that
/// interleave give runs of a row or two.
fn gallop(keys: &[i64], test: impl Fn(i64) -> bool) -> usize {
    let mut step = 1;
    while step < keys.len() && test(keys[step]) {
        step *= 2;
    }
    let from = step / 2;
    let to = keys.len().min(step + 1);
    from + keys[from..to].partition_point(|key| test(*key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs() -> impl Strategy<Value = Vec<Vec<i64>>> {
        proptest::collection::vec(proptest::collection::vec(0..40_i64, 0..30), 1..4).prop_map(|mut runs| {
            runs.iter_mut().for_each(|run| run.sort_unstable());
            runs
        })
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_plain_merge(runs in runs(), rows in 1..50_usize) {
            let mut merged: Vec<(i64, usize)> =
                runs.iter().enumerate().flat_map(|(run, keys)| keys.iter().map(move |key| (*key, run))).collect();
            merged.sort_unstable();
            let mut expected = vec![0; runs.len()];
            for (_, run) in merged.into_iter().take(rows) {
                expected[run] += 1;
                if expected[run] == runs[run].len() {
                    break;
                }
            }
            let borrowed: Vec<&[i64]> = runs.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(counts(&borrowed, rows), expected);
        }
    }
}
