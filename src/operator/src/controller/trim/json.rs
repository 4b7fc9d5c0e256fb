//! JSON of the apiserver, trimmed byte by byte: an object, a list of them or a watch's events, one a line.

use tenios_api::NOT_PLACED_ANNOTATION;

/// The members of `metadata` that anything here reads.
const METADATA_KEPT: [&[u8]; 9] = [
    b"name",
    b"namespace",
    b"uid",
    b"resourceVersion",
    b"generation",
    b"creationTimestamp",
    b"deletionTimestamp",
    b"continue",
    b"remainingItemCount",
];

/// Longer than anything there: the name is at most 253 bytes, and a token for the next page some hundreds.
const METADATA_LIMIT: usize = 4 * 1024;

/// The second marks the end of a streamed list.
const ANNOTATIONS_KEPT: [&[u8]; 2] = [NOT_PLACED_ANNOTATION.as_bytes(), b"k8s.io/initial-events-end"];

/// Several times an attempt's id. What is longer names none.
const ANNOTATION_LIMIT: usize = 256;

/// Longer than every key that is kept.
const KEY_LIMIT: usize = 512;

/// Stands for a member of an object that was too long: reading fails there, and says where.
const TOO_LONG: &[u8] = b"\"(too long)\"";

/// Stands for a text that was too long, of another type for the same reason. It must not look like a shorter one.
const TEXT_TOO_LONG: &[u8] = b"[\"(too long)\"]";

/// How many bytes are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Of a member of an object, such as `spec`.
    pub member: usize,
    /// Of a text within it.
    pub text: usize,
    /// Whether it is asked what the object belongs to.
    pub owners: bool,
}

impl Bounds {
    /// For a text: what stands for it has to be one, or the list that it is in can't be read.
    const fn of_text(bytes: usize) -> Self {
        Self { member: bytes, text: usize::MAX, owners: false }
    }
}

/// What is done with a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// An object, a list of objects, or an event of a watch.
    Root,
    /// The list in a list of objects.
    Items,
    /// One of them, or the object in an event.
    Object,
    Metadata,
    Annotations,
    /// Kept as it is, within these bounds.
    Kept(Bounds),
    Dropped,
}

#[derive(Debug)]
struct Open {
    role: Role,
    /// Whether a member of it was kept, so that a comma stands before the next.
    any: bool,
}

#[derive(Debug)]
enum At {
    /// Before a value.
    Value(Role),
    /// Before a key, or the end of an object.
    Member,
    /// In a key.
    Key {
        text: Vec<u8>,
        escaped: bool,
    },
    Colon(Role),
    /// Before an element, or the end of a list.
    Element,
    /// In a value that is kept or dropped as a whole.
    Within {
        held: Option<Held>,
        extent: Extent,
    },
}

/// What is kept of a value so far.
#[derive(Debug)]
struct Held {
    bounds: Bounds,
    bytes: Vec<u8>,
    /// Where the present text begins.
    text_at: usize,
    /// Whether what comes is left out: the rest of a text, or of all.
    text_cut: bool,
    cut: bool,
}

impl Held {
    fn new(bounds: Bounds) -> Self {
        Self { bounds, bytes: Vec::new(), text_at: 0, text_cut: false, cut: false }
    }

    /// Takes a byte, after which `extent` stands; `was_text` says whether it stood in a text before.
    fn take(&mut self, byte: u8, was_text: bool, extent: &Extent) {
        let text = extent.text;
        if !was_text && text.is_some() {
            self.text_at = self.bytes.len();
        }
        if !self.text_cut && !self.cut {
            self.bytes.push(byte);
        }
        if text.is_some() && !self.text_cut && !self.cut && self.bytes.len() - self.text_at > self.bounds.text
        {
            self.bytes.truncate(self.text_at);
            self.bytes.extend_from_slice(if text == Some(Text::Key) { TOO_LONG } else { TEXT_TOO_LONG });
            self.text_cut = true;
        }
        self.text_cut &= text.is_some();
        if !self.cut && self.bytes.len() > self.bounds.member {
            self.bytes = TOO_LONG.to_vec();
            self.cut = true;
        }
    }
}

/// A filter over the bytes of a response: those that are kept come out. Bounded by the longest member that
/// is kept, not by what arrives.
#[derive(Debug)]
pub struct Trim {
    bounds: Bounds,
    open: Vec<Open>,
    at: At,
}

