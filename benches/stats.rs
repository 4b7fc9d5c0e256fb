//! Median, spread and quantiles of a few figures.

use std::fmt;

/// Figures of the same thing, sorted.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }
}

impl Figures {
    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The smallest that at least this share of them is not above; NaN where there are none.
    pub fn quantile(&self, share: f64) -> f64 {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "few"
        )]
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

/// `0.85 (0.81 to 0.88, 5 runs)`
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = f.precision().unwrap_or(2);
        match self.0.as_slice() {
            [] => write!(f, "nothing"),
            [one] => write!(f, "{one:.places$} (1 run)"),
            [first, .., last] => {
                write!(
                    f,
                    "{:.places$} ({first:.places$} to {last:.places$}, {} runs)",
                    self.median(),
                    self.0.len()
                )
            }
        }
    }
}
