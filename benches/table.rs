//! The figures against their goals.

use std::fmt;

use harness::{Result, checkout};

const PAGE: &str = "docs/performance.md";

/// See the module documentation.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

struct Row {
    figure: String,
    measured: String,
    goal: String,
    /// None where there is no goal.
    reached: Option<bool>,
}

impl Table {
    /// One figure.
    pub fn row(&mut self, figure: impl Into<String>, measured: impl Into<String>, goal: &str, reached: bool) {
        let (figure, measured, goal) = (figure.into(), measured.into(), goal.to_owned());
        self.rows.push(Row { figure, measured, goal, reached: Some(reached) });
    }

    /// One figure that has no goal.
    pub fn fact(&mut self, figure: impl Into<String>, measured: impl Into<String>) {
        let (figure, measured, goal) = (figure.into(), measured.into(), "–".to_owned());
        self.rows.push(Row { figure, measured, goal, reached: None });
    }

    /// The goals that are not.
    pub fn missed(&self) -> usize {
        self.rows.iter().filter(|row| row.reached == Some(false)).count()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | measured | goal | |\n|---|---|---|---|")?;
        self.rows.iter().try_for_each(|Row { figure, measured, goal, reached }| {
            let judged = reached.map_or("–", |reached| if reached { "pass" } else { "FAIL" });
            writeln!(f, "| {figure} | {measured} | {goal} | {judged} |")
        })
    }
}

/// Writes a part of the page, between its markers.
pub fn keep(part: &str, text: &str) -> Result<()> {
    let path = checkout(PAGE);
    let page = std::fs::read_to_string(&path)?;
    let missing = || format!("{PAGE} has no place for {part}");
    let (before, rest) = page.split_once(&format!("<!-- {part} -->\n")).ok_or_else(missing)?;
    let (_, after) = rest.split_once("<!-- end -->").ok_or_else(missing)?;
    std::fs::write(&path, format!("{before}<!-- {part} -->\n{text}<!-- end -->{after}"))?;
    Ok(())
}
