//! A page of the documentation as a row of steps, and the place where they are taken.

#[path = "markdown.rs"]
pub mod markdown;
#[path = "node.rs"]
mod node;
#[path = "run.rs"]
pub mod run;
#[path = "script.rs"]
pub mod script;
#[path = "shell.rs"]
mod shell;

use harness::checkout;

/// The steps of a page, or of one of its sections: `PAGE#ANCHOR`.
fn read(page: &str) -> Vec<(usize, script::Step)> {
    let (file, part) = page.split_once('#').map_or((page, None), |(file, anchor)| (file, Some(anchor)));
    let mut text = std::fs::read_to_string(checkout(file)).unwrap();
    if let Some(anchor) = part {
        text = section(&text, anchor).unwrap_or_else(|| panic!("{file} has no section {anchor}"));
    }
    script::read(&text).unwrap_or_else(|why| panic!("{page}:{why}"))
}

/// The headings of the second level, each with its line.
pub fn sections(page: &str) -> Vec<(usize, String)> {
    let heading = |part: markdown::Part| match part.content {
        markdown::Content::Text(text) => {
            text.strip_prefix("## ").map(|heading| (part.line, markdown::anchor(heading.trim())))
        }
        _ => None,
    };
    markdown::parts(page).into_iter().filter_map(heading).collect()
}

/// A section of the second level, in its lines; the others are empty.
fn section(page: &str, wanted: &str) -> Option<String> {
    let sections = sections(page);
    let at = sections.iter().position(|(_, anchor)| anchor == wanted)?;
    let (begin, end) = (sections[at].0, sections.get(at + 1).map_or(usize::MAX, |(line, _)| *line));
    let kept = page.lines().zip(1..).map(|(line, n)| if (begin..end).contains(&n) { line } else { "" });
    Some(kept.collect::<Vec<_>>().join("\n"))
}
