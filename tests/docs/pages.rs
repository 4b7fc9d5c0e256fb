//! A page of the documentation as a row of steps, and the place where they are taken.

#[path = "markdown.rs"]
pub mod markdown;
#[path = "node.rs"]
mod node;
#[path = "script.rs"]
pub mod script;
#[path = "shell.rs"]
mod shell;
#[path = "site.rs"]
pub mod site;

use crate::harness::checkout;

/// The steps of a page.
fn read(page: &str) -> Vec<(usize, script::Step)> {
    let text = std::fs::read_to_string(checkout(page)).unwrap();
    script::read(&text).unwrap_or_else(|why| panic!("{page}:{why}"))
}
