//! What the compiler promises about rules, held against plain DataFusion.

mod bad_input;
mod catalog;
mod check;
mod compiled;
mod counterexamples;
mod histories;
mod lint_page;
mod refused;
mod shape_file;
mod shapes;
mod sound;
