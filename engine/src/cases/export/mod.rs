//! Case files for people and other programs.
