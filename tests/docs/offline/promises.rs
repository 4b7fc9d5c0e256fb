//! A test that is named after promises is listed under these, and under no others.

use std::collections::{BTreeMap, BTreeSet};

use super::named::files;

const PAGE: &str = include_str!("../../../docs/promises.md");

/// File and name of a test, and the promises that it checks.
type Tests = BTreeMap<(String, String), BTreeSet<u8>>;

/// The promises that a name begins with: `p03_p05_…` checks the third and the fifth.
fn promises(name: &str) -> BTreeSet<u8> {
    let numbered =
        name.split('_').map_while(|part| part.strip_prefix('p').filter(|digits| digits.len() == 2));
    numbered.map_while(|digits| digits.parse().ok()).collect()
}

fn written() -> Tests {
    let root = harness::checkout("");
    let sources = ["src", "tests"].iter().flat_map(|folder| files(&root.join(folder)));
    let mut tests = Tests::new();
    for file in sources.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let file = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let names = text.split("fn ").skip(1).filter_map(|rest| rest.split_once('(')).map(|(name, _)| name);
        for name in names.filter(|name| !promises(name).is_empty()) {
            tests.insert((file.clone(), name.to_owned()), promises(name));
        }
    }
    tests
}

fn listed(page: &str) -> Tests {
    let mut tests = Tests::new();
    let mut promise = 0;
    for line in page.lines() {
        if let Some((number, _)) = line.strip_prefix("**").and_then(|rest| rest.split_once(".**")) {
            promise = number.parse().unwrap_or(0);
        }
        if let ["- ", file, " ", name, ..] = line.split('`').collect::<Vec<_>>()[..] {
            tests.entry((file.to_owned(), name.to_owned())).or_default().insert(promise);
        }
    }
    tests
}

#[test]
fn every_test_of_a_promise_is_listed_under_it() {
    let (written, listed) = (written(), listed(PAGE));
    assert!(written.len() > 100, "{} tests are named after promises", written.len());
    let unlisted: Vec<_> =
        written.iter().filter(|(test, checks)| listed.get(*test) != Some(*checks)).collect();
    assert!(unlisted.is_empty(), "not, or not only, under their promises in docs/promises.md: {unlisted:#?}");
}

#[test]
fn a_test_under_another_promise_is_seen() {
    let page = "**3.** x\n- `tests/a.rs` `p03_p05_b`\n**5.** y\n- `tests/a.rs` `p03_p05_b`\n- `tests/a.rs` `p04_c`\n";
    let listed = listed(page);
    let of = |name: &str| listed[&("tests/a.rs".to_owned(), name.to_owned())].clone();
    assert_eq!(of("p03_p05_b"), promises("p03_p05_b"));
    assert_ne!(of("p04_c"), promises("p04_c"));
    assert_eq!(promises("p03_pushes_commute"), BTreeSet::from([3]));
    assert!(promises("push").is_empty() && promises("patience_is_kept").is_empty());
}
