//! Rows that are on a shelf: what is found does not depend on where they are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use watershed_engine::core::{Core, Output};
use watershed_engine::shelf::{Error, Shelf, StoreShelf};
use watershed_engine::store::{Commit, MemoryStore, StateStore};
use watershed_schemas::{Mark, Timestamp};

use crate::driver::{Driver, arrivals, runner, settings};
use crate::history::{Event, MINUTE, as_written, events};
use crate::reload::{busy, followed, line, play, played, prompt, said, sign_in, unexplained};
use crate::stream::shapes;

/// A disk whose health can be seen to.
#[derive(Clone, Default)]
struct TestShelf {
    rows: Arc<Mutex<BTreeMap<u64, Vec<u8>>>>,
    full: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    /// Whether it is one that has everything anyway.
    keeps_all: bool,
}

impl TestShelf {
    fn len(&self) -> usize {
        self.rows.lock().expect("no panic").len()
    }
}

impl Shelf for TestShelf {
    fn put(&self, id: u64, rows: &[u8]) -> Result<(), Error> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Error::Failed { id, what: "written", reason: "no space is left".to_owned() });
        }
        self.rows.lock().expect("no panic").insert(id, rows.to_vec());
        Ok(())
    }

    fn get(&self, id: u64) -> Result<Vec<u8>, Error> {
        let failed = |reason: &str| Error::Failed { id, what: "read back", reason: reason.to_owned() };
        if self.broken.load(Ordering::Relaxed) {
            return Err(failed("the disk is gone"));
        }
        self.rows.lock().expect("no panic").get(&id).cloned().ok_or_else(|| failed("it is not there"))
    }

    fn keeps_all(&self) -> bool {
        self.keeps_all
    }

    fn remove(&self, id: u64) {
        assert!(self.rows.lock().expect("no panic").remove(&id).is_some(), "{id} was there");
    }
}

/// Puts everything on the shelf at once.
const NOTHING: usize = 0;

fn all_of(outputs: &[Output]) -> Vec<String> {
    let said = outputs.iter().map(|output| (&output.signals, &output.incidents, &output.rules));
    said.map(|said| serde_json::to_string(&said).expect("it is data")).collect()
}

