//! Where what is kept in the store. No two keys have the same path, because each part of it is checked first.

use object_store::path::Path;

use tenios_api::name::{is_dns_label, is_dns_subdomain};
use tenios_ledger::{Key, Kind};

use crate::StoreError;

/// The highest number that an object can have: its name has eight digits, so that names are listed in order.
pub(crate) const HIGHEST: u64 = 99_999_999;

/// The paths of one ledger.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    prefix: Path,
}

impl Layout {
    /// The ledger below this path.
    #[must_use]
    pub fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    pub(crate) fn genesis(&self) -> Path {
        self.prefix.clone().join("genesis.json")
    }

    pub(crate) fn probes(&self) -> Path {
        self.prefix.clone().join("probe")
    }

    pub(crate) fn entries(&self) -> Path {
        self.prefix.clone().join("entries")
    }

    pub(crate) fn of(&self, key: &Key) -> Result<Path, StoreError> {
        if !is_dns_label(&key.namespace) || !is_dns_subdomain(&key.name) {
            // The apiserver lets no such resource in.
            return Err(StoreError::Unreadable(format!(
                "{key} has a name that no object in the store can have"
            )));
        }
        Ok(self.entries().join(key.kind.short()).join(key.namespace.as_str()).join(key.name.as_str()))
    }

    pub(crate) fn object(&self, key: &Key, sequence: u64) -> Result<Path, StoreError> {
        if sequence > HIGHEST {
            return Err(StoreError::Unreadable(format!(
                "{key} was written {HIGHEST} times, which is as often as can be"
            )));
        }
        Ok(self.of(key)?.join(format!("{sequence:08}.json")))
    }

    /// The key and number of an object; none where it is no entry of this ledger.
    pub(crate) fn parse(&self, path: &Path) -> Option<(Key, u64)> {
        let entries = self.entries();
        let parts: Vec<_> = path.prefix_match(&entries)?.collect();
        let [kind, namespace, name, object] = parts.as_slice() else { return None };
        let kind = Kind::ALL.into_iter().find(|k| k.short() == kind.as_ref())?;
        let key = Key { kind, namespace: namespace.as_ref().into(), name: name.as_ref().into() };
        let sequence = sequence_of(object.as_ref())?;
        // What no key has as its path is another's.
        (self.object(&key, sequence).ok()? == *path).then_some((key, sequence))
    }
}

/// The number in an object's name.
fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    let is_number = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|sequence| is_number && *sequence > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn key(kind: Kind, namespace: &str, name: &str) -> Key {
        Key { kind, namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn a_path_is_read_back_as_the_key_and_number_that_it_was_made_of() {
        for prefix in ["", "tenios", "a/b"] {
            let layout = Layout::new(Path::from(prefix));
            for (key, sequence) in [
                (key(Kind::Order, "shop", "main-line"), 1),
                (key(Kind::Verification, "shop", "cologne.office"), 99_999_999),
                (key(Kind::Order, "a", "0"), 10),
            ] {
                let path = layout.object(&key, sequence).unwrap();
                assert_eq!(layout.parse(&path), Some((key, sequence)), "{path}");
            }
        }
        let path = Layout::new(Path::from("tenios")).object(&key(Kind::Order, "shop", "o"), 7).unwrap();
        assert_eq!(path.as_ref(), "tenios/entries/pno/shop/o/00000007.json");
    }

    #[test]
    fn what_is_no_entry_is_not_read_as_one() {
        let layout = Layout::new(Path::from("t"));
        for path in [
            "t/genesis.json",
            "t/probe/x",
            "t/entries/pno/shop/o/00000000.json",
            "t/entries/pno/shop/o/1.json",
            "t/entries/pno/shop/o/00000001.json.bak",
            "t/entries/pno/shop/o/x/00000001.json",
            "t/entries/other/shop/o/00000001.json",
            "t/entries/pno/Shop/o/00000001.json",
            "u/entries/pno/shop/o/00000001.json",
        ] {
            assert_eq!(layout.parse(&Path::from(path)), None, "{path}");
        }
    }

    #[test]
    fn names_that_could_leave_their_place_are_refused() {
        let layout = Layout::new(Path::from("t"));
        for (namespace, name) in
            [("..", "o"), ("shop", ".."), ("shop", "a/b"), ("sh/op", "o"), ("", "o"), ("shop", "")]
        {
            assert!(layout.of(&key(Kind::Order, namespace, name)).is_err(), "{namespace} {name}");
        }
        assert!(layout.object(&key(Kind::Order, "shop", "o"), HIGHEST + 1).is_err());
    }
}
