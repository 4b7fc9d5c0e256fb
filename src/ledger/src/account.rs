//! Which account at TENIOS a request or an adoption belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Terms, terms};
use tenios_api::digest::sha256_hex;

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
        // What the text was made from comes first, so that it is no digest that another program makes, too.
        let text = format!("tenios-operator account\nkey\n{access_key}");
        Self(sha256_hex(text).chars().take(DIGITS).collect())
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
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose account it is, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payer {
    /// None where it was recorded before accounts were, or where the access key can't be read.
    pub account: Option<Account>,
    /// Whether it is the operator's own access key.
    pub own: bool,
}

impl Payer {
    /// Who pays for a request with these terms.
    #[must_use]
    pub fn of_terms(recorded: &Terms) -> Self {
        let account = recorded.get(terms::ACCOUNT).map(|text| Account::recorded(text));
        Self { account, own: !recorded.contains_key(terms::ACCESS_KEY) }
    }
}
