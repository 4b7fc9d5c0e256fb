//! One value that nobody else may see, and where it stands in a reading of a text.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::reading::Reading;
use tenios_api::RequestField;
use tenios_api::request::Secrecy;

/// A value of fewer letters and digits is only taken out where it stands alone: it is a part of many words.
const SHORT: usize = 4;

/// How many letters and digits of a value are enough to be told.
const PIECE: usize = 6;

/// How many characters of a key, with whatever stands between its letters and digits.
const KEY_PIECE: usize = 8;

/// What is told only from so many characters on stays whole: any piece of it is a part of other words.
const WHOLE: usize = 7;

/// See the module documentation.
pub(super) struct Secret {
    field: RequestField,
    forms: Vec<Vec<char>>,
    /// By their length.
    pieces: BTreeMap<usize, HashSet<Vec<char>>>,
}

impl Secret {
    /// The value of this field; none where everybody may see it.
    pub(super) fn new(field: RequestField, value: &str) -> Option<Self> {
        let secrecy = field.secrecy();
        if secrecy == Secrecy::Open {
            return None;
        }
        let mut forms: Vec<Vec<char>> = Reading::of_secret(value).map(|reading| reading.chars).into();
        // What is left where a program knew no letter but ASCII's.
        let ascii: String = value.chars().filter(char::is_ascii).collect();
        let [_, ascii] = Reading::of_secret(&ascii).map(|reading| reading.chars);
        forms.extend((ascii.len() >= SHORT - 1).then_some(ascii));
        forms.retain(|form| !form.is_empty());
        forms.sort_unstable();
        forms.dedup();
        let cut = forms.iter().filter(|form| form.len() >= WHOLE);
        let mut all: Vec<Vec<char>> =
            cut.flat_map(|form| form.windows(PIECE).map(<[char]>::to_vec)).collect();
        if secrecy == Secrecy::Key {
            let chars: Vec<char> = value.chars().collect();
            let cut = chars.windows(KEY_PIECE).map(|cut| cut.iter().collect::<String>());
            let cut = cut.flat_map(|cut| Reading::of_secret(&cut)).map(|reading| reading.chars);
            all.extend(cut.filter(|piece| (SHORT..PIECE).contains(&piece.len())));
        }
        let mut pieces = BTreeMap::<usize, HashSet<Vec<char>>>::new();
        for piece in all {
            pieces.entry(piece.len()).or_default().insert(piece);
        }
        Some(Self { field, forms, pieces })
    }

    pub(super) fn field(&self) -> RequestField {
        self.field
    }

    /// Where something of it stands in the text that this is a reading of.
    pub(super) fn find_in(&self, reading: &Reading) -> Vec<Range<usize>> {
        let whole = self.forms.iter().flat_map(|form| {
            let all = reading.chars.windows(form.len()).enumerate();
            let found = all.filter(move |(_, window)| window == form).map(|(at, _)| at..at + form.len());
            found.filter(|at| form.len() >= SHORT || reading.stands_alone(at))
        });
        whole.chain(self.quoted(reading)).map(|chars| reading.place(chars)).collect()
    }

    /// Whether it stands in this, which is what a word decodes to and has no words of its own. A short value has to
    /// be all of it.
    pub(super) fn is_in(&self, reading: &Reading) -> bool {
        self.quoted(reading).next().is_some()
            || self.forms.iter().any(|form| match form.len() {
                SHORT.. => reading.chars.windows(form.len()).any(|window| window == form),
                length => length + 1 >= SHORT && reading.chars == *form,
            })
    }

    fn quoted<'a>(&'a self, reading: &'a Reading) -> impl Iterator<Item = Range<usize>> + 'a {
        self.pieces.iter().flat_map(move |(length, pieces)| {
            let all = reading.chars.windows(*length).enumerate();
            all.filter(|(_, window)| pieces.contains(*window)).map(move |(at, _)| at..at + length)
        })
    }
}
