//! How the object of an entry is called.

use super::super::Key;
use tenios_api::digest::sha256_hex;

/// `metadata.name` of the entry's object, the same for no two keys: `pno.<namespace>.<name>`, which is
/// unambiguous because a namespace has no dot, or `pno-sha256.<digest>` where that is too long or looks like
/// what earlier versions made of a name that was too long.
#[must_use]
pub fn object_name(key: &Key) -> String {
    let plain = plain(key);
    if plain.len() <= LONGEST && !looks_cut(&plain) {
        return plain;
    }
    format!("{}-sha256.{}", key.kind.short(), sha256_hex(&plain))
}

/// What earlier versions called it, where that was something else. Not unambiguous: a resource may be called
/// like the shortened name of another.
pub(super) fn former_name(key: &Key) -> Option<String> {
    let plain = plain(key);
    if plain.len() <= LONGEST {
        return looks_cut(&plain).then_some(plain);
    }
    let head: String = plain.chars().take(LONGEST - 34).collect();
    let digest: String = sha256_hex(&plain).chars().take(32).collect();
    Some(format!("{}-{digest}", head.trim_end_matches(['.', '-'])))
}

/// The longest name that an object can have.
const LONGEST: usize = 253;

fn plain(key: &Key) -> String {
    format!("{}.{}.{}", key.kind.short(), key.namespace, key.name)
}

/// Whether earlier versions may have made it by shortening another.
fn looks_cut(plain: &str) -> bool {
    plain.rsplit_once('-').is_some_and(|(_, end)| {
        end.len() == 32 && end.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}
