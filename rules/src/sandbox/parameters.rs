//! `$name` in a rule's SQL, written as the value that it stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::front_matter::Parameter;
use crate::lint::{Code, LintFinding};
use crate::text::SqlText;

/// Everything that is wrong with the parameters of a rule.
pub(super) fn findings(text: &SqlText) -> Vec<LintFinding> {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let mut findings = Vec::new();
    for lexeme in &text.lexemes {
        let Token::Placeholder(placeholder) = &lexeme.token else { continue };
        match placeholder.strip_prefix('$') {
            Some(name) if text.parameters.contains_key(name) => {
                used.insert(name);
            }
            _ => {
                let message = format!("`{placeholder}` is not declared");
                let help = "declare it in the front matter with its value, such as `parameters: {calls: 5}`, and write `$calls`";
                findings.push(text.finding(Code::Parameter, lexeme.span.clone(), message, help));
            }
        }
    }
    for (name, value) in &text.parameters {
        if !used.contains(name.as_str()) {
            let message = format!("the parameter `{name}` is declared and not used");
            findings.push(text.finding(
                Code::Parameter,
                text.start(),
                message,
                format!("write `${name}`, or leave it out"),
            ));
        }
        if matches!(value, Parameter::Number(number) if !number.is_finite()) {
            let message = format!("the parameter `{name}` is no finite number");
            findings.push(text.finding(Code::Parameter, text.start(), message, "give it a number"));
        }
    }
    findings
}

/// Writes the values where their names stand. Whether there was one.
pub(super) fn rewrite(query: &mut Query, parameters: &BTreeMap<String, Parameter>) -> bool {
    let mut writer = Writer { parameters, any: false };
    let _: ControlFlow<()> = query.visit(&mut writer);
    writer.any
}

struct Writer<'a> {
    parameters: &'a BTreeMap<String, Parameter>,
    any: bool,
}

impl VisitorMut for Writer<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
            && let Some(parameter) = name.strip_prefix('$').and_then(|name| self.parameters.get(name))
        {
            *expr = parameter.literal();
            self.any = true;
        }
        ControlFlow::Continue(())
    }
}
