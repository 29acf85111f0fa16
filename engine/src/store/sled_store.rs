//! The durable store, over sled.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::aside::set_aside;
use super::durability::Files;
use super::record::{GenerationFile, RECORD_KEY, Record};
use super::value::{self, HEAD_SPACE, PIECE_SPACE};
use super::{Commit, Error, Pairs, StateStore};

/// How long sled's own threads may hold its file after a store of this process was dropped.
const RELEASE: Duration = Duration::from_secs(5);

/// How the store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of pages that sled may keep in memory.
    pub cache_bytes: usize,
    /// Bytes on disk above which a warning is logged: opening a store needs memory in proportion to its size.
    pub warn_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { cache_bytes: 64 << 20, warn_bytes: 4 << 30 }
    }
}

/// An open store, and whether what was there could be used.
pub struct Opened {
    /// The store.
    pub store: SledStore,
    /// Why the store that was there was set aside, and where it is now; absent where it was whole or none was there.
    pub rebuilt: Option<String>,
}

/// A store in a directory of its own: `<path>/sled` holds the data, `<path>/lock` keeps a second process out.
///
/// Values of any length up to 4 GiB are taken; long ones are compressed and cut. Commits of several threads that
/// meet share one sync of the disk.
pub struct SledStore {
    db: sled::Db,
    state: Mutex<Record>,
    /// Commits applied, and known to be on the disk.
    durable: Mutex<Durable>,
    warn_bytes: AtomicU64,
    _lock: File,
}

struct Durable {
    generation: u64,
    files: Files,
    generation_file: GenerationFile,
    /// After a failed sync nobody knows what is on the disk: every later commit fails too.
    failed: Option<String>,
}

impl SledStore {
    /// Opens the store in `path`, or makes one. Whatever is wrong with the files that are there, they are set aside as
    /// `<path>/sled.broken-<n>` and the store starts empty.
    ///
    /// # Errors
    /// Where `path` can't be used at all: permissions, or another process holds it.
    pub fn open(path: &Path, options: Options) -> Result<Opened, Error> {
        let stop = |what: &str, error: &dyn std::fmt::Display| {
            Error::Stop(format!("store.path = \"{}\": {what}: {error}", path.display()))
        };
        fs::create_dir_all(path).map_err(|error| stop("can't create the directory", &error))?;
        let lock = lock(path)?;
        let directory = path.join("sled");
        let fresh = !directory.try_exists().map_err(|error| stop("can't read the directory", &error))?;
        let (parts, rebuilt) = match open_checked(&directory, options) {
            Ok(parts) => (parts, None),
            Err(reason) if fresh => return Err(stop("can't create the store", &reason)),
            Err(reason) => {
                let target = set_aside(&directory).map_err(|error| {
                    stop(&format!("the store is unusable ({reason}) and can't be set aside"), &error)
                })?;
                let parts =
                    open_checked(&directory, options).map_err(|error| stop("can't create the store", &error))?;
                (parts, Some(format!("{reason}; it was set aside as {}", target.display())))
            }
        };
        File::open(path).and_then(|file| file.sync_all()).map_err(|error| stop("can't sync the directory", &error))?;
        let Parts { db, record, files, generation_file } = parts;
        let durable = Durable { generation: record.generation, files, generation_file, failed: None };
        let store = SledStore {
            db,
            state: Mutex::new(record),
            durable: Mutex::new(durable),
            warn_bytes: AtomicU64::new(options.warn_bytes as u64),
            _lock: lock,
        };
        store.watch_size();
        Ok(Opened { store, rebuilt })
    }

    /// Number of commits that the store has seen since it was made.
    pub fn generation(&self) -> u64 {
        locked(&self.state).generation
    }

    /// Applies the changes and the new record in one batch of sled. Returns the commit's number.
    fn apply(&self, commit: Commit) -> Result<u64, Error> {
        let mut changes: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        changes.extend(commit.deletes.into_iter().map(|key| (key, None)));
        changes.extend(commit.puts.into_iter().map(|(key, value)| (key, Some(value))));

        let mut state = locked(&self.state);
        let mut record = *state;
        let mut batch = sled::Batch::default();
        for (key, value) in &changes {
            self.change(&mut batch, &mut record, key, value.as_deref())?;
        }
        record.generation += 1;
        batch.insert(RECORD_KEY, record.to_bytes());
        self.db.apply_batch(batch).map_err(failed_write)?;
        *state = record;
        Ok(record.generation)
    }

