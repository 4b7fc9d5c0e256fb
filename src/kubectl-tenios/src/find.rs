//! Files as a table names them: on another system, in another form of Unicode.

use std::path::{Component, Path, PathBuf};

use super::branches::clean;

/// The file that this text means, beside the table. A name as it is wins; else `\` separates directories, and
/// `ö` is `ö` however a file system writes it: macOS takes names apart (NFD), and what it packs stays so.
pub(super) fn file(directory: &Path, text: &str) -> Result<PathBuf, String> {
    let exact = directory.join(text);
    if exact.is_file() {
        return Ok(exact);
    }
    let mut found = directory.to_owned();
    for component in Path::new(&text.replace('\\', "/")).components() {
        found = match component {
            Component::Normal(name) => inside(&found, &name.to_string_lossy())?,
            other => found.join(other),
        };
    }
    Ok(found)
}

/// What looks the same to a person.
fn inside(directory: &Path, name: &str) -> Result<PathBuf, String> {
    let exact = directory.join(name);
    if exact.exists() {
        return Ok(exact);
    }
    let entries = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    let wanted = clean(name);
    let mut same = entries.flatten().filter(|entry| clean(&entry.file_name().to_string_lossy()) == wanted);
    match (same.next(), same.next()) {
        (Some(only), None) => Ok(only.path()),
        (None, _) => Err("there is no such file; give its path relative to the table".into()),
        (Some(_), Some(_)) => Err(format!("several files in {} match this name", directory.display())),
    }
}
