//! Making sled's files really durable.
//!
//! sled's own `flush` hands the pages to the disk with `sync_file_range`, which neither empties the disk's cache nor
//! writes metadata, so its files and their directories are synced here.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The files of one sled directory.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// The log, which every commit writes.
    log: File,
    /// The other files that were synced when they appeared; sled never changes one.
    known: BTreeSet<PathBuf>,
}

impl Files {
    /// The files of an open sled.
    pub(super) fn open(directory: &Path) -> io::Result<Files> {
        let log = File::open(directory.join("db"))?;
        let mut files = Files { directory: directory.to_owned(), log, known: BTreeSet::new() };
        files.sync()?;
        Ok(files)
    }

    /// Syncs the log, and new files with their directories.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.log.sync_data()?;
        for directory in [self.directory.clone(), self.directory.join("blobs")] {
            let present = list(&directory)?;
            let mut changed = false;
            for path in &present {
                if !self.known.contains(path) {
                    changed = true;
                    sync_new(path)?;
                }
            }
            let here = |known: &PathBuf| known.parent() == Some(directory.as_path());
            changed |= self.known.iter().any(|known| here(known) && !present.contains(known));
            if changed {
                File::open(&directory)?.sync_all()?;
                self.known.retain(|known| !here(known));
                self.known.extend(present);
            }
        }
        Ok(())
    }
}

/// A snapshot that sled replaces between the listing and here is no loss: its successor is synced next time.
fn sync_new(path: &Path) -> io::Result<()> {
    match File::open(path).and_then(|file| file.sync_all()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn list(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}
