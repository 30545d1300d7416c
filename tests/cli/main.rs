//! The program as a person uses it: real files in, files and exit codes out.
//!
//! One binary, so that it is linked once. A file is a topic; `desk` holds what they share: a
//! temporary folder to run the program in, and `arrays` writes files of numbers byte by byte.

#![allow(
    clippy::unwrap_used,
    reason = "helpers outside #[test] functions are tests too"
)]

mod adapters;
mod arrays;
mod bench;
mod check;
mod commands;
mod desk;
mod disk;
mod formats;
mod network;
mod records;
mod refusals;
mod repeatable;
mod report;
mod resume;
mod sweep;
mod trace;
mod tune_kernels;
