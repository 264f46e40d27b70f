//! The table that the kernel matches command lines with, and the same judgement in Rust.
