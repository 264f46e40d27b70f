//! Settings as files have them, before anything is checked. Unknown keys are refused.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use hayward_model::{Mode, Response};
use hayward_record::mask::CommandLines;
use hayward_yaml::Spanned;
use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer},
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Raw {
    pub(crate) mode: Option<Mode>,
    pub(crate) scope: RawScope,
    pub(crate) guards: Option<BTreeMap<String, Spanned<RawGuard>>>,
    pub(crate) overrides: Vec<RawOverride>,
    pub(crate) lease: Option<Spanned<String>>,
    pub(crate) cgroup_root: Option<Spanned<String>>,
    pub(crate) pins: Option<PathBuf>,
    pub(crate) journal: RawJournal,
    pub(crate) metrics: RawMetrics,
    pub(crate) api: RawApi,
    pub(crate) log: RawLog,
    pub(crate) identity: Option<PathBuf>,
    pub(crate) compat: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawScope {
    pub(crate) include: Option<Vec<Spanned<RawSelector>>>,
    pub(crate) exclude: Vec<Spanned<RawSelector>>,
}

/// `containers`, `users`, a cgroup glob, or a mapping such as `{unit: glob}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum RawSelector {
    Word(String),
    Keyed(BTreeMap<String, String>),
}

/// Settings of a guard, or `observe` / `enforce` for short.
#[derive(Debug, Clone)]
pub(crate) enum RawGuard {
    Short(Mode),
    Full(Box<RawCommand>),
}

/// Not derived as an untagged enum: its errors name neither the key that is wrong nor what would be right.
impl<'de> Deserialize<'de> for RawGuard {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawGuard;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("observe, enforce, or the guard's settings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawGuard, E> {
                Mode::deserialize(text.into_deserializer()).map(RawGuard::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawGuard, A::Error> {
                RawCommand::deserialize(MapAccessDeserializer::new(map))
                    .map(|raw| RawGuard::Full(Box::new(raw)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCommand {
    pub(crate) mode: Option<Mode>,
    pub(crate) response: Option<Response>,
    pub(crate) rules: Option<Spanned<Vec<String>>>,
    pub(crate) fileless: Option<Spanned<Fileless>>,
    pub(crate) unscanned: Option<Spanned<Unscanned>>,
    pub(crate) scan: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fileless {
    Observe,
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unscanned {
    Judge,
    Kill,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawOverride {
    pub(crate) r#match: Spanned<RawSelector>,
    pub(crate) guards: BTreeMap<String, Spanned<RawGuard>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawJournal {
    pub(crate) path: Option<PathBuf>,
    pub(crate) keep: Option<Spanned<String>>,
    pub(crate) max: Option<Spanned<String>>,
    pub(crate) command_lines: Option<CommandLines>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawMetrics {
    pub(crate) listen: Option<Spanned<String>>,
    pub(crate) cryptnono: Option<Spanned<[String; 2]>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawApi {
    pub(crate) socket: Option<PathBuf>,
    pub(crate) readers: Option<String>,
    pub(crate) operators: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLog {
    pub(crate) format: Option<super::LogFormat>,
}
