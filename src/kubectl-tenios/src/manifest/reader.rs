//! From the text of a part to its values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag, options};

use super::super::resolve;
use super::{Chunk, Content, Entry, Node, Unreadable};

/// What a document may grow to once its anchors are put in: each of a chain of them doubles it.
const MOST_VALUES: usize = 1_000_000;

/// The documents of a part, and what is wrong with the one that could not be read.
pub(super) fn read(chunk: &Chunk<'_>) -> (Vec<Rc<Node>>, Option<Unreadable>) {
    Reader::new(chunk, &with_line_ends(chunk.text)).read()
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
const SEPARATORS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// The same text, character by character, with the line ends that kubectl sees. Within quotes U+2028 and
/// U+2029 stay what they are.
fn with_line_ends(text: &str) -> Cow<'_, str> {
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
struct Reader<'a> {
    text: &'a str,
    /// The same with the line ends that kubectl sees.
    parsed: &'a str,
    has_separators: bool,
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

impl<'a> Reader<'a> {
    fn new(chunk: &Chunk<'a>, parsed: &'a str) -> Self {
        Self {
            text: chunk.text,
            parsed,
            has_separators: chunk.text.contains(SEPARATORS),
            lines: Lines::of(chunk),
            open: Vec::new(),
            anchors: HashMap::new(),
            documents: Vec::new(),
        }
    }

    fn read(mut self) -> (Vec<Rc<Node>>, Option<Unreadable>) {
        if let Some((index, c)) = forbidden(self.text) {
            let why = format!("U+{:04X} is a control character, which kubectl does not read", u32::from(c));
            return (Vec::new(), Some(Unreadable { line: self.lines.line(index), why }));
        }
        // As libyaml and its translation to Go read them.
        let options = options! {
            emit_comments: false,
            bom_inside_document_as_content: true,
            block_scalar_eof_without_line_feed: true,
        };
        for event in Parser::new_from_str_with_options(self.parsed, options) {
            let taken = match event {
                Ok((event, span)) => self.take(event, &span),
                Err(error) => Err(self.broken(&error)),
            };
            if let Err(broken) = taken {
                return (self.documents, Some(broken));
            }
        }
        (self.documents, None)
    }

    fn broken(&self, error: &ScanError) -> Unreadable {
        Unreadable { line: self.lines.line(error.marker().index()), why: error.info() }
    }

    /// U+2028 and U+2029 end lines, and stay in a text that goes on behind them, where `\n` becomes a space.
    fn with_separators<'t>(&self, text: Cow<'t, str>, style: ScalarStyle, span: &Span) -> Cow<'t, str> {
        if style != ScalarStyle::Plain || !self.has_separators {
            return text;
        }
        let (start, end) = (span.start.index(), span.end.index());
        let written: String = self.text.chars().skip(start).take(end.saturating_sub(start)).collect();
        if !written.contains(SEPARATORS) || written.contains('\n') {
            return text;
        }
        let parts = written.split_inclusive(SEPARATORS).map(|part| {
            let (text, separator) = match part.char_indices().next_back() {
                Some((at, last)) if SEPARATORS.contains(&last) => part.split_at(at),
                _ => (part, ""),
            };
            [text.trim_matches([' ', '\t']), separator].concat()
        });
        parts.collect::<String>().into()
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Unreadable> {
        let line = self.lines.line(span.start.index());
        let fail = |why: &str| Err(Unreadable { line, why: why.into() });
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                if style == ScalarStyle::DoubleQuoted
                    && span.slice(self.parsed).is_some_and(has_unknown_escape)
                {
                    return fail(
                        "an escape that YAML 1.1 does not have and kubectl rejects: \\/ or half a character",
                    );
                }
                let text = self.with_separators(text, style, span);
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
                    return fail("is too large once its aliases are expanded");
                }
                return self.put(Node { line: open.line, size, content }, open.anchor);
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).map(Rc::clone) {
                Some(node) => return self.place(node, line),
                None => return fail("an alias refers to a value that contains it"),
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

impl Node {
    fn as_key(&self, line: usize) -> Result<Key, Unreadable> {
        let fail = |why: &str| Err(Unreadable { line, why: why.into() });
        match &self.content {
            Content::Scalar { value: Value::String(text), written: Some(_) } if text == "<<" => {
                Ok(Key::Merge)
            }
            Content::Scalar { value: Value::String(name), .. } => Ok(Key::Name(name.clone(), line)),
            Content::Scalar { value: Value::Null, .. } => fail("a field has no name"),
            Content::Scalar { value: Value::Number(number), .. } if number.is_f64() => {
                Ok(Key::Name(number.as_f64().unwrap_or_default().to_string(), line))
            }
            Content::Scalar { value, .. } => Ok(Key::Name(value.to_string(), line)),
            _ => fail("a list or an object can't be the name of a field"),
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

/// JSON's escapes that were added with YAML 1.2, or never.
fn has_unknown_escape(written: &str) -> bool {
    let mut rest = written;
    while let Some((_, escape)) = rest.split_once('\\') {
        let is_half = escape.get(..3).is_some_and(|three| {
            matches!(three.as_bytes(), [b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'])
        });
        if escape.starts_with('/') || is_half {
            return true;
        }
        rest = escape.get(escape.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    }
    false
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
