//! Sets of a firewall as they stand in the file.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// An entry of `outputs`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawOutput {
    pub(crate) nftables: Option<RawSets>,
    pub(crate) ipset: Option<RawSets>,
}

/// A set, or one for each family.
#[derive(Debug, Clone)]
pub(crate) enum RawSets {
    One(String),
    Both(RawBoth),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawBoth {
    pub(crate) ipv4: Option<String>,
    pub(crate) ipv6: Option<String>,
}

impl<'de> Deserialize<'de> for RawSets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawSets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the name of a set, or one for each family, such as {ipv4: ..., ipv6: ...}",
                )
            }

            fn visit_str<E>(self, text: &str) -> Result<RawSets, E> {
                Ok(RawSets::One(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawSets, A::Error> {
                RawBoth::deserialize(MapAccessDeserializer::new(map)).map(RawSets::Both)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
