//! Errors in full.

use std::error::Error;

/// What stands behind an error, whatever it is: kept, and told by [`causes`].
pub type Cause = Box<dyn Error + Send + Sync>;

/// An error with its causes: the text of an HTTP client's own error says only that sending failed.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        // Many repeat the text of what caused them.
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
