//! Whether files may have changed, without reading them.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Time of change, size and identity of each file under some paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<PathBuf, (i64, i64, u64, u64)>);

impl Fingerprint {
    /// How these files, and the files of these directories, look now. What can't be read is absent.
    pub fn of<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        let mut fingerprint = Fingerprint::default();
        for path in paths {
            fingerprint.add(path);
        }
        fingerprint
    }

    fn add(&mut self, path: &Path) {
        let Ok(metadata) = std::fs::metadata(path) else { return };
        if !metadata.is_dir() {
            let seen = (metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino());
            self.0.insert(path.to_owned(), seen);
            return;
        }
        let Ok(entries) = std::fs::read_dir(path) else { return };
        for entry in entries.flatten() {
            // A link that leads back up would never end.
            if !entry.file_type().is_ok_and(|kind| kind.is_symlink() && entry.path().is_dir()) {
                self.add(&entry.path());
            }
        }
    }
}
