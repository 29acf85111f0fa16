//! What the store promises: what was committed is there after a reopen, and nothing that lies on the disk stops a start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn open(path: &Path) -> Opened {
    SledStore::open(path, Options::default()).expect("the directory can be used")
}

fn put(key: &str, value: &[u8]) -> Commit {
    Commit { puts: vec![(key.as_bytes().to_vec(), value.to_vec())], deletes: Vec::new(), unkept: false }
}

/// Bytes that zstd can't shorten, so that long values really are cut.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn any_commit() -> impl Strategy<Value = Commit> {
    let key = (0_u8..12, 0_u8..3).prop_map(|(space, number)| vec![b'a' + space % 3, b'/', number, space]);
    let value = (0_usize..40_000, any::<u64>(), any::<bool>())
        .prop_map(|(length, seed, flat)| if flat { vec![7; length] } else { noise(length % 9_000, seed) });
    (prop::collection::vec((key.clone(), value), 0..8), prop::collection::vec(key, 0..4))
        .prop_map(|(puts, deletes)| Commit { puts, deletes, unkept: false })
}

fn apply(model: &mut BTreeMap<Vec<u8>, Vec<u8>>, commit: &Commit) {
    for key in &commit.deletes {
        model.remove(key);
    }
    model.extend(commit.puts.iter().cloned());
}

fn with_prefix(model: &BTreeMap<Vec<u8>, Vec<u8>>, prefix: &[u8]) -> Pairs {
    model.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn holds_what_was_committed_over_reopens(rounds in prop::collection::vec(prop::collection::vec(any_commit(), 1..5), 1..4)) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let memory = MemoryStore::new();
        let mut model = BTreeMap::new();
        for commits in rounds {
            let opened = open(directory.path());
            prop_assert_eq!(&opened.rebuilt, &None);
            for commit in commits {
                apply(&mut model, &commit);
                memory.commit(commit.clone()).expect("memory takes everything");
                opened.store.commit(commit).expect("the disk takes it");
            }
            for prefix in [b"".as_slice(), b"a/", b"b/\x01", b"zz"] {
                let expected = with_prefix(&model, prefix);
                prop_assert_eq!(&memory.scan(prefix).expect("memory reads"), &expected);
                prop_assert_eq!(&opened.store.scan(prefix).expect("the disk reads"), &expected);
            }
        }
        let opened = open(directory.path());
        prop_assert_eq!(&opened.rebuilt, &None);
        prop_assert_eq!(opened.store.scan(b"").expect("the disk reads"), with_prefix(&model, b""));
        for (key, value) in &model {
            let got = opened.store.get(key).expect("the disk reads");
            prop_assert_eq!(got.as_ref(), Some(value));
        }
    }
}

#[test]
fn a_key_deleted_and_put_in_one_commit_holds_the_value() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let commit = Commit { deletes: vec![b"a/1".to_vec()], ..put("a/1", b"new") };
    for store in [&open(directory.path()).store as &dyn StateStore, &MemoryStore::new()] {
        store.commit(put("a/1", b"old")).expect("it commits");
        store.commit(commit.clone()).expect("it commits");
        assert_eq!(store.get(b"a/1").expect("it reads"), Some(b"new".to_vec()));
    }
}

#[test]
fn a_second_user_is_kept_out_and_the_store_stays() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = open(directory.path());
    first.store.commit(put("a/1", b"value")).expect("it commits");
    let Err(Error::Stop(reason)) = SledStore::open(directory.path(), Options::default()) else {
        panic!("a second store opened the same directory");
    };
    assert!(reason.contains("another process uses this store"), "{reason}");
    drop(first);
    let again = open(directory.path());
    assert_eq!(again.rebuilt, None);
    assert_eq!(again.store.get(b"a/1").expect("it reads"), Some(b"value".to_vec()));
}

#[test]
fn a_path_that_is_a_file_is_refused_with_its_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state");
    fs::write(&path, "mine").expect("a file");
    let Err(Error::Stop(reason)) = SledStore::open(&path, Options::default()) else {
        panic!("a file was taken for a store");
    };
    assert!(reason.contains("state") && fs::read(&path).expect("it is still there") == b"mine", "{reason}");
}

#[test]
fn commits_of_many_threads_are_all_there() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let opened = open(directory.path());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &opened.store;
            scope.spawn(move || {
                for number in 0..10 {
                    store.commit(put(&format!("o/{thread}/{number}"), &[thread; 100])).expect("it commits");
                }
            });
        }
    });
    assert_eq!(opened.store.generation(), 40);
    drop(opened);
    let again = open(directory.path());
    assert_eq!(again.rebuilt, None);
    assert_eq!(again.store.scan(b"o/").expect("it reads").len(), 40);
}

/// A store with a few hundred keys, closed; returns the path of its log.
fn filled(directory: &Path) -> PathBuf {
    let opened = open(directory);
    for round in 0..20_u64 {
        let puts = (0..20_u64).map(|key| {
            (format!("s/{key:03}").into_bytes(), noise(usize::try_from(key * 300).expect("small"), round * 100 + key))
        });
        opened.store.commit(Commit { puts: puts.collect(), deletes: Vec::new(), unkept: false }).expect("it commits");
    }
    directory.join("sled").join("db")
}

/// Whatever was done to the files: the store opens, and either holds exactly what was committed or says why it does not
/// and is empty and usable.
fn survives(directory: &Path, what: &str) -> Option<String> {
    let opened = open(directory);
    let pairs = opened.store.scan(b"").expect("it reads");
    match &opened.rebuilt {
        None => assert_eq!(pairs.len(), 20, "{what}: half a store was taken for a whole one"),
        Some(reason) => {
            assert!(pairs.is_empty(), "{what}: a rebuilt store is empty");
            assert!(reason.contains(".broken-"), "{what}: {reason}");
        }
    }
    opened.store.commit(put("a/1", b"after")).expect("it commits");
    assert_eq!(opened.store.get(b"a/1").expect("it reads"), Some(b"after".to_vec()));
    opened.rebuilt
}

