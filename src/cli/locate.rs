//! Where a field stands in a YAML text. The parser tells places only of what it fails at, so it is
//! walked along the path and made to fail there.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field.
    Field(String),
    /// An element.
    Element(usize),
}

/// The part of an entry that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The place of this path in the n-th document; of what it lies in, where it is not there itself.
pub(super) fn nearest(text: &str, document: usize, path: &[Step]) -> Option<Place> {
    (0..=path.len()).rev().find_map(|length| place(text, document, &path[..length], Part::Key))
}

pub(super) fn place(text: &str, document: usize, path: &[Step], part: Part) -> Option<Place> {
    let deserializer = serde_norway::Deserializer::from_str(text).nth(document)?;
    let error = Seek { path, part }.deserialize(deserializer).err()?;
    let location = error.location()?;
    Some(Place { line: location.line(), column: location.column() })
}

#[derive(Clone, Copy)]
struct Seek<'a> {
    path: &'a [Step],
    part: Part,
}

fn stop<T, E: Error>() -> Result<T, E> {
    Err(E::custom("here"))
}

impl Seek<'_> {
    fn at_scalar<E: Error>(self) -> Result<(), E> {
        if self.path.is_empty() { stop() } else { Ok(()) }
    }

    /// The key itself is what is looked for.
    fn ends_at_key(&self) -> bool {
        self.path.len() == 1 && self.part == Part::Key
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return stop() };
        let wanted = match first {
            Step::Field(name) => Some(name.as_str()),
            Step::Element(_) => None,
        };
        let seek_key = KeySeek { wanted, stop: self.ends_at_key() };
        while let Some(hit) = map.next_key_seed(seek_key)? {
            if hit {
                map.next_value_seed(Self { path: rest, part: self.part })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return stop() };
        if let Step::Element(wanted) = first {
            for _ in 0..*wanted {
                if sequence.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(());
                }
            }
            sequence.next_element_seed(Self { path: rest, part: self.part })?;
        }
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.at_scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.at_scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.at_scalar()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.at_scalar()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.at_scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.at_scalar()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.at_scalar()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.at_scalar()
    }
}

#[derive(Clone, Copy)]
struct KeySeek<'a> {
    wanted: Option<&'a str>,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for KeySeek<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeek<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        let hit = self.wanted == Some(key);
        if hit && self.stop { stop() } else { Ok(hit) }
    }
}

/// A part of a text that holds whole documents, and the lines before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) lines_before: usize,
    pub(super) text: &'a str,
}

/// The text in parts at its `---`: looking for a place in a part does not read all the others, such as
/// Secrets of 1 MB each; and one that is broken does not hide those after it.
pub(super) fn chunks(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut lines_before, mut offset) = (0, 0, 0);
    let mut begun = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker && begun {
            chunks.push(Chunk { lines_before, text: &text[start..offset] });
            (start, lines_before) = (offset, number);
        }
        // Directives belong to the document after them.
        begun |= marker || !(line.trim().is_empty() || line.starts_with(['#', '%']));
        offset += line.len();
    }
    if begun {
        chunks.push(Chunk { lines_before, text: &text[start..] });
    }
    chunks
}

/// Every document of a part. A broken one ends it, because the parser can't find the next.
pub(super) fn documents(text: &str) -> Vec<Result<serde_json::Value, serde_norway::Error>> {
    let mut documents = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        // By way of the YAML value, which refuses a key that stands there twice.
        let value = serde_norway::Value::deserialize(document).and_then(|mut value| {
            value.apply_merge()?;
            serde_json::to_value(&value).map_err(Error::custom)
        });
        let broken = value.is_err();
        documents.push(value);
        if broken {
            break;
        }
    }
    documents
}
