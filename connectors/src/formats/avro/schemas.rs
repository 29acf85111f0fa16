//! Which schema an id stands for, remembered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use apache_avro::Schema;

/// Ids kept at most. A topic has a handful; whoever invents ids must not fill the memory.
const MAX_IDS: usize = 4_096;

/// Knows the schemas that ids of framed records stand for.
pub trait SchemaSource: Send + Sync {
    /// The text of the schema. May block, but not for long: the implementation has its own time limit.
    fn schema(&self, id: u32) -> Result<String, SchemaFault>;
}

/// Why there is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaFault {
    /// Nobody registered the id.
    #[error("is not in the schema registry")]
    Unknown,
    /// What was registered is no Avro schema that can be used.
    #[error("can't be used: {0}")]
    Unusable(String),
    /// The source did not answer; it may do so later.
    #[error("can't be fetched: {0}")]
    Unavailable(String),
}

enum Entry {
    Known(Arc<Schema>),
    Refused { fault: SchemaFault, until: Instant },
}

/// Schemas by id. What is known stays; a refusal is believed for a while.
pub(super) struct SchemaCache {
    source: Arc<dyn SchemaSource>,
    entries: Mutex<BTreeMap<u32, Entry>>,
    refused_for: Duration,
    unavailable_for: Duration,
}

impl SchemaCache {
    pub(super) fn new(source: Arc<dyn SchemaSource>, refused_for: Duration, unavailable_for: Duration) -> Self {
        SchemaCache { source, entries: Mutex::default(), refused_for, unavailable_for }
    }

    /// The schema of the id, or why its records can't be read.
    pub(super) fn get(&self, id: u32, now: Instant) -> Result<Arc<Schema>, String> {
        let known = match self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            Some(Entry::Known(schema)) => return Ok(Arc::clone(schema)),
            Some(Entry::Refused { fault, until }) if now < *until => Some(fault.clone()),
            _ => None,
        };
        let found = known.map_or_else(|| self.fetch(id, now), Err);
        found.map_err(|fault| format!("names the Avro schema {id}, which {fault}"))
    }

    fn fetch(&self, id: u32, now: Instant) -> Result<Arc<Schema>, SchemaFault> {
        // The lock is not held while the source answers.
        let found = self.source.schema(id).and_then(|text| parse(&text));
        let entry = match &found {
            Ok(schema) => Entry::Known(Arc::clone(schema)),
            Err(fault @ SchemaFault::Unavailable(_)) => {
                Entry::Refused { fault: fault.clone(), until: now + self.unavailable_for }
            }
            Err(fault) => Entry::Refused { fault: fault.clone(), until: now + self.refused_for },
        };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_IDS {
            entries.retain(|_, entry| matches!(entry, Entry::Known(_)));
        }
        if entries.len() < MAX_IDS {
            entries.insert(id, entry);
        }
        found
    }
}

fn parse(text: &str) -> Result<Arc<Schema>, SchemaFault> {
    let schema = Schema::parse_str(text).map_err(|error| SchemaFault::Unusable(error.to_string()))?;
    check(&schema).map_err(SchemaFault::Unusable)?;
    Ok(Arc::new(schema))
}

/// Refuses schemas that contain themselves: a few bytes of such a record could exhaust the stack.
pub(super) fn check(schema: &Schema) -> Result<(), String> {
    let Schema::Record(_) = schema else {
        return Err("its Avro schema is not of a record".to_owned());
    };
    descend(schema, &mut Vec::new())
}

fn descend(schema: &Schema, around: &mut Vec<String>) -> Result<(), String> {
    match schema {
        Schema::Array(array) => descend(&array.items, around),
        Schema::Map(map) => descend(&map.types, around),
        Schema::Union(union) => union.variants().iter().try_for_each(|variant| descend(variant, around)),
        Schema::Record(record) => {
            around.push(record.name.to_string());
            let found = record.fields.iter().try_for_each(|field| descend(&field.schema, around));
            around.pop();
            found
        }
        Schema::Ref { name } if around.contains(&name.to_string()) => {
            Err(format!("its Avro schema is recursive: `{name}` contains itself"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counting {
        calls: AtomicUsize,
        answer: fn(usize) -> Result<String, SchemaFault>,
    }

    impl SchemaSource for Counting {
        fn schema(&self, _: u32) -> Result<String, SchemaFault> {
            (self.answer)(self.calls.fetch_add(1, Ordering::Relaxed))
        }
    }

    fn cache(answer: fn(usize) -> Result<String, SchemaFault>) -> (Arc<Counting>, SchemaCache) {
        let source = Arc::new(Counting { calls: AtomicUsize::new(0), answer });
        let cache = SchemaCache::new(source.clone(), Duration::from_secs(60), Duration::from_secs(5));
        (source, cache)
    }

    const RECORD: &str = r#"{"type":"record","name":"a.B","fields":[{"name":"x","type":"long"}]}"#;

    #[test]
    fn what_is_known_is_asked_for_once() {
        let (source, cache) = cache(|_| Ok(RECORD.to_owned()));
        let now = Instant::now();
        for later in 0..3 {
            assert!(cache.get(7, now + Duration::from_secs(later * 3_600)).is_ok());
        }
        assert_eq!(source.calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_refusal_is_believed_for_a_while() {
        let (source, cache) = cache(|call| if call == 0 { Err(SchemaFault::Unknown) } else { Ok(RECORD.to_owned()) });
        let now = Instant::now();
        for _ in 0..100 {
            let reason = cache.get(7, now).expect_err("unknown");
            assert_eq!(reason, "names the Avro schema 7, which is not in the schema registry");
        }
        assert!(cache.get(7, now + Duration::from_secs(59)).is_err());
        assert_eq!(source.calls.load(Ordering::Relaxed), 1);
        assert!(cache.get(7, now + Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn an_outage_is_believed_for_a_shorter_while() {
        let (source, cache) = cache(|_| Err(SchemaFault::Unavailable("timed out".into())));
        let now = Instant::now();
        assert!(cache.get(7, now).is_err());
        assert!(cache.get(7, now + Duration::from_secs(4)).is_err());
        assert_eq!(source.calls.load(Ordering::Relaxed), 1);
        assert!(cache.get(7, now + Duration::from_secs(5)).is_err());
        assert_eq!(source.calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn invented_ids_do_not_fill_the_memory() {
        let (_, cache) = cache(|_| Err(SchemaFault::Unknown));
        let now = Instant::now();
        for id in 0..3 * u32::try_from(MAX_IDS).expect("small") {
            assert!(cache.get(id, now).is_err());
        }
        assert!(cache.entries.lock().expect("not poisoned").len() <= MAX_IDS);
    }

    #[test]
    fn schemas_that_contain_themselves_are_refused() {
        let recursive = r#"{"type":"record","name":"Node","fields":[{"name":"next","type":["null","Node"]}]}"#;
        let fault = parse(recursive).expect_err("recursive");
        assert!(fault.to_string().contains("`Node` contains itself"), "{fault}");
        assert!(parse(r#""string""#).is_err());
        let twice = r#"{"type":"record","name":"R","fields":[
            {"name":"a","type":{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}},{"name":"b","type":"P"}]}"#;
        assert!(parse(twice).is_ok());
    }
}
