//! Setting unusable files aside, so that the next start begins afresh and a person can still look at them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Renames a directory to the first free `<directory>.broken-<n>` and makes that durable.
pub(super) fn set_aside(directory: &Path) -> io::Result<PathBuf> {
    let parent = directory.parent().unwrap_or_else(|| Path::new("."));
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for number in 1..=u32::MAX {
        let target = parent.join(format!("{name}.broken-{number}"));
        if !target.try_exists()? {
            fs::rename(directory, &target)?;
            File::open(parent)?.sync_all()?;
            return Ok(target);
        }
    }
    Err(io::Error::other("every name is taken"))
}
