//! `watershed rules lint`.

use watershed_rules::{compile, render, report};

use super::{LintArgs, reference, rule_files};
use crate::cli::{Error, Exit, Output};

pub(super) fn lint(args: &LintArgs, output: &mut Output) -> Result<Exit, Error> {
    let files = rule_files(args.path.as_ref())?;
    let reference = reference(args.reference.as_ref())?;
    let colour = output.colour();
    let (mut fine, mut refused, mut warnings) = (0_usize, files.problems.len(), 0_usize);
    for problem in &files.problems {
        output.line(problem.to_string())?;
    }
    for file in files.files {
        match file.source.and_then(|source| compile(&source, &reference)) {
            Ok(rule) => {
                fine += 1;
                output.text(report(&rule).to_string())?;
                if !rule.warnings.is_empty() {
                    warnings += rule.warnings.len();
                    output.line(render(&file.path, &file.text, &rule.warnings, colour))?;
                }
            }
            Err(findings) => {
                refused += 1;
                output.line(render(&file.path, &file.text, &findings, colour))?;
            }
        }
        output.line("")?;
    }
    output.line(format!("{fine} rules are fine, {refused} refused, {warnings} warnings"))?;
    Ok(if refused == 0 { Exit::Fine } else { Exit::Findings })
}
