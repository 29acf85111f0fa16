//! A case as one page that needs nothing else: no script, no picture, nothing fetched.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, context};

use super::page::Page;

const TEMPLATE: &str = include_str!("incident.html");
const STYLE: &str = include_str!("incident.css");
/// Name of the template; the ending says how it escapes.
const NAME: &str = "incident.html";

static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    templates.set_trim_blocks(true);
    templates.set_lstrip_blocks(true);
    templates.add_template(NAME, TEMPLATE)?;
    Ok(templates)
});

/// The page could not be made: a mistake in its template.
#[derive(Debug, thiserror::Error)]
#[error("the page of incident {id} can't be made: {reason}")]
pub struct Error {
    /// The incident.
    pub id: String,
    /// What is wrong.
    pub reason: String,
}

/// The case as one page.
///
/// # Errors
/// Where the template does not fit the case, which tests rule out.
pub fn html(page: &Page) -> Result<String, Error> {
    let failed = |reason: &minijinja::Error| Error { id: page.id.clone(), reason: format!("{reason:#}") };
    let templates = TEMPLATES.as_ref().map_err(failed)?;
    let style = minijinja::Value::from_safe_string(STYLE.to_owned());
    templates
        .get_template(NAME)
        .and_then(|template| template.render(context! { page => minijinja::Value::from_serialize(page), style }))
        .map_err(|error| failed(&error))
}
