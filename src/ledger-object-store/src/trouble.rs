//! Why nothing may be sent with this ledger until a person has decided, in words that name the command.

use std::fmt;

use tenios_ledger::Key;

/// See the module documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no ledger, though entries in the cluster are copies of one.
    Emptied {
        /// The id of that one.
        remembered: String,
    },
    /// There are entries, but not the object that every ledger begins with.
    Headless,
    /// Entries in the cluster are copies of another ledger.
    Anothers {
        /// The id of that one.
        remembered: String,
        /// The id of this one.
        found: String,
    },
    /// The cluster remembers more than is there.
    Behind {
        /// Whose entry it is.
        key: Key,
        /// The object that is missing.
        sequence: u64,
    },
    /// Requests were recorded in the cluster before the store was named.
    NotCopied {
        /// Whose.
        key: Key,
    },
    /// It does not do what a ledger needs.
    Unfit(String),
}

impl Trouble {
    /// What was found at this URL and what to do about it, in one line.
    #[must_use]
    pub fn message(&self, url: &str) -> String {
        Said { trouble: self, url }.to_string()
    }
}

struct Said<'a> {
    trouble: &'a Trouble,
    url: &'a str,
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url;
        let copy = format!("`kubectl tenios ledger copy --from kubernetes --to {url}`");
        match self.trouble {
            Trouble::Emptied { remembered } => write!(
                f,
                "there is no ledger at {url}, but this cluster holds copies of entries of ledger {remembered}, so the \
                 store was emptied, or --ledger is wrong. If it is right, start a new ledger there with what this \
                 cluster knows: {copy}"
            ),
            Trouble::Headless => write!(
                f,
                "there are ledger entries at {url}, but genesis.json is missing, so something deleted it. See what is \
                 left: `kubectl tenios ledger verify {url}`. Then add what this cluster knows: {copy}"
            ),
            Trouble::Anothers { remembered, found } => write!(
                f,
                "the ledger at {url} is {found}, but this cluster holds copies of entries of ledger {remembered}, so \
                 --ledger is wrong, or the ledger was replaced. Compare them: `kubectl tenios ledger verify {url}`. If \
                 it is the right one, add what this cluster knows: {copy}"
            ),
            Trouble::Behind { key, sequence } => write!(
                f,
                "the ledger at {url} has lost object {sequence:08} of {key}, of which this cluster holds a copy, so the \
                 store was restored to an earlier time, or a lifecycle rule deletes objects. Add what this cluster \
                 knows: {copy}"
            ),
            Trouble::NotCopied { key } => write!(
                f,
                "this cluster has recorded requests, such as those for {key}, that are not in the ledger at {url}. \
                 Store them there as well: {copy}"
            ),
            Trouble::Unfit(why) => write!(
                f,
                "the store at {url} can't hold a ledger: {why}. Two clusters could both order. Use another store"
            ),
        }
    }
}
