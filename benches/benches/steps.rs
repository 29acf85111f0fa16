//! `decode`, `match` and `evaluate`, each on its own.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::io::BufRead as _;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use watershed_benches::workload::Workload;
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_engine::core::{Core, Input, Settings};
use watershed_engine::evaluator::RuleSetup;
use watershed_engine::matcher::Matcher;
use watershed_engine::store::Commit;
use watershed_rules::catalog::CATALOG;
use watershed_rules::{CompiledRule, ReferenceTables, RuleSource, compile_set};
use watershed_schemas::{EventBatch, Plane, Timestamp};

const EVENTS: u64 = 12_000;

fn raw(plane: Plane) -> RawBatch {
    let directory = tempfile::tempdir().expect("temporary directory");
    Workload { events: EVENTS, seed: 1, hot: false }.write(directory.path()).expect("workload");
    let file = std::fs::File::open(directory.path().join(format!("{}.jsonl", plane.table()))).expect("file");
    let lines = std::io::BufReader::new(file).lines().map(|line| Bytes::from(line.expect("line")));
    let records = lines.enumerate().map(|(offset, payload)| RawRecord {
        offset: i64::try_from(offset).expect("few"),
        timestamp: None,
        key: None,
        headers: Vec::new(),
        payload,
    });
    RawBatch {
        partition: Partition { plane, topic: plane.table().into(), index: 0 },
        format: "watershed".into(),
        tenant: "default".into(),
        received: Timestamp::MIN,
        records: records.collect(),
    }
}

fn catalog() -> Vec<Arc<CompiledRule>> {
    let sources: Vec<RuleSource> = CATALOG.iter().map(|rule| rule.source().expect("front matter")).collect();
    let compiled = compile_set(&sources.iter().collect::<Vec<_>>(), &ReferenceTables::default());
    compiled.into_iter().map(|rule| rule.expect("compiles")).collect()
}

fn steps(criterion: &mut Criterion) {
    let registry = Registry::builtin(Limits::default());
    let raws = Plane::ALL.map(raw);
    let batches: Vec<EventBatch> = raws.iter().map(|raw| registry.decode(raw)).collect();
    let rules = catalog();

    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(raws[0].records.len() as u64));
    group.bench_function("watershed json", |bencher| bencher.iter(|| registry.decode(black_box(&raws[0]))));
    group.finish();

    let mut matcher = Matcher::new(&rules);
    let mut group = criterion.benchmark_group("match");
    for batch in &batches {
        group.throughput(Throughput::Elements(batch.rows.num_rows() as u64));
        group.bench_function(batch.plane.table(), |bencher| bencher.iter(|| matcher.find(black_box(batch), None)));
    }
    group.finish();

    let mut group = criterion.benchmark_group("match and evaluate");
    group.throughput(Throughput::Elements(EVENTS));
    group.sample_size(10);
    group.bench_function("catalog", |bencher| {
        let fresh = || {
            let setups = rules.iter().map(|rule| RuleSetup::as_written(Arc::clone(rule))).collect();
            let inputs: Vec<Input> = raws
                .iter()
                .zip(&batches)
                .map(|(raw, batch)| Input::Rows { origin: 0, partition: raw.partition.clone(), batch: batch.clone() })
                .collect();
            (Core::new(Settings::default(), setups), inputs)
        };
        bencher.iter_batched(
            fresh,
            |(mut core, inputs)| core.step(inputs, &mut Commit::default()),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