impl Trim {
    /// A filter that keeps so much of each object.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, open: Vec::new(), at: At::Value(Role::Root) }
    }

    /// What is kept of these bytes, and of earlier ones that could not be decided before.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in bytes {
            // A byte that ends a number belongs to what comes after it, too.
            while !self.take(*byte, &mut out) {}
        }
        out
    }

    /// False where the byte was not used up.
    fn take(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match &mut self.at {
            At::Within { held, extent } => {
                let was_text = extent.text.is_some();
                let end = extent.step(byte);
                if end != End::Before
                    && let Some(held) = held
                {
                    held.take(byte, was_text, extent);
                }
                if end != End::NotYet {
                    out.extend(held.take().into_iter().flat_map(|held| held.bytes));
                    self.value_ended();
                }
                return end != End::Before;
            }
            At::Key { text, escaped } => {
                if byte == b'"' && !*escaped {
                    let key = std::mem::take(text);
                    self.at = At::Colon(self.member(&key, out));
                } else {
                    *escaped = byte == b'\\' && !*escaped;
                    if text.len() < KEY_LIMIT {
                        text.push(byte);
                    }
                }
                return true;
            }
            _ => {}
        }
        if byte.is_ascii_whitespace() {
            // Between the events of a watch.
            if self.open.is_empty() {
                out.push(byte);
            }
            return true;
        }
        self.token(byte, out)
    }

    fn token(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match (&self.at, byte) {
            (At::Colon(role), _) => self.at = At::Value(*role),
            (At::Member | At::Element, b',') | (At::Key { .. } | At::Within { .. }, _) => {}
            (At::Member, b'"') => self.at = At::Key { text: Vec::new(), escaped: false },
            (At::Member, _) | (At::Element, b']') => {
                out.push(byte);
                self.open.pop();
                self.value_ended();
            }
            (At::Element, _) => {
                self.separate(out);
                self.at = At::Value(Role::Object);
                return false;
            }
            (At::Value(role @ (Role::Root | Role::Object | Role::Metadata | Role::Annotations)), b'{')
            | (At::Value(role @ Role::Items), b'[') => {
                let role = *role;
                out.push(byte);
                self.open.push(Open { role, any: false });
                self.at = if role == Role::Items { At::Element } else { At::Member };
            }
            (At::Value(role), _) => {
                let bounds = match role {
                    Role::Dropped => None,
                    Role::Kept(bounds) => Some(*bounds),
                    // Of another type than the apiserver's.
                    _ => Some(self.bounds),
                };
                self.at = At::Within { held: bounds.map(Held::new), extent: Extent::default() };
                return false;
            }
        }
        true
    }

    /// What is done with the value of this key. The key comes out where the value does.
    fn member(&mut self, key: &[u8], out: &mut Vec<u8>) -> Role {
        let inside = self.open.last().map_or(Role::Root, |open| open.role);
        let role = match (inside, key) {
            (Role::Root | Role::Object, b"metadata") => Role::Metadata,
            (Role::Root, b"items") => Role::Items,
            (Role::Root, b"object") => Role::Object,
            (Role::Metadata, b"annotations") => Role::Annotations,
            (Role::Metadata, key) if METADATA_KEPT.contains(&key) => {
                Role::Kept(Bounds::of_text(METADATA_LIMIT))
            }
            (Role::Metadata, b"ownerReferences") if self.bounds.owners => {
                Role::Kept(Bounds::of_text(METADATA_LIMIT))
            }
            (Role::Annotations, key) if ANNOTATIONS_KEPT.contains(&key) => {
                Role::Kept(Bounds::of_text(ANNOTATION_LIMIT))
            }
            (Role::Metadata | Role::Annotations, _) => Role::Dropped,
            _ if key.len() == KEY_LIMIT => Role::Dropped,
            _ => Role::Kept(self.bounds),
        };
        if role != Role::Dropped {
            self.separate(out);
            out.push(b'"');
            out.extend_from_slice(key);
            out.extend_from_slice(b"\":");
        }
        role
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        if let Some(open) = self.open.last_mut()
            && std::mem::replace(&mut open.any, true)
        {
            out.push(b',');
        }
    }

    fn value_ended(&mut self) {
        self.at = match self.open.last().map(|open| open.role) {
            None => At::Value(Role::Root),
            Some(Role::Items) => At::Element,
            Some(_) => At::Member,
        };
    }
}

/// How far a value reaches.
#[derive(Debug, Default)]
struct Extent {
    /// The objects and lists that are open, and whether each is an object.
    open: Vec<bool>,
    before_key: bool,
    /// The text that it is in.
    text: Option<Text>,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Text {
    Key,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    NotYet,
    /// With this byte.
    Here,
    /// Before this byte.
    Before,
}

impl Extent {
    fn step(&mut self, byte: u8) -> End {
        if self.text.is_some() {
            return self.within_text(byte);
        }
        match byte {
            b'"' => {
                self.text = Some(if self.before_key { Text::Key } else { Text::Value });
            }
            b'{' | b'[' => {
                self.before_key = byte == b'{';
                self.open.push(self.before_key);
            }
            b'}' | b']' if self.open.pop().is_some() => {
                self.before_key = false;
                return self.end();
            }
            b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if self.open.is_empty() => return End::Before,
            b',' => self.before_key = self.open.last() == Some(&true),
            b':' => self.before_key = false,
            _ => {}
        }
        End::NotYet
    }

    fn within_text(&mut self, byte: u8) -> End {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.text = None;
            return self.end();
        }
        End::NotYet
    }

    fn end(&self) -> End {
        if self.open.is_empty() { End::Here } else { End::NotYet }
    }
}
