//! Names of namespaces.

use std::fmt;
use std::str::FromStr;

use tenios_api::name::is_dns_label;
use tenios_net::trimmed;

/// A name that a namespace can have (RFC 1123, a label).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace(String);

impl FromStr for Namespace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = trimmed(text);
        if is_dns_label(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err("expected the name of a namespace: lower-case letters, digits and -, at most 63 characters")
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// One or more, separated by commas. Never none: to watch nothing that was named is not to watch everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces(Vec<Namespace>);

impl Namespaces {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Namespace> {
        self.0.iter()
    }
}

impl FromStr for Namespaces {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(',').map(trimmed).filter(|name| !name.is_empty());
        let names: Vec<Namespace> =
            names.map(str::parse).collect::<Result<_, _>>().map_err(|why| match text.trim() {
                "*" | "all" => "to watch all namespaces, omit the flag and its variable",
                _ => why,
            })?;
        if names.is_empty() {
            return Err("names no namespace; to watch all, omit the flag and its variable");
        }
        Ok(Self(names))
    }
}
