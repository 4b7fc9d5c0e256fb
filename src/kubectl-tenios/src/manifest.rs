//! Manifests as kubectl reads them, and the line of everything in them.

mod reader;

use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Value};

/// A step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field.
    Field(String),
    /// An element.
    Element(usize),
}

/// A value with the place that it stands in.
#[derive(Debug)]
pub(super) struct Node {
    /// The line, from 1.
    line: usize,
    /// How many values this is, with all that is inside.
    size: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar {
        value: Value,
        /// What stands there, where it was read as something else.
        written: Option<String>,
    },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    line: usize,
    value: Rc<Node>,
    /// Whether it came by `<<`: then the same name after it is no repetition.
    is_merged: bool,
}

/// Why the rest of a part can't be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) line: usize,
    pub(super) why: String,
}

impl Node {
    fn of_json(value: Value, line: usize) -> Self {
        let content = match value {
            Value::Array(elements) => Content::Sequence(
                elements.into_iter().map(|element| Rc::new(Self::of_json(element, line))).collect(),
            ),
            Value::Object(fields) => {
                let entry = |(name, value)| Entry::new(name, line, Rc::new(Self::of_json(value, line)));
                Content::Mapping(fields.into_iter().map(entry).collect())
            }
            value => Content::Scalar { value, written: None },
        };
        Self { line, size: content.size(), content }
    }