    /// Adds one key's change to the batch and to the record.
    fn change(
        &self,
        batch: &mut sled::Batch,
        record: &mut Record,
        key: &[u8],
        new: Option<&[u8]>,
    ) -> Result<(), Error> {
        let head_key = value::head_key(key);
        let old = self.db.get(&head_key).map_err(failed_read)?;
        let old = old.map(|head| value::head(&head)).transpose().map_err(Error::Stop)?;
        let mut pieces = 0;
        if let Some(new) = new {
            let stored = value::store(key, new).map_err(Error::Stop)?;
            let head = value::head(&stored.head).map_err(Error::Stop)?;
            pieces = head.pieces;
            for (index, piece) in (0..).zip(stored.pieces) {
                batch.insert(value::piece_key(key, index), piece);
            }
            batch.insert(head_key, stored.head);
            record.keys += 1;
            record.sum = record.sum.wrapping_add(head.checksum);
            record.pieces += u64::from(head.pieces);
        } else if old.is_some() {
            batch.remove(head_key);
        }
        if let Some(old) = old {
            for index in pieces..old.pieces {
                batch.remove(value::piece_key(key, index));
            }
            record.keys -= 1;
            record.sum = record.sum.wrapping_sub(old.checksum);
            record.pieces -= u64::from(old.pieces);
        }
        Ok(())
    }

    /// Waits until the commit of this number is on the disk. Whoever comes first syncs for all who applied before.
    fn sync(&self, generation: u64) -> Result<(), Error> {
        let mut durable = locked(&self.durable);
        if let Some(reason) = &durable.failed {
            return Err(Error::Stop(reason.clone()));
        }
        if durable.generation >= generation {
            return Ok(());
        }
        let applied = self.generation();
        let synced = self
            .db
            .flush()
            .map_err(|error| error.to_string())
            .and_then(|_| durable.files.sync().map_err(|error| error.to_string()))
            .and_then(|()| durable.generation_file.write(applied).map_err(|error| error.to_string()));
        match synced {
            Ok(()) => {
                durable.generation = applied;
                Ok(())
            }
            Err(reason) => {
                let reason =
                    format!("the store can't be written to the disk: {reason}; free space or repair it, then restart");
                durable.failed = Some(reason.clone());
                Err(Error::Stop(reason))
            }
        }
    }

    /// Logs a warning when the size passes the bound, and again at each doubling.
    fn watch_size(&self) {
        let size = self.size_on_disk();
        let bound = self.warn_bytes.load(Ordering::Relaxed);
        if size > bound {
            self.warn_bytes.store(size.saturating_mul(2), Ordering::Relaxed);
            tracing::warn!(bytes = size, warn_bytes = bound, "the store is large: the next start needs as much memory");
        }
    }

    fn load(&self, key: &[u8], head: &[u8]) -> Result<Vec<u8>, Error> {
        load(&self.db, key, head).map_err(Error::Stop)
    }
}

impl StateStore for SledStore {
    fn commit(&self, commit: Commit) -> Result<(), Error> {
        let generation = self.apply(commit)?;
        self.sync(generation)?;
        self.watch_size();
        Ok(())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Pairs, Error> {
        // No commit between a head and its pieces.
        let _state = locked(&self.state);
        let mut pairs = Vec::new();
        for pair in self.db.scan_prefix(value::head_key(prefix)) {
            let (head_key, head) = pair.map_err(failed_read)?;
            let key = head_key[1..].to_vec();
            let value = self.load(&key, &head)?;
            pairs.push((key, value));
        }
        Ok(pairs)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let _state = locked(&self.state);
        let head = self.db.get(value::head_key(key)).map_err(failed_read)?;
        head.map(|head| self.load(key, &head)).transpose()
    }

    fn size_on_disk(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }
}

struct Parts {
    db: sled::Db,
    record: Record,
    files: Files,
    generation_file: GenerationFile,
}

/// Opens sled and verifies every value against the record. A panic of sled over broken files is an error like another.
fn open_checked(directory: &Path, options: Options) -> Result<Parts, String> {
    catch_unwind(AssertUnwindSafe(|| open_sled(directory, options))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(format!("its files broke the reader: {text}"))
    })
}

