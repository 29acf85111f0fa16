//! `watershed rules lint`.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use watershed_rules::{Level, LintFinding, compile_beside, render, report};

use super::{LintArgs, reference, rule_files};
use crate::check::{RuleFiles, around, each_in_strata};
use crate::cli::{Error, Exit, Output};

pub(super) fn lint(args: &LintArgs, output: &mut Output) -> Result<Exit, Error> {
    let files = rule_files(args.path.as_ref())?;
    let reference = reference(args.reference.as_ref())?;
    let (mut fine, mut refused, mut warnings) = (0_usize, files.problems.len(), 0_usize);
    problems(&files, args.json, output)?;
    let beside = around(&files);
    let compiled = each_in_strata(files.files, beside, &reference, |source, beside| {
        let rule = Arc::new(compile_beside(source, &reference, beside)?);
        Ok((Arc::clone(&rule), rule))
    });
    for (file, rule) in compiled {
        let findings = match &rule {
            Ok(rule) => {
                fine += 1;
                warnings += rule.warnings.len();
                rule.warnings.as_slice()
            }
            Err(findings) => {
                refused += 1;
                findings.as_slice()
            }
        };
        if args.json {
            for finding in findings {
                output.line(object(&file.path, finding).to_string())?;
            }
            continue;
        }
        if let Ok(rule) = &rule {
            output.text(report(rule).to_string())?;
        }
        if !findings.is_empty() {
            output.line(render(&file.path, &file.text, findings, output.colour()))?;
        }
        output.line("")?;
    }
    if !args.json {
        output.line(format!("{fine} rules are fine, {refused} refused, {warnings} warnings"))?;
    }
    Ok(if refused == 0 { Exit::Fine } else { Exit::Findings })
}

/// Files that can't be read, and ids that two files claim: they have no code, as no rule is to blame.
fn problems(files: &RuleFiles, json: bool, output: &mut Output) -> Result<(), Error> {
    for problem in &files.problems {
        if json {
            let object = json!({
                "code": null,
                "level": "error",
                "file": problem.file.display().to_string(),
                "line": problem.line,
                "column": problem.column,
                "message": problem.message,
                "help": "",
            });
            output.line(object.to_string())?;
        } else {
            output.line(problem.to_string())?;
        }
    }
    Ok(())
}

fn object(path: &Path, finding: &LintFinding) -> serde_json::Value {
    json!({
        "code": finding.code.as_str(),
        "level": match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
        },
        "file": path.display().to_string(),
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "help": finding.help,
    })
}
