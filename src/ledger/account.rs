//! Which account at TENIOS a request or an adoption belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// So many hexadecimal digits tell accounts apart: two of a million share them with a chance of 1 in 10⁷.
const DIGITS: usize = 16;

/// One account: whoever has its access key is the account, there is no other name for it. Order ids are
/// unique within one at most, so that claims and what was spent are counted by it.
///
/// It is a digest, because two Secrets may hold the same key, and one Secret another key tomorrow. The
/// ledger, which only administrators read, has nothing else of the key. 64 bits of a digest do not give
/// back a key as TENIOS makes them; they would let an administrator test a guess at a weak one, and he
/// may read the Secrets anyway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(String);

impl Account {
    /// The account with this access key.
    #[must_use]
    pub fn of_key(access_key: &str) -> Self {
        Self::digest("key", access_key)
    }

    /// Stands for the account of a key that can't be read now: only what names the same Secret, or also
    /// none, shares it. So nobody gets at another's account by a reference to nothing.
    #[must_use]
    pub fn of_reference(namespace: &str, reference: Option<&str>) -> Self {
        match reference {
            Some(reference) => Self::digest("reference", &format!("{namespace}/{reference}")),
            None => Self::digest("reference", ""),
        }
    }

    /// As [`super::terms::ACCOUNT`] has it.
    #[must_use]
    pub fn recorded(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the text was made from comes first, so that it is no digest that another program makes, too.
    fn digest(of: &str, text: &str) -> Self {
        let digest = super::terms::digest(format!("tenios-operator account\n{of}\n{text}").as_bytes());
        Self(digest.chars().skip("sha256:".len()).take(DIGITS).collect())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
