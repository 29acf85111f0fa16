//! Decoding some columns first and the others later gives what decoding all of them at once does.

use std::sync::Arc;

use datafusion::arrow::array::UInt32Array;
use datafusion::arrow::compute::take_record_batch;
use proptest::prelude::*;
use serde_json::Value;
use watershed_connectors::formats::{AUTO, Limits, Registry};
use watershed_schemas::{ColumnSet, Plane};

use super::batch;
use super::properties::{any_object, any_plane};

/// Records of one plane: objects, arrays of them, and some of either that are damaged.
fn any_payloads(plane: Plane) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let object = any_object(plane).prop_map(Value::Object).boxed();
    let record = prop_oneof![
        5 => object.clone(),
        1 => prop::collection::vec(object, 0..4).prop_map(Value::Array),
    ];
    let payload = (record, prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()))).prop_map(
        |(record, damage)| {
            let mut bytes = serde_json::to_vec(&record).expect("serialises");
            if let Some((at, byte)) = damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    );
    prop::collection::vec(payload, 1..8)
}

proptest! {
    #[test]
    fn columns_left_out_are_had_later(
        (plane, payloads) in any_plane().prop_flat_map(|plane| (Just(plane), any_payloads(plane))),
        columns in prop::collection::vec(0..34_usize, 0..12),
        attributes in prop_oneof![Just(2_usize), Just(1_024)],
        auto in any::<bool>(),
        wanted in prop::collection::vec(any::<bool>(), 32),
    ) {
        let registry = Registry::builtin(Limits { attributes, ..Limits::default() });
        let raw = Arc::new(batch(plane, if auto { AUTO } else { "watershed" }, payloads));
        let columns: ColumnSet = columns.into_iter().filter(|column| *column < plane.columns().len()).collect();
        let whole = registry.decode(&raw);
        let first = registry.decode_columns(&raw, columns);

        prop_assert_eq!(&first.rejects, &whole.rejects);
        prop_assert_eq!(&first.record_of_row, &whole.record_of_row);
        for column in (0..plane.columns().len()).filter(|column| columns.contains(*column)) {
            prop_assert_eq!(first.rows.column(column), whole.rows.column(column), "{}", plane.columns()[column].name);
        }
        let rows: Vec<u32> = (0_u32..).take(whole.rows.num_rows()).filter(|row| wanted[*row as usize % 32]).collect();
        let expected = take_record_batch(&whole.rows, &UInt32Array::from(rows.clone())).expect("in range");
        prop_assert_eq!(first.whole(&rows).expect("decodes"), expected.clone());

        // As after a merge by time, and a cut.
        let Some(mut rest) = first.rest.clone() else { return Ok(()) };
        rest.places = Some((0_u32..).take(whole.rows.num_rows()).collect::<Vec<_>>().into_iter().rev().collect());
        let reversed: Vec<u32> = rows.iter().rev().map(|row| whole.rows.num_rows() as u32 - 1 - row).collect();
        let turned = watershed_schemas::EventBatch { rest: Some(rest), ..first };
        let rows: Vec<u32> = rows.into_iter().rev().collect();
        let expected = take_record_batch(&whole.rows, &UInt32Array::from(rows)).expect("in range");
        prop_assert_eq!(turned.whole(&reversed).expect("decodes"), expected);
    }
}