    /// As what is sent to the apiserver: of two fields of one name, the last.
    pub(super) fn value(&self) -> Value {
        match &self.content {
            Content::Scalar { value, .. } => value.clone(),
            Content::Sequence(elements) => elements.iter().map(|element| element.value()).collect(),
            Content::Mapping(entries) => {
                let fields = entries.iter().map(|entry| (entry.name.clone(), entry.value.value()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// The line of this path, or of what it lies in where it is not there itself.
    pub(super) fn line(&self, path: &[Step]) -> usize {
        self.line_within(self.line, path)
    }

    /// A field stands where its name does.
    fn line_within(&self, own: usize, path: &[Step]) -> usize {
        let Some((step, rest)) = path.split_first() else { return own };
        match (self.entry(step), self.inner(step)) {
            (entry, Some(inner)) => inner.line_within(entry.map_or(inner.line, |entry| entry.line), rest),
            _ => own,
        }
    }

    /// The node at this path.
    pub(super) fn at(&self, path: &[Step]) -> Option<&Node> {
        match path.split_first() {
            None => Some(self),
            Some((step, rest)) => self.inner(step)?.at(rest),
        }
    }

    /// Text that kubectl reads as something that does not look like it.
    pub(super) fn reread(&self) -> Option<String> {
        match &self.content {
            Content::Scalar { value, written: Some(written) } => {
                let what = if value.is_boolean() { value.to_string() } else { "a number".into() };
                Some(format!("kubectl reads {written} as {what}: quote it"))
            }
            _ => None,
        }
    }

    /// The paths of fields that have the name of one before, with their lines.
    pub(super) fn repeated(&self) -> Vec<(Vec<Step>, usize)> {
        let mut found = Vec::new();
        self.collect_repeated(&mut Vec::new(), &mut found);
        found
    }

    fn collect_repeated(&self, path: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, usize)>) {
        let steps: Vec<(Step, &Node)> = match &self.content {
            Content::Scalar { .. } => Vec::new(),
            Content::Sequence(elements) => {
                elements.iter().enumerate().map(|(index, node)| (Step::Element(index), &**node)).collect()
            }
            Content::Mapping(entries) => {
                let mut seen = std::collections::HashSet::new();
                for entry in entries.iter().filter(|entry| !seen.insert(&entry.name)) {
                    let path = path.iter().cloned().chain([Step::Field(entry.name.clone())]);
                    found.push((path.collect(), entry.line));
                }
                entries.iter().map(|entry| (Step::Field(entry.name.clone()), &*entry.value)).collect()
            }
        };
        for (step, node) in steps {
            path.push(step);
            node.collect_repeated(path, found);
            path.pop();
        }
    }

    fn entry(&self, step: &Step) -> Option<&Entry> {
        match (&self.content, step) {
            (Content::Mapping(entries), Step::Field(name)) => {
                entries.iter().rev().find(|entry| entry.name == *name)
            }
            _ => None,
        }
    }

    fn inner(&self, step: &Step) -> Option<&Node> {
        match (&self.content, step) {
            (Content::Sequence(elements), Step::Element(index)) => elements.get(*index).map(|node| &**node),
            _ => self.entry(step).map(|entry| &*entry.value),
        }
    }
}

/// The documents of a text in its order. What is broken ends its part, because the next document can't be
/// found.
pub(super) fn documents(text: &str) -> Vec<Result<Rc<Node>, Unreadable>> {
    let mut found = Vec::new();
    for chunk in chunks(text) {
        if let Some(documents) = json(chunk) {
            found.extend(documents.into_iter().map(Ok));
            continue;
        }
        let (documents, broken) = reader::read(&chunk);
        found.extend(documents.into_iter().map(Ok));
        found.extend(broken.map(Err));
    }
    found
}

/// One JSON value after another, as kubectl takes them, too. Most JSON is YAML and has its lines from there.
fn json(chunk: Chunk<'_>) -> Option<Vec<Rc<Node>>> {
    if !chunk.text.trim_start().starts_with('{') {
        return None;
    }
    let mut documents = Vec::new();
    let mut values = serde_json::Deserializer::from_str(chunk.text).into_iter::<Value>();
    let mut start = 0;
    while let Some(value) = values.next() {
        let value = value.ok()?;
        let (before, text) = (&chunk.text[..start], &chunk.text[start..values.byte_offset()]);
        start = values.byte_offset();
        let lines_before = chunk.lines_before + before.matches('\n').count();
        match reader::read(&Chunk { lines_before, text }) {
            (read, None) => documents.extend(read),
            _ => documents.push(Rc::new(Node::of_json(value, lines_before + 1))),
        }
    }
    Some(documents)
}

/// A part of a text that holds whole documents, and the lines before it.
#[derive(Clone, Copy, Debug)]
struct Chunk<'a> {
    lines_before: usize,
    text: &'a str,
}

/// The text in parts at its `---`, so that a broken one does not hide those after it.
fn chunks(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut lines_before, mut offset) = (0, 0, 0);
    let mut begun = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker && begun {
            chunks.push(Chunk { lines_before, text: &text[start..offset] }.without_mark());
            (start, lines_before) = (offset, number);
        }
        // To kubectl, a directive such as `%YAML 1.1` is a broken document of its own.
        begun |= marker || !(line.trim().is_empty() || line.starts_with('#'));
        offset += line.len();
    }
    if begun {
        chunks.push(Chunk { lines_before, text: &text[start..] }.without_mark());
    }
    chunks
}

impl Chunk<'_> {
    /// Without the byte order mark of a file that was put behind others.
    fn without_mark(self) -> Self {
        match self.text.split_once('\n').map(|(marker, rest)| (marker, rest.strip_prefix('\u{FEFF}'))) {
            Some((marker, Some(text))) if marker.starts_with("---") => {
                Chunk { lines_before: self.lines_before + 1, text }
            }
            _ => self,
        }
    }
}

impl Entry {
    fn new(name: String, line: usize, value: Rc<Node>) -> Self {
        Self { name, line, value, is_merged: false }
    }
}

impl Content {
    fn size(&self) -> usize {
        let inner: usize = match self {
            Self::Scalar { .. } => 0,
            Self::Sequence(elements) => elements.iter().map(|node| node.size).sum(),
            Self::Mapping(entries) => entries.iter().map(|entry| entry.value.size).sum(),
        };
        inner + 1
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't be read as YAML: {}", self.why)
    }
}
