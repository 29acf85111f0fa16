//! JSON text straight into a [`Draft`], without a tree between: the hot path of decoding.
//!
//! Values that a streaming reader can't give verbatim (an object in a text column, a number whose digits matter in
//! one) are rare; they are marked and fetched by a second look at the same text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;
use watershed_schemas::tables::runtime;
use watershed_schemas::{Cell, ColumnType, Plane};

use super::attributes::unquote;
use super::draft::{Draft, attributes_column};
use super::names::Names;

/// What a payload is at its top.
#[derive(Debug, PartialEq)]
pub(in crate::formats) enum Shape<'a> {
    /// One object.
    Object(&'a str),
    /// An array, whose elements may be anything.
    Array(&'a str),
}

/// The payload's shape, or why it has none that canonical records come in.
pub(in crate::formats) fn shape(payload: &[u8]) -> Result<Shape<'_>, String> {
    let text = std::str::from_utf8(payload).map_err(|error| format!("is not UTF-8 at byte {}", error.valid_up_to()))?;
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    match text.as_bytes().first() {
        Some(b'{') => Ok(Shape::Object(text)),
        Some(b'[') => Ok(Shape::Array(text)),
        _ => Err("is neither a JSON object nor an array of them".to_owned()),
    }
}

/// Fills the draft from the text of one JSON object.
pub(in crate::formats) fn read<'a>(text: &'a str, draft: &mut Draft<'a>) -> Result<(), String> {
    let names = Names::of(draft.plane());
    let mut parser = sonic_rs::Deserializer::from_str(text);
    let second_look = Object { draft, names }
        .deserialize(&mut parser)
        .and_then(|marked| parser.end().map(|()| marked))
        // The parser's own message quotes the record, which may hold secrets: only the place is told.
        .map_err(|error| format!("is not valid JSON at byte {}", error.offset()))?;
    if second_look != 0 {
        look_again(text, second_look, names, draft);
    }
    Ok(())
}

fn look_again<'a>(text: &'a str, marked: u64, names: &Names, draft: &mut Draft<'a>) {
    for (name, value) in sonic_rs::to_object_iter(text).map_while(Result::ok) {
        let Some(column) = names.find(&name).filter(|column| marked & 1 << column != 0) else {
            continue;
        };
        let json = value.as_raw_cow();
        if json.starts_with(['{', '[', '-']) || json.starts_with(|first: char| first.is_ascii_digit()) {
            draft.json(column, json);
        }
    }
}

/// One object; gives the columns, one bit each, that need a second look.
struct Object<'d, 'a> {
    draft: &'d mut Draft<'a>,
    names: &'static Names,
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = u64;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<u64, A::Error> {
        let Object { draft, names } = self;
        let columns = draft.columns();
        let own_attributes = attributes_column(draft.plane());
        let arguments = (draft.plane() == Plane::Model).then_some(runtime::ARGUMENTS);
        let mut marked = 0;
        while let Some(key) = members.next_key_seed(Key(names))? {
            match key {
                Member::Column(column) if column == own_attributes => {
                    draft.attributes.give(members.next_value::<Raw<'a>>()?.0);
                }
                Member::Column(column) if Some(column) == arguments => {
                    if !columns.contains(column) {
                        members.next_value::<Raw<'a>>()?;
                        draft.left_out += 1;
                        continue;
                    }
                    arguments_into(draft, column, members.next_value::<Raw<'a>>()?.0);
                }
                Member::Column(column) if !columns.contains(column) => {
                    members.next_value::<Passed>()?;
                    draft.left_out += 1;
                }
                Member::Column(column) => {
                    let verbatim = members.next_value_seed(Value { draft: &mut *draft, column })?;
                    marked = if verbatim { marked & !(1 << column) } else { marked | 1 << column };
                }
                Member::Unknown(_) if !columns.contains(own_attributes) => {
                    members.next_value::<Raw<'a>>()?;
                    draft.left_out += 1;
                }
                Member::Unknown(name) => draft.attributes.set(name, members.next_value::<Raw<'a>>()?.0),
            }
        }
        Ok(marked)
    }
}

/// `arguments` come as an object about as often as in a string, so they are taken as they are written.
fn arguments_into<'a>(draft: &mut Draft<'a>, column: usize, json: Cow<'a, str>) {
    match json.as_bytes().first() {
        Some(b'n') => draft.place(column, Cell::Null),
        Some(b'"') => {
            let text = unquote(json).unwrap_or_else(|json| json);
            draft.text(column, text);
        }
        _ => draft.json(column, json),
    }
}

enum Member<'a> {
    Column(usize),
    Unknown(Cow<'a, str>),
}

struct Key(&'static Names);

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Member<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Member<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Member<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Member<'a>, E> {
        Ok(self.0.find(name).map_or(Member::Unknown(Cow::Borrowed(name)), Member::Column))
    }

    fn visit_str<E>(self, name: &str) -> Result<Member<'a>, E> {
        Ok(self.0.find(name).map_or_else(|| Member::Unknown(Cow::Owned(name.to_owned())), Member::Column))
    }
}

