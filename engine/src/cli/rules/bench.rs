//! `watershed rules bench`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use watershed_connectors::escape::json_line;
use watershed_rules::{explain::explain_beside, render};

use super::sample::SampleArgs;
use super::{reference, rule_files};
use crate::check::{around, each_in_strata};
use crate::cli::{Error, Exit, Output};
use crate::rule_bench::measure;

/// Measure what each rule costs on a recording: match, evaluate and memory, dearest first.
///
/// Every rule runs alone through the production core, and all of them once together. Times are by the wall clock: compare
/// rules with each other, on an idle machine.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  watershed rules bench --on recording/
  watershed rules bench my-rules/ --on recording/ --json
  watershed rules bench my-rules/burst.sql --runtime calls.jsonl --identity okta:log.jsonl

Exit codes: 0 measured, 1 a rule is refused, 2 bad usage, 3 failure.")]
pub struct BenchArgs {
    /// A rule file or a directory; without it the catalog.
    pub path: Option<PathBuf>,
    /// Reference tables that rules join, beside `agents` and `tools`.
    #[arg(long, value_name = "DIR")]
    pub reference: Option<PathBuf>,
    /// What they are measured on.
    #[command(flatten)]
    pub sample: SampleArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn bench(args: &BenchArgs, output: &mut Output) -> Result<Exit, Error> {
    let files = rule_files(args.path.as_ref())?;
    if let Some(problem) = files.problems.first() {
        return Err(Error::Usage(problem.to_string()));
    }
    let reference = reference(args.reference.as_ref())?;
    let (mut rules, mut refused) = (Vec::new(), false);
    let beside = around(&files);
    let compiled = each_in_strata(files.files, beside, &reference, |source, beside| {
        let explained = explain_beside(source, &reference, beside)?;
        Ok((Arc::clone(&explained.rule), explained))
    });
    for (file, explained) in compiled {
        match explained {
            Ok(explained) => rules.push(explained),
            Err(findings) => {
                refused = true;
                output.line(render(&file.path, &file.text, &findings, output.colour()))?;
            }
        }
    }
    if refused {
        return Ok(Exit::Findings);
    }
    let Some((intake, settings)) = args.sample.open()? else {
        return Err(Error::Usage(
            "there is nothing to measure on; name a recording with --on, or files with --runtime and --identity"
                .to_owned(),
        ));
    };
    let report = measure(intake, settings, rules).map_err(Error::failure)?;
    if args.json {
        output.line(json_line(&report).map_err(Error::failure)?)?;
    } else {
        output.text(report.to_string())?;
    }
    Ok(Exit::Fine)
}
