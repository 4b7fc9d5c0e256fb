//! The dashboard drawn as SVG, for the docs: the panels in their places, with what they showed.

use std::fmt::Write;

use super::dashboard::{Lines, Panel};

const COLUMN: i32 = 50;
const ROW: i32 = 27;
const GAP: i32 = 6;
/// Lines beyond these are left out.
const COLOURS: [&str; 8] =
    ["#3274a1", "#e1812c", "#3a923a", "#c03d3e", "#9372b2", "#845b53", "#d684bd", "#7f7f7f"];

/// The panels, each with its lines, as a picture.
pub fn draw(panels: &[(Panel, Lines)]) -> String {
    let height = panels.iter().map(|(panel, _)| panel.place[1] + panel.place[3]).max().unwrap_or(0) * ROW;
    let width = 24 * COLUMN;
    let times =
        || panels.iter().flat_map(|(_, lines)| lines).flat_map(|(_, points)| points).map(|point| point.0);
    let from = times().fold(f64::INFINITY, f64::min);
    let span = (from, times().fold(from + 1.0, f64::max));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#333\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#f4f5f5\"/>\n"
    );
    for (panel, lines) in panels {
        let [x, y, w, h] = panel.place;
        let (w, h) = (w * COLUMN - GAP, h * ROW - GAP);
        let title = escaped(&panel.title);
        let (x, y) = (x * COLUMN + GAP / 2, y * ROW + GAP / 2);
        writeln!(svg, "<g transform=\"translate({x} {y})\">").unwrap();
        writeln!(svg, "<rect width=\"{w}\" height=\"{h}\" fill=\"#fff\" stroke=\"#ddd\"/>").unwrap();
        writeln!(svg, "<text x=\"8\" y=\"16\" font-weight=\"bold\">{title}</text>").unwrap();
        if panel.is_stat {
            stat(&mut svg, panel, lines, w, h);
        } else {
            chart(&mut svg, panel, lines, (w, h), span);
        }
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

fn stat(svg: &mut String, panel: &Panel, lines: &Lines, w: i32, h: i32) {
    let (name, points) = &lines[0];
    let value = shown(points.last().map_or(0.0, |point| point.1), &panel.unit);
    let (x, y) = (w / 2, h / 2 + 20);
    writeln!(svg, "<text x=\"{x}\" y=\"{y}\" font-size=\"26\" text-anchor=\"middle\">{value}</text>")
        .unwrap();
    writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>", y + 18, escaped(name))
        .unwrap();
}

fn chart(svg: &mut String, panel: &Panel, lines: &Lines, (w, h): (i32, i32), (from, to): (f64, f64)) {
    let values = lines.iter().flat_map(|(_, points)| points).map(|point| point.1);
    let top = values.fold(0.0, f64::max) * 1.1;
    let top = if top > 0.0 { top } else { 1.0 };
    let (left, right, above, below) = (52.0, f64::from(w) - 10.0, 28.0, f64::from(h) - 64.0);
    let x = |time: f64| left + (right - left) * (time - from) / (to - from);
    let y = |value: f64| below - (below - above) * value / top;
    for part in [0.0, 0.5, 1.0] {
        let (at, value) = (y(part * top), shown(part * top, &panel.unit));
        let (label, base) = (left - 5.0, at + 4.0);
        writeln!(svg, "<path d=\"M{left} {at:.0}H{right}\" stroke=\"#e5e5e5\"/>").unwrap();
        writeln!(svg, "<text x=\"{label}\" y=\"{base:.0}\" text-anchor=\"end\" fill=\"#777\">{value}</text>")
            .unwrap();
    }
    // What was 0 throughout says nothing; where all was, one line shall say that.
    let mut named: Vec<_> =
        lines.iter().filter(|(_, points)| points.iter().any(|point| point.1 > 0.0)).collect();
    if named.is_empty() {
        named = lines.iter().take(1).collect();
    }
    let mut legend = (8, h - 38);
    for ((name, points), colour) in named.into_iter().zip(COLOURS) {
        let point = |(time, value): &(f64, f64)| format!("{:.0} {:.0}", x(*time), y(*value));
        // A series that was away meanwhile is two lines.
        let runs = points.chunk_by(|before, after| after.0 - before.0 < 2.0);
        let path: Vec<_> = runs.map(|run| run.iter().map(point).collect::<Vec<_>>().join("L")).collect();
        writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            path.join("M")
        )
        .unwrap();
        let width = 28 + i32::try_from(name.len()).unwrap_or(0) * 13 / 2;
        if legend.0 + width > w {
            legend = (8, legend.1 + 15);
        }
        let (at, row, name) = (legend.0, legend.1, escaped(name));
        writeln!(svg, "<rect x=\"{at}\" y=\"{}\" width=\"8\" height=\"8\" fill=\"{colour}\"/>", row - 8)
            .unwrap();
        writeln!(svg, "<text x=\"{}\" y=\"{row}\">{name}</text>", at + 12).unwrap();
        legend.0 += width;
    }
}

fn shown(value: f64, unit: &str) -> String {
    let plain = |value: f64| {
        let whole = value >= 10.0 || value.fract() == 0.0;
        let digits = usize::from(!whole);
        format!("{value:.digits$}")
    };
    match unit {
        "percentunit" => format!("{:.0} %", value * 100.0),
        "s" if value > 0.0 && value < 1.0 => format!("{} ms", plain(value * 1000.0)),
        "s" | "d" => format!("{} {unit}", plain(value)),
        _ => plain(value),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
