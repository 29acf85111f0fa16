//! What is measured, each in a process of its own: `walk`, `parse` and `replay` over the same two files.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;
use bytes::{Bytes, BytesMut};
use sonic_rs::JsonValueTrait as _;
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_schemas::{Plane, Timestamp};

/// Records that `parse` decodes at once: what fits the caches is fastest.
const BATCH: usize = 1_024;

/// The workload's files, in the order of [`Plane::ALL`].
pub const FILES: [(Plane, &str); 2] = [(Plane::Model, "runtime.jsonl"), (Plane::Access, "identity.jsonl")];

/// Every object walked and every value located, nothing built: the lazy scan that the others are held against.
///
/// # Errors
/// When a line can't be read, or is no object.
pub fn walk(directory: &Path) -> anyhow::Result<()> {
    let mut values = 0_u64;
    for (_, name) in FILES {
        for_each_line(&directory.join(name), |line| {
            for member in sonic_rs::to_object_iter(line.as_ref()) {
                let (_, value) = member?;
                values += u64::from(!value.is_null());
            }
            Ok(())
        })?;
    }
    ensure!(values > 0, "nothing walked");
    Ok(())
}

/// Our parser, typed into all canonical columns.
///
/// # Errors
/// When a file can't be read, or a line gives no row.
pub fn parse(directory: &Path) -> anyhow::Result<()> {
    let registry = Registry::builtin(Limits::default());
    for (plane, name) in FILES {
        let (mut rows, mut lines) = (0, 0);
        let mut batch = RawBatch {
            partition: Partition { plane, topic: name.into(), index: 0 },
            format: "watershed".into(),
            tenant: "default".into(),
            received: Timestamp::MIN,
            records: Vec::with_capacity(BATCH),
        };
        for_each_line(&directory.join(name), |payload| {
            batch.records.push(RawRecord { offset: lines, timestamp: None, key: None, headers: Vec::new(), payload });
            lines += 1;
            if batch.records.len() == BATCH {
                rows += registry.decode(&batch).rows.num_rows();
                batch.records.clear();
            }
            Ok(())
        })?;
        rows += registry.decode(&batch).rows.num_rows();
        ensure!(i64::try_from(rows) == Ok(lines), "{rows} rows of {lines} lines");
    }
    Ok(())
}

/// `watershed replay`, outputs included, with the rules of a directory, else the catalog.
///
/// # Errors
/// When it fails.
pub fn replay(directory: &Path, rules: Option<&PathBuf>) -> anyhow::Result<()> {
    let path = |name: &str| directory.join(name).into_os_string();
    let mut args: Vec<OsString> =
        ["watershed", "replay", "--json", "--format", "watershed"].into_iter().map(OsString::from).collect();
    for (flag, name) in [
        ("--runtime", "runtime.jsonl"),
        ("--identity", "identity.jsonl"),
        ("--signals", "signals.out"),
        ("--incidents", "incidents.out"),
    ] {
        args.extend([flag.into(), path(name)]);
    }
    if let Some(rules) = rules {
        args.extend(["--rules".into(), rules.as_os_str().to_owned()]);
    }
    ensure!(watershed_engine::cli::main(args) == ExitCode::SUCCESS, "replay failed");
    Ok(())
}

/// Whole lines, cut from large chunks: the same for all that read here, so that none pays for copies.
fn for_each_line(path: &Path, mut each: impl FnMut(Bytes) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut file = std::fs::File::open(path)?;
    let mut partial = BytesMut::new();
    loop {
        let have = partial.len();
        partial.resize(have + (1 << 20), 0);
        let read = file.read(&mut partial[have..])?;
        partial.truncate(have + read);
        if read == 0 {
            return Ok(());
        }
        let Some(end) = memchr::memrchr(b'\n', &partial[have..]) else { continue };
        let mut chunk = partial.split_to(have + end + 1).freeze();
        while let Some(at) = memchr::memchr(b'\n', &chunk) {
            each(chunk.split_to(at + 1).slice(..at))?;
        }
    }
}
