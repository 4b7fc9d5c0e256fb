//! A table of branches, as spreadsheets write it.

use std::collections::BTreeMap;
use std::fmt;

use csv::{ReaderBuilder, StringRecord};

use super::encoding::{self, NoText};
use tenios_api::text::canonical;

/// The columns that each table has.
pub const NEEDED: [&str; 8] =
    ["name", "city", "zip", "street", "houseNumber", "areaCode", "documentType", "document"];

/// The columns that a table may have.
pub const OPTIONAL: [&str; 2] = ["country", "validUntil"];

/// Columns of digits, which spreadsheets take for numbers unless they are told otherwise.
const DIGITS: [&str; 3] = ["zip", "houseNumber", "areaCode"];

/// One branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Where it stands.
    pub line: u64,
    cells: BTreeMap<&'static str, String>,
}

impl Branch {
    /// The cell of this column; empty where there is none.
    #[must_use]
    pub fn cell(&self, column: &str) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCell {
    /// The line, from 1.
    pub line: u64,
    /// The column's name; empty where it is the whole row.
    pub column: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for BadCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = if self.column.is_empty() { String::new() } else { format!(" column {}:", self.column) };
        write!(f, "{}:{column} {}", self.line, self.message)
    }
}

/// The rows that can be read, and what is wrong with the others.
///
/// # Errors
/// When the header or the whole file can't be used, so that no row can.
pub fn read(file: &[u8]) -> Result<(Vec<Branch>, Vec<BadCell>), BadCell> {
    if file.starts_with(b"PK\x03\x04") {
        return Err(whole(1, "is not a text file: save the spreadsheet as \"CSV UTF-8\""));
    }
    let text = encoding::text(file).map_err(|error| {
        let line = if let NoText::Unknown(line) = error { line } else { 1 };
        whole(line as u64, format!("{error}: save the table as \"CSV UTF-8\""))
    })?;
    let table = Table::of(&text);
    let mut reader =
        ReaderBuilder::new().delimiter(table.delimiter).flexible(true).from_reader(table.rows().as_bytes());
    let columns = columns(reader.headers().map_err(|error| whole(1, error))?)
        .map_err(|message| whole(table.line(0), message))?;
    let (mut branches, mut bad) = (Vec::new(), Vec::new());
    for record in reader.records() {
        // Reading from memory fails at nothing else, and what follows can't be read either.
        let record = record.map_err(|error| whole(1, error))?;
        let line = table.line(record.position().map_or(0, csv::Position::byte));
        if record.iter().all(|cell| clean(cell).is_empty()) {
            continue;
        }
        match cells(&record, &columns) {
            Ok(cells) => branches.push(Branch { line, cells }),
            Err((column, message)) => bad.push(BadCell { line, column: column.into(), message }),
        }
    }
    if branches.is_empty() && bad.is_empty() {
        return Err(whole(table.line(0), "there are no rows below the header"));
    }
    Ok((branches, bad))
}

/// The text of a table, and where its header begins.
struct Table<'a> {
    text: &'a str,
    begin: usize,
    delimiter: u8,
}

impl<'a> Table<'a> {
    /// Excel takes the delimiter from a first line such as `sep=;`, and writes semicolons where the decimal
    /// point is a comma.
    fn of(text: &'a str) -> Self {
        let end = first_line(text).len();
        let first = text[..end].trim_matches('"');
        let named =
            first.get(..4).filter(|word| word.eq_ignore_ascii_case("sep=")).map(|_| &first.as_bytes()[4..]);
        if let Some([delimiter]) = named {
            return Self { text, begin: header(text, end), delimiter: *delimiter };
        }
        let begin = header(text, 0);
        let count = |wanted: char| first_line(&text[begin..]).matches(wanted).count();
        let delimiter = [';', '\t'].into_iter().find(|other| count(*other) > count(',')).unwrap_or(',');
        Self { text, begin, delimiter: if delimiter.is_ascii() { delimiter as u8 } else { b',' } }
    }

    fn rows(&self) -> &'a str {
        &self.text[self.begin..]
    }

    /// The line that begins at this byte of the rows. The reader's own count is one behind where lines end in
    /// CR LF: it takes the LF for the next row's.
    fn line(&self, byte: u64) -> u64 {
        let at = self.begin + usize::try_from(byte).unwrap_or(usize::MAX).min(self.rows().len());
        let bytes = self.text.as_bytes();
        let skipped = bytes[at..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let ends = |index: usize| match bytes[index] {
            b'\n' => true,
            b'\r' => bytes.get(index + 1) != Some(&b'\n'),
            _ => false,
        };
        1 + (0..at + skipped).map(|index| u64::from(ends(index))).sum::<u64>()
    }
}

fn first_line(text: &str) -> &str {
    &text[..text.find(['\r', '\n']).unwrap_or(text.len())]
}

/// Where the header begins, from there on: above a table that begins further down in its sheet are rows with nothing
/// in them.
fn header(text: &str, mut begin: usize) -> usize {
    loop {
        let line = first_line(&text[begin..]);
        let end = begin + line.len();
        if end == text.len() || line.contains(|c: char| !(c.is_whitespace() || matches!(c, ';' | ',' | '"')))
        {
            return begin;
        }
        begin = end + 1;
    }
}

fn whole(line: u64, message: impl fmt::Display) -> BadCell {
    BadCell { line, column: String::new(), message: message.to_string() }
}

