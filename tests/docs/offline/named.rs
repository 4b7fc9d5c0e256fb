//! Every page that a comment or a message names is there, with the heading that it is cited for.

use std::path::{Path, PathBuf};

use super::links::follow;
use super::markdown::pages;

/// Where comments and messages are.
const CITING: [&str; 7] = ["src", "tests", "deploy", ".ci", ".github", "Makefile", "Cargo.toml"];
/// Names that are no citation: `deploy/release/assemble` makes these.
const MADE: [&str; 3] = ["dist/release-notes.md", "release-notes.md", "tenios-operator/README.md"];
/// The tests of links, which make up what is not there.
const MADE_UP: [&str; 2] = ["tests/docs/offline/links.rs", "tests/docs/offline/named.rs"];

#[test]
fn every_page_that_a_comment_or_a_message_names_is_there() {
    let root = harness::checkout("");
    let known: Vec<String> = pages().into_iter().map(|(name, _)| name).collect();
    let (mut broken, mut cited) = (Vec::new(), 0);
    for file in CITING.iter().flat_map(|path| files(&root.join(path))) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if MADE_UP.iter().any(|path| file.ends_with(path)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for citation in citations(line) {
                cited += 1;
                if let Err(why) = look_up(&root, &known, &citation) {
                    let file = file.strip_prefix(&root).unwrap_or(&file).display();
                    broken.push(format!("{file}:{}: {citation}: {why}", number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(cited > 80, "{cited} citations were found");
}

/// The files below a path, or the path itself.
pub fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| files(&path)).collect()
}

/// The pages that a line names, each with the anchor that follows it.
fn citations(line: &str) -> Vec<String> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let mut found = Vec::new();
    for (at, _) in line.match_indices(".md") {
        let (before, after) = (&line[..at], &line[at + 3..]);
        if after.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            continue;
        }
        let path = before.rsplit(|c| !in_path(c)).next().unwrap_or_default();
        // A page of the published documentation: `https://…/docs/alerts.md`.
        let path = match path.strip_prefix("//") {
            Some(url) => url.find("docs/").map_or(url, |docs| &url[docs..]),
            None => path.trim_start_matches("../"),
        };
        let anchor = after.strip_prefix('#').unwrap_or_default();
        let end = anchor.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(anchor.len());
        let anchor = if end == 0 { String::new() } else { format!("#{}", &anchor[..end]) };
        if !path.is_empty() {
            found.push(format!("{path}.md{anchor}"));
        }
    }
    found
}

/// A page may be named by the end of its path, as `alerts.md` for `docs/alerts.md`.
fn look_up(root: &Path, known: &[String], citation: &str) -> Result<(), &'static str> {
    let (name, anchor) = citation.split_once('#').unwrap_or((citation, ""));
    let name = name.trim_start_matches('/');
    if MADE.contains(&name) {
        return Ok(());
    }
    let is_it = |page: &&String| {
        page.strip_suffix(name).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
    };
    let mut found = known.iter().filter(is_it).peekable();
    if found.peek().is_none() {
        return Err("there is no such page");
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let here = root.join("README.md");
    let has_heading = |page: &String| follow(&here, "", &format!("{page}#{anchor}")).is_ok();
    found.any(has_heading).then_some(()).ok_or("the page has no such heading")
}

#[test]
fn a_citation_of_nothing_is_seen() {
    assert_eq!(
        citations("/// See `docs/faults.md`, and (reasons.md#conflict)."),
        ["docs/faults.md", "reasons.md#conflict"]
    );
    assert_eq!(citations("runbook_url: https://example.com/x/docs/alerts.md#a-b"), ["docs/alerts.md#a-b"]);
    assert_eq!(citations("\"docs/reasons.md#{}\" `.md` and read.mdx"), ["docs/reasons.md"]);
    let root = harness::checkout("");
    let known = ["docs/alerts.md".to_owned(), "docs/promises.md".to_owned()];
    for there in ["alerts.md", "docs/promises.md#the-promises", "promises.md#the-promises"] {
        assert_eq!(look_up(&root, &known, there), Ok(()), "{there}");
    }
    for missing in ["lerts.md", "interface.md", "docs/promises.md#not-there"] {
        assert!(look_up(&root, &known, missing).is_err(), "{missing}");
    }
}
