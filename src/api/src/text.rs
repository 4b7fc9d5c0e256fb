//! Texts that people write or paste: the form in which they are compared and sent, and what is refused. The
//! border (CEL), the operator and the plugin go by the same table.

use std::fmt::Write;

use kube::core::Rule;
use unicode_normalization::UnicodeNormalization;

/// In the form in which it is compared and sent: without white space at its ends, which a block in YAML
/// (`street: |`) and a paste bring along, and composed (NFC), whatever the editor wrote.
#[must_use]
pub fn canonical(text: &str) -> String {
    text.trim().nfc().collect()
}

/// The same decomposed (NFD), as some editors write it.
#[must_use]
pub fn decomposed(text: &str) -> String {
    text.nfd().collect()
}

/// What a text of one line can't be sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFlaw {
    /// Nothing but white space.
    Blank,
    /// A line break, a tab or another control character within.
    Control,
    /// What nobody sees, or takes for an ordinary space.
    Invisible,
}

/// C0, DEL and C1, and the two separators of Unicode that break lines.
const CONTROL: &[(char, char)] = &[('\0', '\x1f'), ('\x7f', '\u{9f}'), ('\u{2028}', '\u{2029}')];

/// White space other than the ordinary space, `Default_Ignorable_Code_Point`, annotations and private use; and
/// U+FFFD, which stands where a character was lost.
const INVISIBLE: &[(char, char)] = &[
    ('\u{a0}', '\u{a0}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2000}', '\u{200f}'),
    ('\u{202a}', '\u{202f}'),
    ('\u{205f}', '\u{206f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffd}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{10ffff}'),
];

impl TextFlaw {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Blank, Self::Control, Self::Invisible];

    /// The first one of this text.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flaw| flaw.is_in(text))
    }

    /// Whether the text has it.
    #[must_use]
    pub fn is_in(self, text: &str) -> bool {
        let text = text.trim();
        text.is_empty() && self == Self::Blank
            || text.chars().any(|c| self.range().iter().any(|(first, last)| (*first..=*last).contains(&c)))
    }

    /// What is expected instead.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Blank => "must not be blank",
            Self::Control => "must not contain line breaks, tabs or other control characters",
            Self::Invisible => {
                "must not contain no-break spaces, zero-width or other invisible characters; type the text instead of pasting it"
            }
        }
    }

    /// The same for the apiserver. CEL's `trim` and Rust's both go by Unicode's `White_Space`.
    #[must_use]
    pub fn rule(self) -> Rule {
        Rule::new(self.cel()).message(self.message())
    }

    /// The expression of the rule.
    #[must_use]
    pub fn cel(self) -> String {
        if self == Self::Blank {
            return "self.trim() != ''".into();
        }
        let range = self.range().iter().fold(String::new(), |mut range, (first, last)| {
            let _ = write!(range, "\\x{{{:x}}}", u32::from(*first));
            if first != last {
                let _ = write!(range, "-\\x{{{:x}}}", u32::from(*last));
            }
            range
        });
        format!("!self.trim().matches(r'[{range}]')")
    }

    fn range(self) -> &'static [(char, char)] {
        match self {
            Self::Blank => &[],
            Self::Control => CONTROL,
            Self::Invisible => INVISIBLE,
        }
    }
}
