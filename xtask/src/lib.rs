//! Tasks of the project that are no part of the product, and that tests use too.

pub mod image;
