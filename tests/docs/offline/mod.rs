//! The documentation, as far as it can be checked without a cluster.

#[path = "../markdown.rs"]
mod markdown;

mod examples;
mod links;
mod named;
mod promises;
mod reasons;
mod reference;
mod states;
