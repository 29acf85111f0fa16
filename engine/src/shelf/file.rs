//! Files of a directory: each holds the rows of many segments, and goes when none of them is needed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Error, Shelf};

/// A file is full beyond this.
const FULL: u64 = 64 << 20;

/// Puts rows into files. They do not outlive the process: a start finds nothing in the directory and needs nothing.
pub struct FileShelf {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<u64, Open>,
    places: BTreeMap<u64, Place>,
    next_file: u64,
}

struct Open {
    file: File,
    path: PathBuf,
    length: u64,
    /// Segments that are still needed.
    live: usize,
}

#[derive(Clone, Copy)]
struct Place {
    file: u64,
    offset: u64,
    length: usize,
}

impl FileShelf {
    /// A shelf in this directory, which is made when it is first needed.
    pub fn new(directory: &Path) -> Self {
        FileShelf { directory: directory.to_owned(), state: Mutex::default() }
    }
}

impl State {
    /// The file that is written to now.
    fn open(&mut self, directory: &Path) -> io::Result<u64> {
        if let Some((number, open)) = self.files.last_key_value()
            && open.length < FULL
        {
            return Ok(*number);
        }
        std::fs::create_dir_all(directory)?;
        let number = self.next_file;
        let path = directory.join(format!("rows-{}-{number}.arrow", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        self.next_file += 1;
        self.files.insert(number, Open { file, path, length: 0, live: 0 });
        Ok(number)
    }

    fn put(&mut self, directory: &Path, id: u64, rows: &[u8]) -> io::Result<()> {
        let number = self.open(directory)?;
        let Some(open) = self.files.get_mut(&number) else { return Ok(()) };
        // Where a write fails half way, the next one takes its place.
        open.file.write_all_at(rows, open.length)?;
        self.places.insert(id, Place { file: number, offset: open.length, length: rows.len() });
        open.length += rows.len() as u64;
        open.live += 1;
        Ok(())
    }

    fn get(&self, id: u64) -> io::Result<Vec<u8>> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "they were not put there");
        let place = self.places.get(&id).ok_or_else(missing)?;
        let open = self.files.get(&place.file).ok_or_else(missing)?;
        let mut rows = vec![0; place.length];
        open.file.read_exact_at(&mut rows, place.offset)?;
        Ok(rows)
    }
}

impl Shelf for FileShelf {
    fn put(&self, id: u64, rows: &[u8]) -> Result<(), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.put(&self.directory, id, rows).map_err(|error| Error::Failed {
            id,
            what: "written",
            reason: error.to_string(),
        })
    }

    fn get(&self, id: u64) -> Result<Vec<u8>, Error> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.get(id).map_err(|error| Error::Failed { id, what: "read back", reason: error.to_string() })
    }

    fn remove(&self, id: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = state.places.remove(&id) else { return };
        let Some(open) = state.files.get_mut(&place.file) else { return };
        open.live -= 1;
        if open.live == 0
            && let Some(open) = state.files.remove(&place.file)
        {
            // It takes space for nothing until the directory goes.
            let _ = std::fs::remove_file(&open.path);
        }
    }
}

impl Drop for FileShelf {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for open in state.files.values() {
            let _ = std::fs::remove_file(&open.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_until_they_are_removed_and_leave_no_file_behind() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let shelf = FileShelf::new(&directory.path().join("rows"));
        let rows = |id: u64| vec![u8::try_from(id).expect("few"); 10 + id as usize];
        for id in 0..20 {
            shelf.put(id, &rows(id)).expect("a good disk");
        }
        for id in (0..20).rev() {
            assert_eq!(shelf.get(id).expect("it was put"), rows(id));
            shelf.remove(id);
            assert!(shelf.get(id).is_err());
        }
        let files = || std::fs::read_dir(directory.path().join("rows")).expect("it was made").count();
        assert_eq!(files(), 0);
        shelf.put(7, &rows(7)).expect("a good disk");
        assert_eq!(files(), 1);
        drop(shelf);
        assert_eq!(files(), 0);
    }

    #[test]
    fn a_directory_that_can_not_be_made_is_told() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "no directory").expect("it can be written");
        let error = FileShelf::new(&file.join("rows")).put(3, b"rows").expect_err("no place");
        assert!(error.to_string().starts_with("the rows of segment 3 can't be written: "), "{error}");
    }
}
