//! A number for both planes, or one for each.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number for both planes, or one for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PerPlane {
    /// `1.5`.
    Same(f64),
    /// `{ model = 1.5, access = 1.0 }`, or one of them.
    Each {
        /// Of the model plane.
        model: Option<f64>,
        /// Of the access plane.
        access: Option<f64>,
    },
}

impl PerPlane {
    /// The number of each plane that has one, model first.
    pub fn both(self) -> [Option<f64>; 2] {
        match self {
            PerPlane::Same(number) => [Some(number); 2],
            PerPlane::Each { model, access } => [model, access],
        }
    }
}

impl Serialize for PerPlane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            PerPlane::Same(number) => serializer.serialize_f64(*number),
            PerPlane::Each { model, access } => {
                let mut map = serializer.serialize_map(None)?;
                for (name, number) in [("model", model), ("access", access)] {
                    if let Some(number) = number {
                        map.serialize_entry(name, number)?;
                    }
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for PerPlane {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = PerPlane;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number such as `1.0`, or `{ model = 1.0, access = 1.5 }`")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<PerPlane, E> {
        Ok(PerPlane::Same(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<PerPlane, E> {
        i32::try_from(number).map(|number| PerPlane::Same(number.into())).map_err(|_| E::custom("is far too large"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PerPlane, A::Error> {
        let (mut model, mut access) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "model" => model = Some(map.next_value()?),
                "access" => access = Some(map.next_value()?),
                other => return Err(A::Error::unknown_field(other, &["model", "access"])),
            }
        }
        Ok(PerPlane::Each { model, access })
    }
}
