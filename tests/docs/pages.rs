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

/// The steps of a page, or of one of its sections: `PAGE#ANCHOR`.
fn read(page: &str) -> Vec<(usize, script::Step)> {
    let (file, section) = page.split_once('#').map_or((page, None), |(file, anchor)| (file, Some(anchor)));
    let mut text = std::fs::read_to_string(checkout(file)).unwrap();
    if let Some(anchor) = section {
        text = markdown::section(&text, anchor).unwrap_or_else(|| panic!("{file} has no section {anchor}"));
    }
    script::read(&text).unwrap_or_else(|why| panic!("{page}:{why}"))
}
