//! `watershed rules explain`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use watershed_connectors::escape::{json_line, one_line};
use watershed_rules::{
    RuleSource,
    explain::{Explained, explain_beside},
    render,
};

use super::sample::SampleArgs;
use super::{reference, rule_files};
use crate::check::{RuleFile, RuleFiles, around, each_in_strata};
use crate::cli::{Error, Exit, Output};
use crate::explain::{Asked, AskedEvent, Sample, diagnose, overview};

/// Say what a rule reads, remembers and waits for, and why it fired or did not.
///
/// Without events: what it reads (and how selective that is, with --on), by which key its rows are kept apart, how long
/// they are remembered and which predicates say so, and when it may speak. With --events or --entity: for these events
/// which conditions held, which did not and with what values, by how much a window was missed, and what never came.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  watershed rules explain tool-call-with-dead-token
  watershed rules explain my-rules/burst.sql --on recording/
  watershed rules explain burst --rules my-rules/ --on recording/ --events r17,i4
  watershed rules explain burst --rules my-rules/ --runtime calls.jsonl --identity okta:log.jsonl --entity ana@example.com

Exit codes: 0 explained, 1 the rule is refused, 2 bad usage (no such rule, event or recording), 3 failure.")]
pub struct ExplainArgs {
    /// Id of a rule of the catalog or of --rules, or a rule file.
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// Where to look for the rule instead of the catalog.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Reference tables that rules join, beside `agents` and `tools`.
    #[arg(long, value_name = "DIR")]
    pub reference: Option<PathBuf>,
    /// What it is tried on.
    #[command(flatten)]
    pub sample: SampleArgs,
    /// Why did it fire, or not, for these events? Ids, separated by commas.
    #[arg(long, value_name = "ID,…", value_delimiter = ',', conflicts_with = "entity")]
    pub events: Vec<String>,
    /// The same for all events of a principal or session.
    #[arg(long, value_name = "PRINCIPAL|SESSION")]
    pub entity: Option<String>,
    /// Show the plans too.
    #[arg(long)]
    pub plan: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn explain(args: &ExplainArgs, output: &mut Output) -> Result<Exit, Error> {
    let asked = asked(args)?;
    let (file, beside) = file(args)?;
    let reference = reference(args.reference.as_ref())?;
    let compiled = each_in_strata(vec![file], beside, &reference, |source, beside| {
        let explained = explain_beside(source, &reference, beside)?;
        Ok((Arc::clone(&explained.rule), explained))
    });
    let Some((file, explained)) = compiled.into_iter().next() else { return Ok(Exit::Fine) };
    let explained: Explained = match explained {
        Ok(explained) => explained,
        Err(findings) => {
            output.line(render(&file.path, &file.text, &findings, output.colour()))?;
            return Ok(Exit::Findings);
        }
    };
    let sample = match args.sample.open()? {
        None => None,
        Some((intake, settings)) => {
            let rule = Arc::clone(&explained.rule);
            Some(Sample::read(intake, settings, &rule, &explained.anatomy, &asked).map_err(Error::failure)?)
        }
    };
    match (&sample, &asked) {
        (Some(sample), Asked::Events(_) | Asked::Entity(_)) => {
            all_found(sample, &asked)?;
            say(&diagnose(&explained, sample), args.json, output)?;
        }
        (sample, _) => say(&overview(&explained, sample.as_ref(), args.plan), args.json, output)?,
    }
    Ok(Exit::Fine)
}

fn say(what: &(impl std::fmt::Display + serde::Serialize), json: bool, output: &mut Output) -> Result<(), Error> {
    if json { output.line(json_line(what).map_err(Error::failure)?) } else { output.text(what.to_string()) }
}

fn asked(args: &ExplainArgs) -> Result<Asked, Error> {
    let asked = match &args.entity {
        Some(name) => Asked::Entity(name.clone()),
        None if args.events.is_empty() => return Ok(Asked::Nothing),
        None => Asked::Events(args.events.iter().cloned().collect()),
    };
    if !args.sample.is_given() {
        return Err(Error::Usage(
            "--events and --entity need something to look in; name a recording with --on, or files with --runtime and --identity"
                .to_owned(),
        ));
    }
    Ok(asked)
}

/// The file of the rule that is named by path or id, and those that it may read.
fn file(args: &ExplainArgs) -> Result<(RuleFile, RuleFiles), Error> {
    let path = Path::new(&args.rule);
    if path.extension().is_some_and(|extension| extension == "sql") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Usage(format!("`{}` can't be read: {error}", path.display())))?;
        let source = RuleSource::parse(path, &text);
        let file = RuleFile { path: path.to_owned(), text, source, tests: None };
        let beside = around(&RuleFiles { files: vec![file.clone()], problems: Vec::new() });
        return Ok((file, beside));
    }
    let files = rule_files(args.rules.as_ref())?;
    if let Some(problem) = files.problems.first() {
        return Err(Error::Usage(problem.to_string()));
    }
    let id = |file: &RuleFile| match &file.source {
        Ok(source) => source.meta.id.clone(),
        // Its front matter can't be read: it is known by the name of its file.
        Err(_) => file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let ids: BTreeSet<String> = files.files.iter().map(id).collect();
    let found = files.files.iter().find(|file| id(file) == args.rule).cloned();
    let file = found.ok_or_else(|| {
        let known: Vec<&str> = ids.iter().map(String::as_str).collect();
        Error::Usage(format!(
            "there is no rule `{}`; there is {}; or name a rule file that ends in `.sql`",
            one_line(&args.rule, 80),
            known.join(", ")
        ))
    })?;
    // Its own file isn't beside it.
    let files = RuleFiles { files: files.files.into_iter().filter(|other| other.path != file.path).collect(), ..files };
    let mut beside = RuleFiles::catalog();
    beside.replace_with(files);
    Ok((file, beside))
}

/// Every event that is asked about must be there: one that is not answers nothing.
fn all_found(sample: &Sample, asked: &Asked) -> Result<(), Error> {
    let read = sample.events.iter().sum::<u64>();
    match asked {
        Asked::Nothing => Ok(()),
        Asked::Entity(_) if !sample.asked.is_empty() => Ok(()),
        Asked::Entity(name) => Err(Error::Usage(format!(
            "none of the {read} events has the principal or session `{}`",
            one_line(name, 80)
        ))),
        Asked::Events(ids) => {
            let found: BTreeSet<&str> = sample.asked.iter().map(AskedEvent::id).collect();
            let missing: Vec<String> = ids
                .iter()
                .filter(|id| !found.contains(id.as_str()))
                .map(|id| format!("`{}`", one_line(id, 80)))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            Err(Error::Usage(format!("none of the {read} events has the id {}", missing.join(" or "))))
        }
    }
}
