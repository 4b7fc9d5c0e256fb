//! The German area codes.
//!
//! `area_codes.txt` holds the 5,207 codes of libphonenumber's geocoding data,
//! `resources/geocoding/de/49.txt` as of commit f7e3e88c (2026-07-17), without country code and names:
//! on each line the digits that some codes begin with, and the last digit of each.

const PACKED: &str = include_str!("area_codes.txt");

/// All codes, without the leading 0.
pub fn german() -> impl Iterator<Item = String> {
    PACKED.lines().filter_map(|line| line.split_once(' ')).flat_map(|(head, tails)| {
        tails.chars().map(move |tail| {
            let mut code = head.to_owned();
            code.push(tail);
            code
        })
    })
}

/// Whether there is such a code.
#[must_use]
pub fn is_german(code: &str) -> bool {
    let Some((at, tail)) = code.char_indices().next_back() else { return false };
    PACKED
        .lines()
        .filter_map(|line| line.split_once(' '))
        .any(|(head, tails)| head == &code[..at] && tails.contains(tail))
}
