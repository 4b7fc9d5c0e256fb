//! Where others are reached, by which roots they are trusted, and where this program listens.

#![forbid(unsafe_code)]

mod base_url;
mod bearer;
pub mod kubeconfig;
mod listen;
pub mod proxy;
mod roots;

pub use base_url::{BaseUrl, BaseUrlError};
pub use bearer::Bearer;
pub use listen::Listen;
pub use roots::{Roots, RootsError};

/// Without the white space around it, or the mark that some editors begin a file with.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}
