//! A directory that goes with the test that made it.

use std::path::{Path, PathBuf};

/// See the module documentation.
pub struct Scratch(PathBuf);

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// A new one, empty.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tenios-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).expect("a directory can be made");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), content).expect("a file can be written");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
