//! A table of branches, as a spreadsheet writes it.

use std::collections::BTreeMap;
use std::fmt;

use csv::{ByteRecord, ReaderBuilder, Trim};

/// The columns that each table has.
pub const NEEDED: [&str; 8] =
    ["name", "city", "zip", "street", "houseNumber", "areaCode", "documentType", "document"];

/// The columns that a table may have.
pub const OPTIONAL: [&str; 1] = ["country"];

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
/// When the header can't be used, so that no row can.
pub fn read(table: &[u8]) -> Result<(Vec<Branch>, Vec<BadCell>), BadCell> {
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter(table)).flexible(true).trim(Trim::All).from_reader(table);
    let columns = columns(reader.byte_headers().map_err(|error| whole(1, error))?)?;
    let (mut branches, mut bad) = (Vec::new(), Vec::new());
    for record in reader.byte_records() {
        // Reading from memory fails at nothing else, and what follows can't be read either.
        let record = record.map_err(|error| whole(1, error))?;
        let line = line_of(table, record.position().map_or(0, csv::Position::byte));
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        match cells(&record, &columns, line) {
            Ok(cells) => branches.push(Branch { line, cells }),
            Err(cell) => bad.push(cell),
        }
    }
    Ok((branches, bad))
}

/// The line that begins here. The reader's own count is one behind where lines end in CR LF: it takes the
/// LF for the next row's.
fn line_of(table: &[u8], byte: u64) -> u64 {
    let at = usize::try_from(byte).unwrap_or(usize::MAX).min(table.len());
    let skipped = table[at..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    1 + table[..at + skipped].iter().map(|b| u64::from(*b == b'\n')).sum::<u64>()
}

/// A spreadsheet writes semicolons where the decimal point is a comma.
fn delimiter(table: &[u8]) -> u8 {
    let header = table.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| header.split(|b| *b == wanted).count();
    [b';', b'\t'].into_iter().find(|other| count(*other) > count(b',')).unwrap_or(b',')
}

fn whole(line: u64, message: impl fmt::Display) -> BadCell {
    BadCell { line, column: String::new(), message: message.to_string() }
}

fn columns(header: &ByteRecord) -> Result<Vec<&'static str>, BadCell> {
    let mut columns: Vec<&'static str> = Vec::new();
    for cell in header {
        let name = String::from_utf8_lossy(cell);
        let known = NEEDED.into_iter().chain(OPTIONAL).find(|known| known.eq_ignore_ascii_case(&name));
        match known {
            Some(known) if columns.contains(&known) => {
                return Err(whole(1, format!("column {known} is there twice")));
            }
            Some(known) => columns.push(known),
            None => {
                let known = [NEEDED.join(", "), OPTIONAL.join(", ")].join(", ");
                return Err(whole(1, format!("there is no column {name:?}; known are {known}")));
            }
        }
    }
    let missing: Vec<&str> = NEEDED.into_iter().filter(|needed| !columns.contains(needed)).collect();
    if missing.is_empty() { Ok(columns) } else { Err(whole(1, format!("missing: {}", missing.join(", ")))) }
}

fn cells(
    record: &ByteRecord,
    columns: &[&'static str],
    line: u64,
) -> Result<BTreeMap<&'static str, String>, BadCell> {
    if record.len() != columns.len() {
        return Err(whole(line, format!("has {} columns, and the header {}", record.len(), columns.len())));
    }
    let mut cells = BTreeMap::new();
    for (column, cell) in columns.iter().zip(record) {
        let text = std::str::from_utf8(cell).map_err(|_| BadCell {
            line,
            column: (*column).into(),
            message: "is not UTF-8: save the table as \"CSV UTF-8\"".into(),
        })?;
        cells.insert(*column, text.to_owned());
    }
    Ok(cells)
}