#[test]
fn what_is_found_does_not_depend_on_where_rows_are() {
    let rules = shapes();
    let loads = std::cell::Cell::new(0);
    let result = runner(120).run(&(events(60, 40), arrivals()), |(events, arrival)| {
        let play = |shelf: Option<TestShelf>| {
            let mut driver = Driver::new(settings(), as_written(&rules));
            driver.shelf = shelf
                .map(|shelf| Box::new(move |core: &mut Core| core.keep_cold(Box::new(shelf.clone()), NOTHING)) as _);
            driver.set_shelf();
            driver.play(&events, &arrival);
            driver
        };
        let (warm, cold) = (play(None), play(Some(TestShelf::default())));
        loads.set(loads.get() + cold.core.cold_counts().loads);
        proptest::prop_assert_eq!(cold.core.cold_counts().unreadable, 0);
        proptest::prop_assert_eq!(all_of(&warm.outputs), all_of(&cold.outputs));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(loads.get() > 1_000, "rows were loaded only {} times", loads.get());
}

/// A driver whose rows are all on this shelf.
fn on(shelf: &TestShelf, mut driver: Driver) -> Driver {
    driver.core.keep_cold(Box::new(shelf.clone()), NOTHING);
    driver
}

#[test]
fn a_late_row_finds_rows_that_are_on_the_shelf() {
    let shelf = TestShelf::default();
    let history = [sign_in(0, 0), prompt(20, 1), sign_in(20, 1), prompt(6, 0)];
    let mut driver = on(&shelf, played(&[followed(10, "")], &history, 0..0));
    play(&mut driver, &history, 0..3);
    assert_eq!(shelf.len(), 3);
    let status = driver.status("followed");
    assert!(status.cold_bytes > 0 && status.cold_bytes <= status.bytes, "{status:?}");
    let [hot, cold] = driver.core.hot_and_cold_bytes();
    assert!(hot < cold, "{hot} bytes in memory, {cold} on the shelf");
    play(&mut driver, &history, 3..4);
    assert_eq!(said(&driver, 1), [line("followed", "i0 r3", &[])]);
    assert!(driver.core.cold_counts().loads > 0);
    // What nobody needs any more leaves the shelf too.
    let later: Vec<Event> =
        (0..200).map(|at| if at % 2 == 0 { prompt(200 + at, 2) } else { sign_in(200 + at, 3) }).collect();
    play(&mut driver, &later, 0..later.len());
    assert!(shelf.len() < 150, "{} segments are on the shelf", shelf.len());
}

#[test]
fn only_what_late_rows_can_join_goes_where_there_is_room_for_all() {
    let shelf = TestShelf { keeps_all: true, ..TestShelf::default() };
    let mut driver = played(&[followed(10, "")], &[], 0..0);
    driver.core.keep_cold(Box::new(shelf.clone()), usize::MAX);
    // A pair a minute: both watermarks move on with it. Every 64 rows it is thought of the shelf.
    let history: Vec<Event> =
        (0..192).map(|at| if at % 2 == 0 { sign_in(at / 2, 0) } else { prompt(at / 2, 1) }).collect();
    play(&mut driver, &history, 0..history.len());
    let newest = shelf.rows.lock().expect("no panic").keys().max().copied().expect("some are there");
    // Sign-ins are needed for ten minutes of prompts, prompts until sign-ins have passed them.
    assert!(newest < 192 - 2, "the newest on the shelf is {newest}");
    assert!(shelf.len() > 5, "{} on the shelf", shelf.len());
    let status = driver.status("followed");
    assert!(status.cold_bytes > 0 && status.cold_bytes < status.bytes, "{status:?}");
}

#[test]
fn a_disk_that_takes_nothing_leaves_rows_in_memory() {
    let shelf = TestShelf::default();
    shelf.full.store(true, Ordering::Relaxed);
    let history = [sign_in(0, 0), prompt(3, 0)];
    let mut driver = on(&shelf, played(&[followed(10, "")], &history, 0..0));
    play(&mut driver, &history, 0..2);
    assert_eq!(said(&driver, 0), [line("followed", "i0 r1", &[])]);
    assert_eq!((driver.core.cold_counts().unwritten, shelf.len()), (1, 0), "it is left alone for a while");
    assert_eq!(driver.status("followed").cold_bytes, 0);
}

#[test]
fn a_disk_that_gives_nothing_back_degrades_what_needs_it() {
    let shelf = TestShelf::default();
    let history =
        [sign_in(0, 0), prompt(1, 0), prompt(20, 1), sign_in(40, 0), prompt(41, 0), sign_in(60, 2), prompt(60, 2)];
    let mut driver = on(&shelf, played(&[busy(2), unexplained()], &history, 0..0));
    play(&mut driver, &history, 0..2);
    shelf.broken.store(true, Ordering::Relaxed);
    let before = driver.signals().count();
    // Whether there are two prompts in the first ten minutes is not known; of the third person nothing is on the shelf.
    let another = [prompt(2, 0)];
    driver.step_rows(&another, &[0]);
    let busy_now = driver.status("busy");
    assert_eq!((busy_now.stopped, busy_now.degraded_keys, busy_now.tally.unreadable), (None, 1, 1));
    assert!(driver.core.cold_counts().unreadable > 0);
    assert_eq!(driver.signals().count(), before);
    shelf.broken.store(false, Ordering::Relaxed);
    play(&mut driver, &history, 2..7);
    let said = said(&driver, before);
    assert!(said.contains(&line("unexplained", "r2", &[])), "{said:?}");
    // What was said of the rest of that key is true; what must be complete is not said of the times that were lost.
    assert!(said.iter().all(|(rule, _, marks)| rule != "busy" || marks.contains(&Mark::Degraded)), "{said:?}");
    assert!(driver.core.watermarks().low() > Timestamp::from_micros(MINUTE));
}

#[test]
fn the_store_serves_as_a_shelf_for_what_is_committed() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let history = [sign_in(0, 0), prompt(20, 1), sign_in(20, 1), prompt(6, 0)];
    let mut driver = played(&[followed(10, "")], &history, 0..0);
    driver.core.keep_cold(Box::new(StoreShelf::new(Arc::clone(&store))), NOTHING);
    play(&mut driver, &history, 0..2);
    assert_eq!(driver.core.hot_and_cold_bytes()[1], 0, "nothing is durable yet");
    let commit = Commit { puts: driver.disk.under(b"s/"), ..Commit::default() };
    store.commit(commit).expect("memory takes everything");
    play(&mut driver, &history, 2..3);
    assert!(driver.status("followed").cold_bytes > 0);
    let loads = driver.core.cold_counts().loads;
    play(&mut driver, &history, 3..4);
    assert_eq!(said(&driver, 0).last(), Some(&line("followed", "i0 r3", &[])));
    assert!(driver.core.cold_counts().loads > loads);
}