fn open_sled(directory: &Path, options: Options) -> Result<Parts, String> {
    let config = || {
        sled::Config::new()
            .path(directory)
            .cache_capacity(options.cache_bytes as u64)
            // Every commit is flushed; what isn't committed needn't reach the disk.
            .flush_every_ms(None)
    };
    let fresh = !directory.join("db").exists();
    let deadline = Instant::now() + RELEASE;
    let db = loop {
        match config().open() {
            // `<path>/lock` is ours, so the holder can only be a store of this process whose threads are ending.
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                if Instant::now() > deadline {
                    return Err(error.to_string());
                }
                std::thread::yield_now();
            }
            result => break result.map_err(|error| error.to_string())?,
        }
    };
    let (mut generation_file, durable) =
        GenerationFile::open(&directory.join("generation")).map_err(|error| error.to_string())?;
    let record = verify(&db)?;
    match durable {
        Some(durable) if record.generation < durable => {
            return Err(format!("it fell back from commit {durable} to {}", record.generation));
        }
        None if !fresh => return Err("the number of its last commit is gone".to_owned()),
        _ => {}
    }
    generation_file.write(record.generation).map_err(|error| error.to_string())?;
    // Syncs the number's file too: from now on it has its full length, whatever becomes of later writes.
    let files = Files::open(directory).map_err(|error| error.to_string())?;
    Ok(Parts { db, record, files, generation_file })
}

/// Reads every value and compares what is there with the record.
fn verify(db: &sled::Db) -> Result<Record, String> {
    let mut found = Record::default();
    for pair in db.scan_prefix([HEAD_SPACE]) {
        let (head_key, head) = pair.map_err(|error| error.to_string())?;
        load(db, &head_key[1..], &head)?;
        let head = value::head(&head)?;
        found.keys += 1;
        found.pieces += u64::from(head.pieces);
        found.sum = found.sum.wrapping_add(head.checksum);
    }
    let mut pieces = 0;
    for pair in db.scan_prefix([PIECE_SPACE]).keys() {
        pair.map_err(|error| error.to_string())?;
        pieces += 1;
    }
    let Some(bytes) = db.get(RECORD_KEY).map_err(|error| error.to_string())? else {
        return if found == Record::default() && pieces == 0 {
            Ok(found)
        } else {
            Err("its record is gone".to_owned())
        };
    };
    let record = Record::from_bytes(&bytes)?;
    found.generation = record.generation;
    if found != record || pieces != record.pieces {
        return Err(format!(
            "it holds {} keys and {pieces} pieces where commit {} left {} and {}, or values of another commit",
            found.keys, record.generation, record.keys, record.pieces
        ));
    }
    Ok(record)
}

fn load(db: &sled::Db, key: &[u8], head: &[u8]) -> Result<Vec<u8>, String> {
    let count = value::head(head)?.pieces;
    let mut pieces = Vec::new();
    for index in 0..count {
        let piece = db.get(value::piece_key(key, index)).map_err(|error| error.to_string())?;
        pieces.push(piece.ok_or_else(|| format!("piece {index} of {count} of a value is gone"))?);
    }
    value::load(key, head, &pieces)
}

fn lock(path: &Path) -> Result<File, Error> {
    let name: PathBuf = path.join("lock");
    let stop = |reason: String| Error::Stop(format!("store.path = \"{}\": {reason}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(|error: io::Error| {
        stop(format!("can't write {}: {error}; give the process the directory", name.display()))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(stop("another process uses this store; stop it, or choose another path".to_owned()))
        }
        Err(TryLockError::Error(error)) => Err(stop(format!("can't lock {}: {error}", name.display()))),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed_read(error: sled::Error) -> Error {
    Error::Stop(format!("the store can't be read: {error}; restart, and it is rebuilt from the input"))
}

fn failed_write(error: sled::Error) -> Error {
    Error::Stop(format!("the store can't be written: {error}; free space or repair the disk, then restart"))
}
