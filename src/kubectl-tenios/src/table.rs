//! Tables for people.

/// How a cell shows on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Colour {
    #[default]
    Plain,
    Green,
    Yellow,
    Red,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
        }
    }
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    colour: Colour,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, colour: Colour) -> Self {
        Self { text: super::out::sanitize(&text.into()), colour }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Colour::Plain)
    }
}

/// A cell that may be empty.
pub(super) fn or_dash(text: Option<&str>) -> Cell {
    Cell::from(text.unwrap_or("-"))
}

/// Columns as wide as their widest cell, three spaces apart.
pub(super) fn render(head: &[&str], rows: &[Vec<Cell>], coloured: bool) -> String {
    let head: Vec<Cell> = head.iter().map(|text| Cell::from(*text)).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| all().filter_map(|row| row.get(column)).map(length).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    all().map(|row| line(row, &widths, coloured)).collect()
}

fn length(cell: &Cell) -> usize {
    cell.text.chars().count()
}

fn line(row: &[Cell], widths: &[usize], coloured: bool) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        let painted = coloured && cell.colour != Colour::Plain;
        line += if painted { cell.colour.code() } else { "" };
        line += &cell.text;
        line += if painted { "\x1b[0m" } else { "" };
        if index + 1 < row.len() {
            line += &" ".repeat(width - length(cell) + 3);
        }
    }
    line + "\n"
}
