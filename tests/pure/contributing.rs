//! What CONTRIBUTING.md and the workflows say to whoever carries on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use harness::checkout;

const CONTRIBUTING: &str = include_str!("../../CONTRIBUTING.md");

fn read(path: &str) -> String {
    std::fs::read_to_string(checkout(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names in backticks.
fn names(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_arrows_between_the_crates_run_as_contributing_says() {
    let rows = CONTRIBUTING.lines().filter_map(|line| line.strip_prefix("| `src/"));
    let said: BTreeMap<_, _> = rows
        .map(|row| {
            let (room, rest) = row.split_once('`').unwrap();
            (room.to_owned(), names(rest.trim_end_matches('|').rsplit_once('|').unwrap().1))
        })
        .collect();
    let rooms = std::fs::read_dir(checkout("src")).unwrap();
    let rooms = rooms.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let written: BTreeMap<_, _> = rooms.map(|room| (room.clone(), used(&room))).collect();
    assert_eq!(said, written, "what CONTRIBUTING.md says, and what the manifests say");
}

/// The folders of the crates that this one depends on.
fn used(room: &str) -> BTreeSet<String> {
    let manifest = read(&format!("src/{room}/Cargo.toml"));
    let dependencies = manifest.split("[dependencies]\n").nth(1).unwrap_or_default();
    let dependencies = dependencies.lines().take_while(|line| !line.starts_with('['));
    dependencies
        .filter_map(|line| line.strip_prefix("tenios-")?.strip_suffix(".workspace = true"))
        .map(str::to_owned)
        .collect()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries
        .flat_map(below)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Whether this source names a field of the spec, beside its comments and tests.
fn is_named_in(field: &str, source: &Path) -> bool {
    let snake = field.chars().fold(String::new(), |snake, c| match c {
        'A'..='Z' => format!("{snake}_{}", c.to_ascii_lowercase()),
        c => format!("{snake}{c}"),
    });
    let text = std::fs::read_to_string(source).unwrap();
    let code =
        text.split("#[cfg(test)]").next().unwrap().lines().filter(|line| !line.trim().starts_with("//"));
    let mut words = code.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    !source.ends_with("tests.rs") && words.any(|word| word == field || word == snake)
}

#[test]
fn a_field_is_named_in_at_most_four_files_on_its_way_from_the_manifest_to_the_request() {
    let crates = ["api", "ledger", "lifecycle", "operator", "provider"];
    let all: Vec<PathBuf> = crates.iter().flat_map(|name| sources(&checkout("src").join(name))).collect();
    for field in ["areaCode", "city", "country", "houseNumber", "numberType", "street", "verificationRef"] {
        let named: Vec<_> = all.iter().filter(|source| is_named_in(field, source)).collect();
        assert!((2..=4).contains(&named.len()), "{field}: {named:#?}");
    }
}

#[test]
fn every_path_of_contributing_exists() {
    let words = names(CONTRIBUTING).into_iter().chain(CONTRIBUTING.split_whitespace().map(bare));
    let roots = ["src/", "tests/", "docs/", "deploy/", "crds/", ".github/", ".ci/"];
    let whole = ["README.md", "CHANGELOG.md", "Cargo.toml", "Cargo.lock"];
    let is_path =
        |word: &String| roots.iter().any(|root| word.starts_with(root)) || whole.contains(&word.as_str());
    let paths: BTreeSet<_> = words.filter(is_path).collect();
    assert!(paths.len() > 30, "{paths:?}");
    let missing: Vec<_> = paths.iter().filter(|path| !checkout(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Without what a sentence puts around a word.
fn bare(word: &str) -> String {
    let word = word.rsplit_once("](").map_or(word, |(_, link)| link);
    let word = word.trim_start_matches(['`', '(', '[']);
    let end = word.find(['`', ')', ']', ',', ';', ':', '#']).unwrap_or(word.len());
    word[..end].trim_end_matches('.').to_owned()
}

#[test]
fn every_command_of_contributing_and_the_workflows_exists() {
    let blocks = CONTRIBUTING.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let mut commands: BTreeSet<String> = blocks.flat_map(str::lines).map(str::to_owned).collect();
    commands.extend(names(CONTRIBUTING).into_iter().filter(|name| name.starts_with("make ")));
    for workflow in ["ci", "release", "scheduled"] {
        let text = read(&format!(".github/workflows/{workflow}.yaml"));
        serde_saphyr::from_str::<serde_json::Value>(&text).unwrap();
        commands
            .extend(text.lines().filter_map(|line| line.trim().strip_prefix("- run: ")).map(str::to_owned));
        for action in text.lines().filter_map(|line| line.trim().strip_prefix("- uses: ")) {
            let (_, version) = action.split_once('@').unwrap();
            let commit = version.split(' ').next().unwrap();
            assert!(commit.len() == 40 && version.contains(" # v"), "not pinned: {action}");
        }
    }
    assert!(commands.len() > 12, "{commands:?}");
    let makefile = read("Makefile");
    for command in &commands {
        let mut words = command.split(' ').skip_while(|word| word.contains('='));
        match words.next().unwrap() {
            "make" => {
                let target = format!("\n{}:", words.next().unwrap());
                assert!(makefile.contains(&target), "`{command}`: there is no such target");
            }
            "cargo" => is_a_test(command, &words.collect::<Vec<_>>()),
            "tar" | "sudo" | "skopeo" | "gh" => {}
            path => assert!(checkout(path).is_file(), "`{command}`: there is no {path}"),
        }
    }
}

/// `cargo test --locked --test BINARY [FILTER]`, where the filter selects something.
fn is_a_test(command: &str, words: &[&str]) {
    let ["test", "--locked", "--test", binary, rest @ ..] = words else { panic!("`{command}`") };
    let manifest = read("tests/Cargo.toml");
    assert!(
        manifest.contains(&format!("[[test]]\nname = \"{binary}\"\n")),
        "`{command}`: there is no such binary"
    );
    let Some(filter) = rest.first().filter(|word| !word.starts_with('-')) else { return };
    let found = sources(&checkout("tests").join(binary)).iter().any(|file| match filter.strip_suffix("::") {
        Some(module) => file.file_stem().is_some_and(|stem| stem == module),
        None => std::fs::read_to_string(file).unwrap().contains(&format!("fn {filter}(")),
    });
    assert!(found, "`{command}` selects nothing");
}

#[test]
fn the_worked_example_of_a_test_is_one() {
    let example = CONTRIBUTING.split("```rust\n").nth(1).unwrap().split("\n```").next().unwrap();
    let bare = |line: &str| line.split("  //").next().unwrap_or_default().trim_end().to_owned();
    let example: Vec<_> = example.lines().map(bare).collect();
    assert!(read("tests/cluster/push.rs").contains(&example.join("\n")), "{}", example.join("\n"));
}
