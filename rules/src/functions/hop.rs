//! `hop(time, size, slide)`: the sliding buckets that a moment lies in.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListBuilder, TimestampMicrosecondBuilder};
use datafusion::arrow::datatypes::{
    DataType, Field, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::Result;
use datafusion::logical_expr::{ScalarUDF, Volatility, create_udf};

/// The most buckets that one moment may lie in: each is a row.
pub(crate) const MAX_BUCKETS: i64 = 1_000;

const DAY: i64 = 86_400_000_000;

/// `hop(time TIMESTAMP, size INTERVAL, slide INTERVAL) -> LIST<TIMESTAMP>`: the starts of all buckets of that size that hold
/// the time, earliest first. Buckets begin at the whole multiples of `slide` since 1970-01-01T00:00:00Z, so that
/// `hop(t, d, d)` is the one bucket that `date_bin(d, t)` names. NULL where the time is, and where [`buckets`] says that there
/// are no such buckets.
pub(super) fn hop() -> ScalarUDF {
    let inputs = vec![
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Interval(IntervalUnit::MonthDayNano),
    ];
    let output =
        DataType::List(Arc::new(Field::new_list_field(DataType::Timestamp(TimeUnit::Microsecond, None), true)));
    create_udf("hop", inputs, output, Volatility::Immutable, super::columnar(starts))
}

fn starts(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let times = arguments[0].as_primitive::<TimestampMicrosecondType>();
    let sizes = arguments[1].as_primitive::<IntervalMonthDayNanoType>();
    let slides = arguments[2].as_primitive::<IntervalMonthDayNanoType>();
    let mut lists = ListBuilder::new(TimestampMicrosecondBuilder::new());
    for row in 0..times.len() {
        let known = !times.is_null(row) && !sizes.is_null(row) && !slides.is_null(row);
        let widths = known.then(|| widths(sizes.value(row), slides.value(row))).flatten();
        if let Some((size, slide)) = widths {
            let time = times.value(row);
            let last = time - time.rem_euclid(slide);
            for back in (0..=(size - 1 - time.rem_euclid(slide)) / slide).rev() {
                lists.values().append_value(last - back * slide);
            }
        }
        lists.append(widths.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

/// Size and slide in microseconds, where they are fixed spans of at least a microsecond, the slide isn't longer than the size,
/// and no moment lies in more than [`MAX_BUCKETS`] buckets.
pub(crate) fn widths(size: IntervalMonthDayNano, slide: IntervalMonthDayNano) -> Option<(i64, i64)> {
    let micros = |span: IntervalMonthDayNano| {
        let whole = span.months == 0 && span.nanoseconds % 1_000 == 0;
        let micros = i64::from(span.days).checked_mul(DAY)?.checked_add(span.nanoseconds / 1_000)?;
        (whole && micros > 0).then_some(micros)
    };
    let (size, slide) = (micros(size)?, micros(slide)?);
    (slide <= size && (size - 1) / slide < MAX_BUCKETS).then_some((size, slide))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{IntervalMonthDayNanoArray, TimestampMicrosecondArray};

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn seconds(seconds: i64) -> IntervalMonthDayNano {
        IntervalMonthDayNano::new(0, 0, seconds * 1_000_000_000)
    }

    fn hop(time: i64, size: IntervalMonthDayNano, slide: IntervalMonthDayNano) -> Option<Vec<i64>> {
        let arguments: [ArrayRef; 3] = [
            Arc::new(TimestampMicrosecondArray::from(vec![time])),
            Arc::new(IntervalMonthDayNanoArray::from(vec![size])),
            Arc::new(IntervalMonthDayNanoArray::from(vec![slide])),
        ];
        let lists = starts(&arguments).expect("never fails");
        let lists = lists.as_list::<i32>();
        (!lists.is_null(0)).then(|| lists.value(0).as_primitive::<TimestampMicrosecondType>().values().to_vec())
    }

    #[test]
    fn every_bucket_that_holds_the_time_and_no_other() {
        for (time, size, slide) in [(0, 10, 5), (4, 10, 5), (5, 10, 5), (-3, 10, 5), (17, 7, 3), (17, 7, 7), (16, 1, 1)]
        {
            let found = hop(time * SECOND, seconds(size), seconds(slide)).expect("valid");
            let expected: Vec<i64> = (-100..100)
                .map(|at| at * slide)
                .filter(|start| (*start..start + size).contains(&time))
                .map(|start| start * SECOND)
                .collect();
            assert_eq!(found, expected, "hop({time}, {size}, {slide})");
        }
        // Half open, to the microsecond.
        assert_eq!(hop(10 * SECOND - 1, seconds(10), seconds(5)), Some(vec![0, 5 * SECOND]));
        assert_eq!(hop(10 * SECOND, seconds(10), seconds(5)), Some(vec![5 * SECOND, 10 * SECOND]));
    }

    #[test]
    fn what_are_no_sliding_buckets_gives_null() {
        let month = IntervalMonthDayNano::new(1, 0, 0);
        for (size, slide) in [
            (seconds(5), seconds(10)),
            (seconds(0), seconds(0)),
            (seconds(-5), seconds(1)),
            (seconds(5), seconds(-1)),
            (month, seconds(1)),
            (seconds(5), month),
            (seconds(1_001), seconds(1)),
            (IntervalMonthDayNano::new(0, 0, 1_500), IntervalMonthDayNano::new(0, 0, 1_000)),
            (IntervalMonthDayNano::new(0, i32::MAX, i64::MAX), seconds(1)),
        ] {
            assert_eq!(hop(0, size, slide), None, "{size:?} {slide:?}");
        }
        assert_eq!(hop(0, seconds(1_000), seconds(1)).map(|starts| starts.len()), Some(1_000));
    }
}