#[test]
fn a_truncated_log_is_set_aside() {
    for eighths in 0..8 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = filled(directory.path());
        let length = fs::metadata(&log).expect("the log is there").len();
        let file = fs::OpenOptions::new().write(true).open(&log).expect("the log can be written");
        file.set_len(length * eighths / 8).expect("it can be cut");
        let rebuilt = survives(directory.path(), &format!("cut to {eighths}/8"));
        if eighths < 4 {
            assert!(rebuilt.is_some(), "most of the log is gone ({eighths}/8) and nobody noticed");
        }
        if rebuilt.is_some() {
            assert!(directory.path().join("sled.broken-1").is_dir());
        }
    }
}

#[test]
fn flipped_bytes_never_give_wrong_values() {
    let mut noticed = 0;
    for seed in 1..=12_u64 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = filled(directory.path());
        let mut bytes = fs::read(&log).expect("the log is there");
        for at in noise(64, seed).chunks(4) {
            let at = at.iter().fold(0_usize, |sum, byte| sum * 256 + usize::from(*byte)) % bytes.len();
            bytes[at] ^= 0x55;
        }
        fs::write(&log, bytes).expect("it can be written");
        noticed += u32::from(survives(directory.path(), &format!("flipped with seed {seed}")).is_some());
    }
    assert!(noticed > 0, "sixteen wrong bytes were never noticed");
}

#[test]
fn missing_and_foreign_files_are_set_aside() {
    for name in ["db", "conf"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = filled(directory.path());
        fs::remove_file(log.with_file_name(name)).expect("it was there");
        survives(directory.path(), &format!("without {name}"));

        fs::write(log.with_file_name(name), "not a store").expect("it can be written");
        survives(directory.path(), &format!("with foreign {name}"));
    }
}

#[test]
fn a_store_that_fell_back_to_an_older_commit_is_set_aside() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = filled(directory.path());
    fs::write(log.with_file_name("generation"), "00000000000000000021 00000000000000000021\n")
        .expect("it can be written");
    let reason = survives(directory.path(), "one commit is missing").expect("it was noticed");
    assert!(reason.contains("fell back from commit 21 to 20"), "{reason}");
}

#[test]
fn a_store_that_lost_the_number_of_its_last_commit_is_set_aside() {
    let damages: [fn(&Path); 3] = [
        |path| fs::remove_file(path).expect("it was there"),
        |path| fs::write(path, "").expect("it can be written"),
        |path| fs::write(path, b"0000000000000000001\xff 00000000000000000019\n").expect("it can be written"),
    ];
    for damage in damages {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = filled(directory.path());
        damage(&log.with_file_name("generation"));
        let reason = survives(directory.path(), "the number is gone").expect("it was noticed");
        assert!(reason.contains("the number of its last commit is gone"), "{reason}");
    }
}

#[test]
fn a_second_broken_store_gets_the_next_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for number in 1..=2 {
        let log = filled(directory.path());
        fs::write(log.with_file_name("generation"), "00000000000000000999 00000000000000000999\n")
            .expect("it can be written");
        survives(directory.path(), "fell back").expect("it was noticed");
        assert!(directory.path().join(format!("sled.broken-{number}")).is_dir());
    }
}

const CHILD: &str = "WATERSHED_TEST_STORE";

/// Not a test by itself: the process that [`a_killed_process_leaves_whole_commits`] kills.
#[test]
fn child_commits_until_killed() {
    use std::io::Write;
    let Some(path) = std::env::var_os(CHILD) else { return };
    let opened = open(Path::new(&path));
    let first = opened.store.get(b"s/0").expect("it reads").map_or(0, |value| value[0] as u64 + 1);
    for round in first.. {
        // Every value of a commit begins with its number, and they differ in length so that pieces come and go.
        let value = |key: u64| {
            let mut value = noise(usize::try_from(1 + (key * 977 + round * 131) % 20_000).expect("small"), round + key);
            value[0] = u8::try_from(round % 256).expect("below 256");
            value
        };
        let puts = (0..10).map(|key| (format!("s/{key}").into_bytes(), value(key))).collect();
        opened.store.commit(Commit { puts, deletes: Vec::new(), unkept: false }).expect("it commits");
        writeln!(std::io::stdout(), "committed {}", round % 256).expect("somebody reads");
    }
}

#[test]
fn a_killed_process_leaves_whole_commits() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let directory = tempfile::tempdir().expect("a temporary directory");
    for commits in [1, 5, 12] {
        let mut child = Command::new(std::env::current_exe().expect("this is a program"))
            .args(["--exact", "store::tests::child_commits_until_killed", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can run again");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let last = output
            .lines()
            .filter_map(|line| line.ok()?.split_once("committed ").and_then(|(_, number)| number.parse::<u8>().ok()))
            .nth(commits - 1)
            .expect("it commits");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");

        let opened = open(directory.path());
        assert_eq!(opened.rebuilt, None, "after {commits} commits");
        let pairs = opened.store.scan(b"s/").expect("it reads");
        let numbers: Vec<u8> = pairs.iter().map(|(_, value)| value[0]).collect();
        assert_eq!(numbers.len(), 10);
        assert!(numbers.iter().all(|number| *number == numbers[0]), "a torn commit: {numbers:?}");
        assert!(numbers[0].wrapping_sub(last) < 128, "commit {last} was durable, and {} is there", numbers[0]);
    }
}
