//! What a page asks for: its `sh` blocks, and what its comments add for the tests.
//!
//! A comment `<!-- test: … -->` has one step a line. `docs/README.md` lists them for those who write pages.

use serde_json::Value;

use super::markdown::{Content, parts};

/// See the module documentation.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A block, as the reader would type it.
    Type(String),
    /// The block without its commands' ends.
    TypeAndStop(String),
    File {
        name: String,
        text: String,
    },
    Namespace,
    Await {
        kind: String,
        name: String,
        word: String,
    },
    Orders(usize),
    Requests(usize),
    Lose,
    Provider {
        method: String,
        path: String,
        body: Value,
    },
    Run(String),
}

/// What a comment says about the next block.
enum Mark {
    Skip,
    File(String),
    Stopped,
}

/// What begins a line that is meant to be typed.
const COMMANDS: &[&str] = &[
    "kubectl",
    "helm",
    "make",
    "curl",
    "tenios-operator",
    "kustomize",
    "flux",
    "argocd",
    "cosign",
    "docker",
];

/// The steps of a page, each with its line.
///
/// # Errors
/// What makes no sense, with its line.
pub fn read(page: &str) -> Result<Vec<(usize, Step)>, String> {
    let mut steps = Vec::new();
    let mut mark = None;
    for part in parts(page) {
        let line = part.line;
        let wrong = |why: &str| Err(format!("{line}: {why}"));
        match part.content {
            Content::Text(text) => {
                let first = text.trim_start().split(' ').next().unwrap_or_default();
                if text.starts_with("    ") && COMMANDS.contains(&first) {
                    return wrong("a command outside of a ```sh block");
                }
                if text.starts_with('#') && mark.is_some() {
                    return wrong("the comment before this heading marks no block");
                }
            }
            Content::Block { language, text } => match (mark.take(), language.as_str()) {
                (Some(Mark::File(name)), _) => steps.push((line, Step::File { name, text })),
                (None, "sh") => steps.push((line, Step::Type(text))),
                (Some(Mark::Stopped), "sh") => steps.push((line, Step::TypeAndStop(text))),
                (None, _) | (Some(Mark::Skip), "sh") => {}
                (Some(_), _) => return wrong("a mark before a block that is not run anyway"),
            },
            Content::Comment(text) => {
                for step in text.strip_prefix("test:").into_iter().flat_map(str::lines) {
                    match read_step(step.trim()).map_err(|why| format!("{line}: {step}: {why}"))? {
                        None => {}
                        Some(Said::Step(step)) => steps.push((line, step)),
                        Some(Said::Mark(_)) if mark.is_some() => return wrong("two marks for one block"),
                        Some(Said::Mark(new)) => mark = Some(new),
                    }
                }
            }
        }
    }
    if mark.is_some() { Err("the last comment marks no block".into()) } else { Ok(steps) }
}

enum Said {
    Mark(Mark),
    Step(Step),
}

fn read_step(text: &str) -> Result<Option<Said>, &'static str> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let step = match word {
        "" => return Ok(None),
        "skip," if !rest.is_empty() => return Ok(Some(Said::Mark(Mark::Skip))),
        "skip," | "skip" => return Err("give a reason: skip, REASON"),
        "file" => return Ok(Some(Said::Mark(Mark::File(rest.to_owned())))),
        "stopped" => return Ok(Some(Said::Mark(Mark::Stopped))),
        "namespace" => Step::Namespace,
        "await" => {
            let (what, word) = rest.split_once(' ').ok_or("expected KIND/NAME WORD")?;
            let (kind, name) = what.split_once('/').ok_or("expected KIND/NAME WORD")?;
            Step::Await { kind: kind.to_owned(), name: name.to_owned(), word: word.to_owned() }
        }
        "orders" => Step::Orders(rest.parse().map_err(|_| "expected a count")?),
        "requests" => Step::Requests(rest.parse().map_err(|_| "expected a count")?),
        "lose" => Step::Lose,
        "provider" => {
            let (method, rest) = rest.split_once(' ').ok_or("expected METHOD PATH JSON")?;
            let (path, body) = rest.split_once(' ').ok_or("expected METHOD PATH JSON")?;
            let body = serde_json::from_str(body).map_err(|_| "expected METHOD PATH JSON")?;
            Step::Provider { method: method.to_owned(), path: path.to_owned(), body }
        }
        "run" => Step::Run(rest.to_owned()),
        _ => return Err("no such step"),
    };
    Ok(Some(Said::Step(step)))
}

#[test]
fn a_page_that_is_written_wrongly_is_not_read() {
    for (page, line) in [
        ("    kubectl get pno\n", 1),
        ("\n<!-- test: skip -->\n```sh\nkubectl get pno\n```\n", 2),
        ("<!-- test: skip, no kubelet -->\n# A heading\n```sh\nkubectl get pno\n```\n", 2),
        ("<!-- test:\nwait a while\n-->\n", 1),
        ("<!-- test: await pno Assigned -->\n", 1),
        ("<!-- test: stopped -->\n```yaml\na: b\n```\n", 2),
    ] {
        let why = read(page).unwrap_err();
        assert!(why.starts_with(&format!("{line}: ")), "{why}: {page}");
    }
    assert!(read("<!-- test: skip, no block -->\n").is_err());
    let page =
        "- a list\n\n  <!-- test: orders 1 -->\n  ```sh\n  kubectl get pno\n  ```\n<!-- another remark -->\n";
    assert_eq!(read(page).unwrap(), [(3, Step::Orders(1)), (4, Step::Type("kubectl get pno".into()))]);
}
