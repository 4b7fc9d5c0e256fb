//! The pictures and tables of the states show all of them and no others.

use std::collections::BTreeSet;

use tenios_api::crd;

use super::markdown::{Content, pages, parts};

const CONCEPTS: &str = include_str!("../../../docs/concepts.md");
const REASONS: &str = include_str!("../../../docs/reasons.md");

/// The states that the CRD of this kind knows.
fn states(kind: &str) -> BTreeSet<String> {
    let crds = serde_json::to_value(crd::all()).unwrap();
    let crd = crds.as_array().unwrap().iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/state/enum";
    let states = crd.pointer(path).unwrap().as_array().unwrap();
    states.iter().filter_map(|state| state.as_str().map(ToOwned::to_owned)).collect()
}

#[test]
fn the_pictures_show_every_state() {
    let pictures = parts(CONCEPTS).into_iter().filter_map(|part| match part.content {
        Content::Block { text, .. } if text.starts_with("stateDiagram") => Some(text),
        _ => None,
    });
    let shown: Vec<BTreeSet<String>> = pictures
        .map(|picture| {
            let arrows = picture.lines().filter_map(|line| line.split_once("-->"));
            let ends = arrows.flat_map(|(from, to)| [from, to.split(':').next().unwrap_or_default()]);
            ends.map(|state| state.trim().to_owned()).filter(|state| state != "[*]").collect()
        })
        .collect();
    assert_eq!(shown, [states("PhoneNumberOrder"), states("PhoneVerification")]);
}

#[test]
fn the_table_names_every_state() {
    let (_, table) = REASONS.split_once("| state | kind | meaning |\n|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with("| `"));
    let named: BTreeSet<String> = rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(named, &states("PhoneNumberOrder") | &states("PhoneVerification"));
}

/// A renderer takes a semicolon and a number sign for the end of a line, and a second colon of a transition for an error.
#[test]
fn no_picture_has_a_sign_that_breaks_it() {
    for (name, path) in pages() {
        let page = std::fs::read_to_string(path).unwrap();
        for part in parts(&page) {
            let Content::Block { language, text } = part.content else { continue };
            for line in text.lines().filter(|_| language == "mermaid") {
                let colons = if text.starts_with("stateDiagram") { line.matches(':').count() } else { 0 };
                assert!(!line.contains([';', '#']) && colons < 2, "{name}: {line}");
            }
        }
    }
}
