//! What a collector wants to see besides, such as a key.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use tenios_net::trimmed;

/// Longer ones are a mistake, such as another file.
const LONGEST: usize = 16 * 1024;

/// A file of headers, `Name: value`, one per line; read for each export, because a mounted Secret changes.
#[derive(Clone, Debug)]
pub struct OtlpHeadersFile(PathBuf);

/// Why there are none. It quotes nothing of the file.
#[derive(Debug, thiserror::Error)]
pub enum OtlpHeadersError {
    /// The file can't be read.
    #[error("{0} can't be read: {1}")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// It holds something else.
    #[error("{0}: line {1} is not a header that can be added: expected NAME: VALUE")]
    NoHeader(PathBuf, usize),
    /// It holds nothing, or too much.
    #[error("{0}: expected between 1 byte and 16 KiB of headers, one NAME: VALUE per line")]
    Length(PathBuf),
}

impl OtlpHeadersFile {
    /// The file at this path, which has to hold headers by now.
    ///
    /// # Errors
    /// [`OtlpHeadersError`]
    pub fn new(path: &Path) -> Result<Self, OtlpHeadersError> {
        let file = Self(path.to_owned());
        file.read().map(|_| file)
    }

    pub(super) fn read(&self) -> Result<HeaderMap, OtlpHeadersError> {
        let text = std::fs::read_to_string(&self.0)
            .map_err(|error| OtlpHeadersError::Unreadable(self.0.clone(), error))?;
        if trimmed(&text).is_empty() || text.len() > LONGEST {
            return Err(OtlpHeadersError::Length(self.0.clone()));
        }
        headers(&text).map_err(|line| OtlpHeadersError::NoHeader(self.0.clone(), line))
    }
}

/// The headers, or the number of the first line that is none.
fn headers(text: &str) -> Result<HeaderMap, usize> {
    let mut headers = HeaderMap::new();
    let lines = trimmed(text).lines().enumerate().map(|(n, line)| (n + 1, trimmed(line)));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let (name, value) = header(line).ok_or(number)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::try_from(trimmed(name)).ok()?;
    // Set for each export; a second one would garble it.
    let ours = [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::HOST];
    let mut value = HeaderValue::try_from(trimmed(value)).ok().filter(|value| !value.is_empty())?;
    value.set_sensitive(true);
    (!ours.contains(&name)).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::headers;

    #[test]
    fn a_line_is_a_header_as_curl_takes_it() {
        let read =
            headers("\u{feff}Authorization: Bearer a:b=\r\n\r\n x-tenant :shop\r\n").unwrap_or_default();
        assert_eq!(read["authorization"], "Bearer a:b=");
        assert_eq!(read["x-tenant"], "shop");
        assert_eq!(read.len(), 2);
        assert!(!format!("{read:?}").contains("a:b="), "{read:?}");
    }

    #[test]
    fn what_is_no_header_is_told_by_its_line() {
        for (wrong, line) in [
            ("api-key", 1),
            ("api-key=value", 1),
            ("x: y\napi-key:", 2),
            ("x y: z", 1),
            ("x: \u{1}", 1),
            ("Content-Type: text/plain", 1),
            ("host: other", 1),
        ] {
            assert_eq!(headers(wrong).err(), Some(line), "{wrong:?}");
        }
    }
}
