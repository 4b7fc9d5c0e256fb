//! A plot as SVG, both axes logarithmic.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// Left, right, top, bottom.
const MARGINS: [f64; 4] = [64.0, 150.0, 40.0, 48.0];
/// Told apart by people who see no red or no green, too.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#666666"];

/// A line in it.
pub struct Line {
    /// What it shows.
    pub name: &'static str,
    /// From left to right. What is not above 0 is left out.
    pub points: Vec<(f64, f64)>,
}

/// See the module documentation.
pub struct Plot {
    /// Above it.
    pub title: &'static str,
    /// Below it.
    pub across: &'static str,
    /// What is in it.
    pub lines: Vec<Line>,
}

struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Whole decades around these values.
    fn around(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(0.0, f64::max).log10().ceil();
        Self { low, high: high.max(low + 1.0), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        let (mut next, high) = (self.low, self.high);
        std::iter::from_fn(move || {
            let decade = next;
            next += 1.0;
            (decade <= high + 0.5).then(|| 10f64.powf(decade))
        })
    }
}

impl Plot {
    /// The file.
    pub fn draw(&self) -> String {
        let [left, right, top, bottom] = MARGINS;
        let points = || {
            let all = self.lines.iter().flat_map(|line| &line.points);
            all.copied().filter(|(x, y)| *x > 0.0 && *y > 0.0)
        };
        let x = Axis::around(points().map(|(x, _)| x), left, WIDTH - right);
        let y = Axis::around(points().map(|(_, y)| y), HEIGHT - bottom, top);
        let mut svg = String::new();
        let _ = writeln!(
            svg,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{left}" y="22" font-size="14" fill="#222222">{}</text>
<text x="{}" y="{}" text-anchor="middle" fill="#444444">{}</text>"##,
            self.title,
            f64::midpoint(left, WIDTH - right),
            HEIGHT - 10.0,
            self.across
        );
        for decade in x.decades() {
            let at = x.place(decade);
            let _ = writeln!(
                svg,
                r##"<path d="M{at:.1} {top}V{}" stroke="#dddddd"/><text x="{at:.1}" y="{}" text-anchor="middle" fill="#444444">{}</text>"##,
                HEIGHT - bottom,
                HEIGHT - bottom + 16.0,
                short(decade)
            );
        }
        for decade in y.decades() {
            let at = y.place(decade);
            let _ = writeln!(
                svg,
                r##"<path d="M{left} {at:.1}H{}" stroke="#dddddd"/><text x="{}" y="{:.1}" text-anchor="end" fill="#444444">{}</text>"##,
                WIDTH - right,
                left - 6.0,
                at + 4.0,
                short(decade)
            );
        }
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            draw_line(&mut svg, line, colour, &x, &y);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn draw_line(svg: &mut String, line: &Line, colour: &str, x: &Axis, y: &Axis) {
    let points: Vec<_> = line.points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).collect();
    let Some((last_x, last_y)) = points.last() else { return };
    let places: Vec<_> =
        points.iter().map(|(a, b)| format!("{:.1},{:.1}", x.place(*a), y.place(*b))).collect();
    let _ = writeln!(
        svg,
        r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
        places.join(" ")
    );
    for (a, b) in &points {
        let _ = writeln!(
            svg,
            r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{colour}"><title>{}: {}, {:.2}</title></circle>"#,
            x.place(*a),
            y.place(*b),
            line.name,
            short(*a),
            b
        );
    }
    let _ = writeln!(
        svg,
        r#"<text x="{:.1}" y="{:.1}" fill="{colour}">{}</text>"#,
        x.place(*last_x) + 8.0,
        y.place(*last_y) + 4.0,
        line.name
    );
}

/// `10k` for 10,000.
fn short(value: f64) -> String {
    if value >= 1000.0 { format!("{}k", value / 1000.0) } else { format!("{value}") }
}
