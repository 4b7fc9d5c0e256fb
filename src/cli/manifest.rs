//! Manifests as kubectl reads them, and the line of everything in them.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag, options};

use super::resolve;

/// What a document may grow to once its anchors are put in: each of a chain of them doubles it.
const MOST_VALUES: usize = 1_000_000;

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
        let (documents, broken) = Reader::read(chunk);
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
        match Reader::read(Chunk { lines_before, text }) {
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

/// Where the lines of a part end, as an editor counts them.
struct Lines {
    before: usize,
    ends: Vec<usize>,
}

impl Lines {
    fn of(chunk: &Chunk<'_>) -> Self {
        let ends = chunk.text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(index, _)| index);
        Self { before: chunk.lines_before, ends: ends.collect() }
    }

    fn line(&self, character: usize) -> usize {
        self.before + 1 + self.ends.partition_point(|end| *end < character)
    }
}

/// Line ends to YAML 1.1, and to no editor.
const OTHER_LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// The same text, character by character, with the line ends that kubectl sees. Within quotes U+2028 and
/// U+2029 stay what they are.
fn with_line_ends(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(OTHER_LINE_ENDS) {
        return text.into();
    }
    let quoted: Vec<std::ops::Range<usize>> = Parser::new_from_str(text)
        .map_while(Result::ok)
        .filter(|(event, _)| {
            matches!(event, Event::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, ..))
        })
        .map(|(_, span)| span.start.index()..span.end.index())
        .collect();
    let is_quoted = |index: usize| {
        let after = quoted.partition_point(|range| range.end <= index);
        quoted.get(after).is_some_and(|range| range.contains(&index))
    };
    let ends = text.chars().enumerate().map(|(index, c)| match c {
        '\u{85}' => '\n',
        _ if OTHER_LINE_ENDS.contains(&c) && !is_quoted(index) => '\n',
        _ => c,
    });
    ends.collect::<String>().into()
}

/// What `go-yaml` refuses wherever it stands.
fn forbidden(text: &str) -> Option<(usize, char)> {
    let is_allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | '\u{85}')
            || !(c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'))
    };
    text.chars().enumerate().find(|(_, c)| !is_allowed(*c))
}

/// Builds nodes from what the parser comes across.
struct Reader {
    lines: Lines,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    documents: Vec<Rc<Node>>,
}

/// A collection whose end was not seen yet.
struct Open {
    line: usize,
    anchor: usize,
    items: Items,
}

enum Items {
    Sequence(Vec<Rc<Node>>),
    Mapping { entries: Vec<Entry>, key: Option<Key> },
}

enum Key {
    Name(String, usize),
    Merge,
}

impl Reader {
    fn read(chunk: Chunk<'_>) -> (Vec<Rc<Node>>, Option<Unreadable>) {
        let lines = Lines::of(&chunk);
        if let Some((index, c)) = forbidden(chunk.text) {
            let why = format!("U+{:04X} is a control character, which kubectl does not read", u32::from(c));
            return (Vec::new(), Some(Unreadable { line: lines.line(index), why }));
        }
        let mut reader = Self { lines, open: Vec::new(), anchors: HashMap::new(), documents: Vec::new() };
        let text = with_line_ends(chunk.text);
        let options = options! { emit_comments: false };
        for event in Parser::new_from_str_with_options(&text, options) {
            let taken = match event {
                Ok((event, span)) => reader.take(event, &span),
                Err(error) => Err(reader.broken(&error)),
            };
            if let Err(broken) = taken {
                return (reader.documents, Some(broken));
            }
        }
        (reader.documents, None)
    }

    fn broken(&self, error: &ScanError) -> Unreadable {
        Unreadable { line: self.lines.line(error.marker().index()), why: error.info() }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Unreadable> {
        let line = self.lines.line(span.start.index());
        let fail = |why: &str| Err(Unreadable { line, why: why.into() });
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let content = scalar(&text, style, tag.as_deref());
                return self.put(Node { line, size: 1, content }, anchor);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open { line, anchor, items: Items::Sequence(Vec::new()) });
            }
            Event::MappingStart(_, anchor, _) => {
                let items = Items::Mapping { entries: Vec::new(), key: None };
                self.open.push(Open { line, anchor, items });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let content = match open.items {
                    Items::Sequence(elements) => Content::Sequence(elements),
                    Items::Mapping { entries, .. } => Content::Mapping(entries),
                };
                let size = content.size();
                if size > MOST_VALUES {
                    return fail("is too large once its anchors are put in");
                }
                return self.put(Node { line: open.line, size, content }, open.anchor);
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).map(Rc::clone) {
                Some(node) => return self.place(node, line),
                None => return fail("an alias stands inside of what it means"),
            },
            _ => {}
        }
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Unreadable> {
        let (line, node) = (node.line, Rc::new(node));
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, line)
    }

    fn place(&mut self, node: Rc<Node>, line: usize) -> Result<(), Unreadable> {
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.items {
            Items::Sequence(elements) => elements.push(node),
            Items::Mapping { entries, key } => match key.take() {
                None => *key = Some(node.as_key(line)?),
                Some(Key::Name(name, line)) => {
                    entries.retain(|entry| !(entry.is_merged && entry.name == name));
                    entries.push(Entry::new(name, line, node));
                }
                Some(Key::Merge) => merge(entries, &node, line)?,
            },
        }
        Ok(())
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

impl Node {
    fn as_key(&self, line: usize) -> Result<Key, Unreadable> {
        let fail = |why: &str| Err(Unreadable { line, why: why.into() });
        match &self.content {
            Content::Scalar { value: Value::String(text), written: Some(_) } if text == "<<" => {
                Ok(Key::Merge)
            }
            Content::Scalar { value: Value::String(name), .. } => Ok(Key::Name(name.clone(), line)),
            Content::Scalar { value: Value::Null, .. } => fail("a field has no name"),
            Content::Scalar { value, .. } => Ok(Key::Name(value.to_string(), line)),
            _ => fail("a list or an object is no name of a field"),
        }
    }
}

/// `<<`: the fields of other objects, where they stand.
fn merge(entries: &mut Vec<Entry>, from: &Node, line: usize) -> Result<(), Unreadable> {
    match &from.content {
        Content::Mapping(others) => {
            for other in others {
                match entries.iter_mut().find(|entry| entry.name == other.name) {
                    Some(entry) => entry.value = Rc::clone(&other.value),
                    None => entries.push(Entry { line, is_merged: true, ..other.clone() }),
                }
            }
            Ok(())
        }
        Content::Sequence(all) => all.iter().rev().try_for_each(|one| match one.content {
            Content::Mapping(_) => merge(entries, one, line),
            _ => Err(Unreadable { line, why: "<< takes objects only".into() }),
        }),
        Content::Scalar { .. } => Err(Unreadable { line, why: "<< takes objects only".into() }),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Content {
    let is_text = match tag {
        None => style != ScalarStyle::Plain,
        Some(tag) => !matches!(tag.core_suffix(), Some("bool" | "float" | "int" | "null")),
    };
    if is_text {
        return Content::Scalar { value: text.into(), written: None };
    }
    let value = if text == "<<" { text.into() } else { resolve::plain(text) };
    let is_odd = match &value {
        Value::String(read) => read == "<<",
        Value::Bool(read) => text != if *read { "true" } else { "false" },
        Value::Number(read) => text != read.to_string(),
        _ => false,
    };
    Content::Scalar { value, written: is_odd.then(|| text.to_owned()) }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't be read as YAML: {}", self.why)
    }
}
