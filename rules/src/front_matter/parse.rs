//! Reading a rule file: the front matter, and where the SQL begins.

use std::path::Path;

use watershed_schemas::RulePlane;

use super::{RuleMeta, RuleSource};
use crate::lint::{Code, LintFinding};

/// The largest rule file, in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 64 << 10;

const OPEN: &str = "/*---";
const CLOSE: &str = "---*/";
const EXAMPLE: &str = "begin the file with `/*---`, then YAML such as `id: my-rule`, then `---*/`, then one SELECT";

impl RuleSource {
    /// Reads a rule file that is already in memory. `path` is for messages.
    ///
    /// # Errors
    /// Findings about the front matter, each with its place in the file. The SQL isn't looked at.
    pub fn parse(path: &Path, text: &str) -> Result<RuleSource, Vec<LintFinding>> {
        if text.len() > MAX_FILE_BYTES {
            return Err(vec![too_large(text, text.len())]);
        }
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let open = text.len() - body.trim_start().len();
        let missing = |at: usize, message: &str| {
            vec![LintFinding::new(Code::FrontMatterMissing, text, at..at + 1, message, EXAMPLE)]
        };
        if !text[open..].starts_with(OPEN) {
            return Err(missing(open, "the rule has no front matter"));
        }
        let yaml_at = open + OPEN.len();
        let Some(length) = text[yaml_at..].find(CLOSE) else {
            return Err(missing(open, "the front matter isn't closed by `---*/`"));
        };
        let yaml = &text[yaml_at..yaml_at + length];
        let meta = parse_meta(text, yaml_at, yaml)?;
        let source = RuleSource {
            path: path.to_path_buf(),
            text: text.to_owned(),
            sql_offset: yaml_at + length + CLOSE.len(),
            meta,
        };
        let findings = check_meta(&source, yaml_at, yaml);
        if findings.is_empty() { Ok(source) } else { Err(findings) }
    }

    /// Reads a rule file that may not be text. `path` is for messages.
    ///
    /// # Errors
    /// As [`RuleSource::parse`]; a file that isn't UTF-8 is one finding at the first bad byte.
    pub fn parse_bytes(path: &Path, bytes: &[u8]) -> Result<RuleSource, Vec<LintFinding>> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(vec![too_large("", bytes.len())]);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => RuleSource::parse(path, text),
            Err(error) => {
                let text = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
                let at = text.len();
                let message = format!("byte {at} isn't UTF-8");
                Err(vec![LintFinding::new(Code::NotText, &text, at..at, message, "save the file as UTF-8")])
            }
        }
    }
}

fn too_large(text: &str, bytes: usize) -> LintFinding {
    let message = format!("the file has {bytes} bytes; a rule may have {MAX_FILE_BYTES}");
    let help = "put long lists into a reference table and join it";
    LintFinding::new(Code::FileTooLarge, text, 0..1, message, help)
}

fn parse_meta(text: &str, yaml_at: usize, yaml: &str) -> Result<RuleMeta, Vec<LintFinding>> {
    serde_saphyr::from_str::<RuleMeta>(yaml).map_err(|error| {
        let at = error.location().map_or(yaml_at, |location| {
            let line = usize::try_from(location.line()).unwrap_or(1).saturating_sub(1);
            let column = usize::try_from(location.column()).unwrap_or(1).saturating_sub(1);
            let start = yaml.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
            let in_line = yaml[start.min(yaml.len())..].char_indices().nth(column).map_or(0, |(at, _)| at);
            yaml_at + start + in_line
        });
        let message = first_line(&error.without_snippet().to_string());
        let help = "allowed are id, title, plane, severity, key, frameworks, owner, runbook, description, first_move, weights, parameters, tags, emit";
        vec![LintFinding::new(Code::FrontMatterInvalid, text, at..at + 1, message, help)]
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn check_meta(source: &RuleSource, yaml_at: usize, yaml: &str) -> Vec<LintFinding> {
    let meta = &source.meta;
    let mut findings = Vec::new();
    let mut fault = |code: Code, member: &str, message: String, help: &str| {
        let at = yaml_at + member_offset(yaml, member);
        findings.push(LintFinding::new(code, &source.text, at..at + member.len(), message, help));
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if meta.id.is_empty() || meta.id.len() > 100 || !meta.id.chars().all(plain) {
        fault(Code::MetaInvalid, "id", format!("`{}` is not an id", meta.id), "use 1 to 100 of a-z, 0-9 and `-`");
    }
    if meta.title.trim().is_empty() {
        fault(Code::MetaInvalid, "title", "the title is empty".into(), "say in one line what was found");
    }
    if meta.key.is_empty() {
        let help = "name the output columns that identify a finding, such as `key: [tool_event_id]`";
        fault(Code::MetaInvalid, "key", "the key is empty".into(), help);
    }
    if let Some(repeated) =
        meta.key.iter().enumerate().find_map(|(at, name)| meta.key[..at].contains(name).then_some(name))
    {
        fault(Code::MetaInvalid, "key", format!("`{repeated}` is twice in the key"), "name each column once");
    }
    let owner = meta.owner.as_deref();
    match (meta.plane, owner) {
        (_, None)
        | (RulePlane::Model | RulePlane::Both, Some("ai-security"))
        | (RulePlane::Access | RulePlane::Both, Some("iam")) => {}
        (RulePlane::Model, Some(_)) => {
            let message = format!("`{}` doesn't own the model plane", owner.unwrap_or_default());
            fault(
                Code::OwnerMismatch,
                "owner",
                message,
                "write `owner: ai-security`, or `plane: access` where the finding is IAM's",
            );
        }
        (RulePlane::Access, Some(_)) => {
            let message = format!("`{}` doesn't own the access plane", owner.unwrap_or_default());
            fault(
                Code::OwnerMismatch,
                "owner",
                message,
                "write `owner: iam`, or `plane: model` where the finding is AI security's",
            );
        }
        (RulePlane::Both, Some(_)) => {
            let message = format!("`{}` owns neither plane", owner.unwrap_or_default());
            fault(Code::OwnerMismatch, "owner", message, "write `owner: ai-security` or `owner: iam`, or leave it out");
        }
    }
    if let Some(weights) = &meta.weights {
        let planes = meta.plane.planes();
        for (name, weight, counts) in [
            ("model", weights.model, planes.contains(&watershed_schemas::Plane::Model)),
            ("access", weights.access, planes.contains(&watershed_schemas::Plane::Access)),
        ] {
            if !weight.is_finite() || weight < 0.0 || (counts && weight == 0.0) {
                let message = format!("the weight {weight} for `{name}` is not a number above 0");
                fault(Code::MetaInvalid, "weights", message, "write weights such as `weights: {model: 1, access: 1}`");
            } else if !counts && weight != 0.0 {
                let message = format!("a rule of the {} plane has a weight for `{name}`", meta.plane.name());
                fault(Code::MetaInvalid, "weights", message, "leave it out, or write `plane: both`");
            }
        }
    }
    findings
}

/// Where a top-level member of the YAML begins; 0 where it isn't found.
fn member_offset(yaml: &str, member: &str) -> usize {
    let mut at = 0;
    for line in yaml.split_inclusive('\n') {
        if line.strip_prefix(member).is_some_and(|rest| rest.trim_start().starts_with(':')) {
            return at;
        }
        at += line.len();
    }
    0
}