/// Each column's name; none where the header is empty, as behind a table that was wider once.
fn columns(header: &StringRecord) -> Result<Vec<Option<&'static str>>, String> {
    let mut columns: Vec<Option<&'static str>> = Vec::new();
    for cell in header {
        let name = clean(cell);
        let known = NEEDED.into_iter().chain(OPTIONAL).find(|known| known.eq_ignore_ascii_case(&name));
        match known {
            Some(known) if columns.contains(&Some(known)) => {
                return Err(format!("column {known} occurs more than once"));
            }
            Some(known) => columns.push(Some(known)),
            None if name.is_empty() => columns.push(None),
            None if name.contains(['\r', '\n']) => return Err(UNCLOSED.into()),
            None => {
                let known = [NEEDED.join(", "), OPTIONAL.join(", ")].join(", ");
                return Err(format!("unknown column {name:?}; known columns: {known}"));
            }
        }
    }
    let missing: Vec<&str> = NEEDED.into_iter().filter(|needed| !columns.contains(&Some(needed))).collect();
    if missing.is_empty() { Ok(columns) } else { Err(format!("missing columns: {}", missing.join(", "))) }
}

const UNCLOSED: &str =
    "continues on the next line: a quotation mark is not closed, so what follows became part of this cell";

type Cells = BTreeMap<&'static str, String>;

fn cells(record: &StringRecord, columns: &[Option<&'static str>]) -> Result<Cells, (&'static str, String)> {
    let mut cells = Cells::new();
    let column = |index: usize| columns.get(index).copied().flatten();
    let given: Vec<String> = record.iter().map(clean).collect();
    // First, because a cell that swallowed others leaves the wrong number of them.
    if let Some(index) = given.iter().position(|cell| cell.contains(['\r', '\n'])) {
        return Err((column(index).unwrap_or_default(), UNCLOSED.into()));
    }
    for (index, cell) in given.iter().enumerate() {
        match column(index) {
            Some(name) => {
                cells.insert(name, as_typed(name, cell).map_err(|message| (name, message))?);
            }
            None if cell.is_empty() => {}
            None if index < columns.len() => {
                return Err(("", format!("{cell:?} is in a column without a name")));
            }
            None => return Err(("", count(record, columns))),
        }
    }
    if columns.iter().flatten().all(|name| cells.contains_key(name)) {
        Ok(cells)
    } else {
        Err(("", count(record, columns)))
    }
}

fn count(record: &StringRecord, columns: &[Option<&str>]) -> String {
    format!("has {} columns, but the header has {}", record.len(), columns.len())
}

/// Without white space around it, with ordinary spaces for no-break ones, and without what has no width, which
/// come along when text is copied from a web page; and composed (NFC), as most type it.
pub(super) fn clean(cell: &str) -> String {
    let visible = cell.chars().filter(|c| !matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}'));
    let spaced: String =
        visible.map(|c| if matches!(c, '\u{A0}' | '\u{2007}' | '\u{202F}') { ' ' } else { c }).collect();
    canonical(&spaced)
}

/// What was typed into the spreadsheet, where that can still be told.
fn as_typed(column: &str, cell: &str) -> Result<String, String> {
    // How a spreadsheet is told that digits are text.
    let formula = cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    let cell = formula.map_or_else(|| cell.to_owned(), |text| clean(&text.replace("\"\"", "\"")));
    let is_digits = DIGITS.contains(&column);
    let cell = cell.strip_prefix('\'').filter(|_| is_digits).map_or(cell.as_str(), str::trim);
    if cell.starts_with("##")
        || ["#REF!", "#NAME?", "#VALUE!", "#N/A", "#DIV/0!", "#NULL!", "#NUM!"].contains(&cell)
    {
        return Err(format!("{cell} is a spreadsheet error"));
    }
    if cell.starts_with('=') {
        return Err(format!("{cell} is a formula: export its value"));
    }
    if is_digits && is_decimal(cell) {
        return Err(format!(
            "{cell} is a decimal number: the spreadsheet took digits for one. Format the column as text, enter it again, and export"
        ));
    }
    if column == "houseNumber" && is_date(cell) {
        return Err(format!(
            "{cell} is a date: the spreadsheet converted a house number such as 12-10. Format the column as text, enter it again, and export"
        ));
    }
    Ok(cell.to_owned())
}

/// Whole, with a fraction of nothing.
fn is_decimal(cell: &str) -> bool {
    let parts = cell.split_once(['.', ',']);
    parts.is_some_and(|(whole, fraction)| {
        !fraction.is_empty()
            && fraction.bytes().all(|b| b == b'0')
            && whole.bytes().all(|b| b.is_ascii_digit())
            && !whole.is_empty()
    })
}

/// A date as spreadsheets show them in German and English. `12/14` and `12a` are house numbers.
fn is_date(cell: &str) -> bool {
    const MONTHS: &str = "januar january februar february märz march mrz april mai may juni june juli july august september oktober october november dezember december";
    let lower = cell.to_lowercase();
    let parts: Vec<&str> = lower.split([' ', '.', '-', '/', ',']).filter(|part| !part.is_empty()).collect();
    let is_number = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    let is_month = |part: &&str| part.len() > 2 && MONTHS.split(' ').any(|month| month.starts_with(*part));
    let by_name = parts.len() > 1
        && parts.iter().filter(|part| is_month(part)).count() == 1
        && parts.iter().all(|part| is_month(part) || is_number(part));
    let day_and_month = parts.len() == 2 && lower.ends_with('.') && lower.matches('.').count() == 2;
    let with_year = parts.len() == 3 && [parts[0], parts[2]].iter().any(|part| part.len() == 4);
    let short_year = parts.len() == 3 && (lower.matches('.').count() == 2 || lower.matches('/').count() == 2);
    // Days since 1900.
    let serial = parts.len() == 1 && lower.len() == 5;
    by_name || (parts.iter().all(is_number) && (day_and_month || with_year || short_year || serial))
}
