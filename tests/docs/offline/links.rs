//! Every link within the repository leads somewhere.

use std::path::Path;

use super::markdown::{Content, anchor, pages, parts};

/// A heading and the anchor that a code host gives it.
pub struct Heading {
    pub level: usize,
    pub text: String,
    pub anchor: String,
}

/// The headings of a page.
pub fn headings(page: &str) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    for part in parts(page) {
        let Content::Text(line) = part.content else { continue };
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        let Some(text) = line[level..].strip_prefix(' ').filter(|_| (1..=6).contains(&level)) else {
            continue;
        };
        let text = text.trim().to_owned();
        let plain = anchor(&text);
        let before = headings.iter().filter(|heading| anchor(&heading.text) == plain).count();
        let anchor = if before == 0 { plain } else { format!("{plain}-{before}") };
        headings.push(Heading { level, text, anchor });
    }
    headings
}

/// The targets of the links `[text](target)` in a line of text.
pub fn links(line: &str) -> Vec<String> {
    // What stands between backticks is code.
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn every_link_within_the_repository_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for (name, path) in pages() {
        let page = std::fs::read_to_string(&path).unwrap();
        for part in parts(&page) {
            let Content::Text(line) = &part.content else { continue };
            for target in links(line).iter().filter(|target| !target.contains("://")) {
                followed += 1;
                if let Err(why) = follow(&path, &page, target) {
                    broken.push(format!("{name}:{}: {target}: {why}", part.line));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(followed > 50, "{followed} links were found");
}

/// Whether a link on this page leads to a file and, with an anchor, to a heading.
pub fn follow(from: &Path, page: &str, target: &str) -> Result<(), &'static str> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { from.to_owned() } else { from.parent().unwrap().join(file) };
    if !path.exists() {
        return Err("there is no such file");
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let text = if file.is_empty() { page.to_owned() } else { std::fs::read_to_string(&path).unwrap() };
    let found = headings(&text).iter().any(|heading| heading.anchor == anchor);
    found.then_some(()).ok_or("the page has no such heading")
}

#[test]
fn a_broken_link_is_seen() {
    let here = harness::checkout("README.md");
    let page = "# Here it is\n\n```\n# not here\n```\n## Twice\n## Twice\n";
    for target in
        ["#here-it-is", "#twice", "#twice-1", "docs/promises.md", "docs/promises.md#the-promises", "docs"]
    {
        assert_eq!(follow(&here, page, target), Ok(()), "{target}");
    }
    for target in ["#not-here", "#twice-2", "docs/none.md", "docs/promises.md#none"] {
        assert!(follow(&here, page, target).is_err(), "{target}");
    }
    assert_eq!(links("[a](b.md) and `[c](d)` and ![e](f.png)"), ["b.md", "f.png"]);
}

/// A page names a test as `` `tests/file.rs` `name` ``.
#[test]
fn every_test_that_a_page_names_is_there() {
    let root = harness::checkout("");
    let (mut missing, mut named) = (Vec::new(), 0);
    for (page, path) in pages() {
        let text = std::fs::read_to_string(path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code: Vec<&str> = line.split('`').collect();
            for pair in code.windows(3).filter(|pair| {
                pair[1] == " " && Path::new(pair[0]).extension().is_some_and(|extension| extension == "rs")
            }) {
                named += 1;
                let source = std::fs::read_to_string(root.join(pair[0])).unwrap_or_default();
                if !source.contains(&format!("fn {}(", pair[2])) {
                    missing.push(format!("{page}:{}: {} {}", number + 1, pair[0], pair[2]));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(named > 100, "{named} tests are named");
}
