//! Texts from outside, as they may stand in a message, an event or a line of the log.

/// Whether a character acts on what is around it instead of being seen: it ends a line, as more programs than
/// this one understand lines, moves the cursor, or turns the direction of what follows.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text on one line, with one blank for whatever blanks, line ends and unprintable characters stood together.
#[must_use]
pub fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || is_unprintable(c)).filter(|word| !word.is_empty());
    words.fold(String::new(), |mut line, word| {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        line
    })
}

#[cfg(test)]
mod tests {
    use super::{is_unprintable, one_line};

    #[test]
    fn a_text_from_outside_is_one_line_without_what_acts_on_its_surroundings() {
        for end in
            ["\n", "\r\n", "\r", "\u{85}", "\u{b}", "\u{2028}", "\u{2029}", "\u{1b}", "\u{202e}", "\0", "\t"]
        {
            assert_eq!(one_line(&format!("{end}one{end}two{end}")), "one two", "{end:?}");
        }
        assert_eq!(one_line("Köln – „Süd“"), "Köln – „Süd“");
        assert!("azAZ09äß漢-".chars().all(|c| !is_unprintable(c)));
    }
}
