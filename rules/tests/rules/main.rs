//! What the compiler promises about rules, held against plain DataFusion.

mod catalog;
mod check;
mod compiled;
mod histories;
mod refused;
mod shapes;
mod sound;
