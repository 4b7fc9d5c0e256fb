//! URLs that a path is put behind.

use std::fmt;
use std::str::FromStr;

use url::{ParseError, Url};

use super::trimmed;

/// `https://` or `http://`, a host, perhaps a port and a path, and nothing else: with a query, a fragment or
/// a user in it, what is put behind it would arrive somewhere else or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a text is no [`BaseUrl`]. It never repeats the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Nothing there.
    #[error("is empty: expected a URL such as https://host.example/path")]
    Empty,
    /// Another scheme, or none.
    #[error("must begin with https:// or http:// and a host")]
    Scheme,
    /// What URLs don't have, and what some readers drop in silence.
    #[error("must not contain a blank, a backslash or an invisible character")]
    Character,
    /// Credentials.
    #[error("must not contain a user or a password")]
    Credentials,
    /// A query or a fragment.
    #[error("must not have a query (?) or a fragment (#)")]
    Tail,
    /// Not 1 to 65535.
    #[error("has no valid port: expected 1 to 65535")]
    Port,
    /// No name and no address.
    #[error("has no valid host")]
    Host,
    /// Anything else.
    #[error("is not a URL: expected one such as https://host.example/path")]
    NoUrl,
}

impl BaseUrl {
    /// The URL of a path below it. `path` begins with a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// Whether nothing is encrypted.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Whether its path has these segments in a row, such as `["push", "v1"]`.
    #[must_use]
    pub fn has_segments(&self, wanted: &[&str]) -> bool {
        let path = self.0.path().to_ascii_lowercase().replace("%2f", "/");
        let segments: Vec<&str> = path.split('/').collect();
        segments.windows(wanted.len()).any(|segments| segments == wanted)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let text = trimmed(text);
        if text.is_empty() {
            return Err(BaseUrlError::Empty);
        }
        let strange = |c: char| {
            c.is_whitespace() || c.is_control() || c == '\\' || !c.is_ascii() && !c.is_alphanumeric()
        };
        if text.contains(strange) {
            return Err(BaseUrlError::Character);
        }
        // The parser takes `https:host` and `https:////host`, too.
        let (scheme, rest) = text.split_once("://").ok_or(BaseUrlError::Scheme)?;
        if !["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) || rest.starts_with('/')
        {
            return Err(BaseUrlError::Scheme);
        }
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::InvalidPort => BaseUrlError::Port,
            ParseError::EmptyHost => BaseUrlError::Scheme,
            ParseError::IdnaError
            | ParseError::InvalidIpv4Address
            | ParseError::InvalidIpv6Address
            | ParseError::InvalidDomainCharacter => BaseUrlError::Host,
            _ => BaseUrlError::NoUrl,
        })?;
        if !url.username().is_empty()
            || url.password().is_some()
            || rest.split('/').next().unwrap_or(rest).contains('@')
        {
            return Err(BaseUrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::Tail);
        }
        if url.port() == Some(0) {
            return Err(BaseUrlError::Port);
        }
        if !url.host_str().is_some_and(is_host) {
            return Err(BaseUrlError::Host);
        }
        Ok(Self(url))
    }
}

/// An address, or labels that DNS can hold.
fn is_host(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    host.starts_with('[') || name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
