//! As much of Markdown as the tests need: lines, fences, comments.

use std::path::PathBuf;

/// A part of a page, with the number of its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub line: usize,
    pub content: Content,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One line of text.
    Text(String),
    /// A fenced block: what stands behind the fence, and the lines in it.
    Block { language: String, text: String },
    /// An HTML comment.
    Comment(String),
}

/// The parts of a page. A fence or a comment begins at the begin of a line; in a list it may be indented.
pub fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let content = if let Some(language) = trimmed.strip_prefix("```") {
            let mut text = Vec::new();
            while let Some((_, line)) = lines.next().filter(|(_, line)| line.trim() != "```") {
                text.push(line.get(indent..).unwrap_or_default());
            }
            Content::Block { language: language.trim().to_owned(), text: text.join("\n") }
        } else if let Some(rest) = trimmed.strip_prefix("<!--") {
            let mut text = rest.to_owned();
            while !text.contains("-->") {
                let Some((_, line)) = lines.next() else { break };
                text.push('\n');
                text.push_str(line);
            }
            Content::Comment(text.split("-->").next().unwrap_or_default().trim().to_owned())
        } else {
            Content::Text(line.to_owned())
        };
        parts.push(Part { line: index + 1, content });
    }
    parts
}

/// The anchor that a code host gives a heading.
pub fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Every Markdown file of the repository, and its path in it.
pub fn pages() -> Vec<(String, PathBuf)> {
    let root = harness::checkout("");
    let mut pages = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                // What was built, and what belongs to tools.
                if name != "target" && !name.starts_with('.') {
                    directories.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let inside = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                pages.push((inside, path));
            }
        }
    }
    pages.sort();
    pages
}