/// A value as it is written.
struct Raw<'a>(Cow<'a, str>);

impl<'a> serde::Deserialize<'a> for Raw<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        <LazyValue<'a> as serde::Deserialize>::deserialize(deserializer).map(|value| Raw(value.as_raw_cow()))
    }
}

/// The value of a column that is left out, validated as if it were not.
struct Passed;

impl<'de> serde::Deserialize<'de> for Passed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Passed)
    }
}

impl<'de> Visitor<'de> for Passed {
    type Value = Passed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_str<E>(self, _: &str) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Passed, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Passed)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Passed, A::Error> {
        while elements.next_element_seed(Element)?.is_some() {}
        Ok(Passed)
    }
}

/// The value of a column; gives whether it was taken, or needs a second look.
struct Value<'d, 'a> {
    draft: &'d mut Draft<'a>,
    column: usize,
}

impl<'a> DeserializeSeed<'a> for Value<'_, 'a> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_, 'a> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        self.draft.place(self.column, Cell::Null);
        Ok(true)
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<bool, E> {
        self.draft.text(self.column, Cow::Borrowed(text));
        Ok(true)
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        self.draft.text(self.column, Cow::Owned(text.to_owned()));
        Ok(true)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        self.draft.boolean(self.column, value);
        Ok(true)
    }

    fn visit_i64<E>(self, number: i64) -> Result<bool, E> {
        self.draft.int(self.column, number);
        Ok(true)
    }

    fn visit_u64<E>(self, number: u64) -> Result<bool, E> {
        let Ok(small) = i64::try_from(number) else {
            #[expect(clippy::cast_precision_loss, reason = "a float or a time has no more digits")]
            match self.draft.ty(self.column) {
                ColumnType::Float | ColumnType::Timestamp => self.draft.float(self.column, number as f64),
                _ => self.draft.json(self.column, Cow::Owned(number.to_string())),
            }
            return Ok(true);
        };
        self.draft.int(self.column, small);
        Ok(true)
    }

    fn visit_f64<E>(self, number: f64) -> Result<bool, E> {
        // As a text the digits matter: `1.50`, or an id of thirty digits.
        if self.draft.ty(self.column) == ColumnType::Text {
            return Ok(false);
        }
        self.draft.float(self.column, number);
        Ok(true)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<bool, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<bool, A::Error> {
        let list = self.draft.ty(self.column) == ColumnType::TextList;
        let (mut texts, mut verbatim) = (Vec::new(), list);
        while let Some(element) = elements.next_element_seed(Element)? {
            match element {
                Some(text) if list => texts.push(text),
                Some(_) => {}
                None => verbatim = false,
            }
        }
        if verbatim {
            self.draft.place(self.column, Cell::List(texts));
        }
        Ok(verbatim)
    }
}

/// An element of a list of texts; none where it is not a text.
struct Element;

impl<'a> DeserializeSeed<'a> for Element {
    type Value = Option<Cow<'a, str>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Element {
    type Value = Option<Cow<'a, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(if value { "true" } else { "false" })))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
