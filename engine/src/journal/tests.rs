use std::fs;

use super::*;

fn put(key: &str, value: &str) -> Commit {
    Commit { puts: vec![(key.into(), value.into())], ..Commit::default() }
}

fn pairs(said: &Said) -> Vec<(String, String)> {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).expect("it is text");
    said.pairs.iter().map(|(key, value)| (text(key), text(value))).collect()
}

fn expected(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_last_word_on_each_key_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.journal");
    let (mut journal, said) = Journal::open(&path).expect("it opens");
    assert_eq!(said, Said::default());
    journal.append(&put("i/a", r#"{"text":"line\nbreak"}"#)).expect("it is written");
    journal.append(&put("g/signal", "1")).expect("nothing of it is kept");
    journal.append(&put("i/b", "1")).expect("it is written");
    journal.append(&put("i/a", r#"{"text":"“quoted”"}"#)).expect("it is written");
    journal.append(&Commit { deletes: vec![b"i/b".to_vec()], ..Commit::default() }).expect("it is written");
    let (_, said) = Journal::open(&path).expect("it opens");
    assert_eq!(pairs(&said), expected(&[("i/a", r#"{"text":"“quoted”"}"#)]));
    assert_eq!(said.damaged, 0);
}

#[test]
fn a_torn_line_costs_that_line_alone_and_what_follows_is_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.journal");
    let (mut journal, _) = Journal::open(&path).expect("it opens");
    journal.append(&put("i/a", "1")).expect("it is written");
    journal.append(&put("i/b", "2")).expect("it is written");
    let whole = fs::read(&path).expect("it is there");
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).expect("it can be torn");
        let (mut journal, said) = Journal::open(&path).expect("it opens");
        let complete = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        // A line without its end is whole where only the end is missing.
        assert!(said.pairs.len() == complete || said.pairs.len() == complete + 1, "cut at {cut}: {said:?}");
        journal.rewrite(said.pairs.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))).expect("written");
        journal.append(&put("i/c", "3")).expect("it is written");
        let (_, again) = Journal::open(&path).expect("it opens");
        assert_eq!(again.damaged, 0);
        assert_eq!(again.pairs.len(), said.pairs.len() + 1);
        assert_eq!(pairs(&again).last(), Some(&("i/c".to_owned(), "3".to_owned())));
    }
}

#[test]
fn it_is_written_anew_before_it_is_mostly_past() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.journal");
    let (mut journal, _) = Journal::open(&path).expect("it opens");
    journal.rewrite(std::iter::empty()).expect("it is written");
    let value = format!("\"{}\"", "x".repeat(1 << 20));
    for _ in 0..40 {
        journal.append(&put("i/a", &value)).expect("it is written");
    }
    let size = fs::metadata(&path).expect("it is there").len();
    assert!(size < SLACK + (8 << 20), "{size} bytes");
    let (_, said) = Journal::open(&path).expect("it opens");
    assert_eq!(pairs(&said), expected(&[("i/a", value.as_str())]));
}

#[test]
fn keys_that_are_no_text_come_back_as_they_were() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.journal");
    let keys: [&[u8]; 4] = [b"v/a/\xff\x00\x9f", b"v/hex:00", b"p/\xc3\x28", "p/ä".as_bytes()];
    let (mut journal, _) = Journal::open(&path).expect("it opens");
    let puts = keys.iter().map(|key| (key.to_vec(), b"1".to_vec())).collect();
    journal.append(&Commit { puts, ..Commit::default() }).expect("it is written");
    journal.append(&Commit { deletes: vec![keys[2].to_vec()], ..Commit::default() }).expect("it is written");
    let (_, said) = Journal::open(&path).expect("it opens");
    let mut left: Vec<Vec<u8>> = [keys[0], keys[1], keys[3]].map(<[u8]>::to_vec).into();
    left.sort();
    assert_eq!(said.pairs.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), left);
    for key in [b"hex:00".as_slice(), b"hex", b"\xff", b""] {
        assert_eq!(key_of(&spelled(key)).as_deref(), Some(key));
    }
    assert_eq!((key_of("hex:0"), key_of("hex:zz")), (None, None));
}
