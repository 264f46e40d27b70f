//! Settings as files have them, before anything is checked. Unknown keys are refused.

use std::{collections::BTreeMap, fmt, marker::PhantomData, path::PathBuf};

use hayward_model::{Mode, Response};
use hayward_record::mask::CommandLines;
use hayward_yaml::{Spanned, line_of};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::RandomxEvidence;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Raw {
    pub(crate) mode: Option<Mode>,
    pub(crate) scope: RawScope,
    pub(crate) guards: Option<RawGuards>,
    pub(crate) workloads: RawWorkloads,
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawWorkloads {
    pub(crate) environment: Option<Vec<Spanned<String>>>,
}

/// The guards by name, those that this version does not have among them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawGuards {
    pub(crate) command: Option<Spanned<RawGuard<RawCommand>>>,
    pub(crate) randomx: Option<Spanned<RawGuard<RawRandomx>>>,
    pub(crate) outbound: Option<Spanned<IgnoredAny>>,
    pub(crate) pool: Option<Spanned<IgnoredAny>>,
    pub(crate) egress: Option<Spanned<IgnoredAny>>,
    pub(crate) inbound: Option<Spanned<IgnoredAny>>,
    pub(crate) file: Option<Spanned<IgnoredAny>>,
}

impl RawGuards {
    /// What is planned and not there yet: name and line.
    pub(crate) fn later(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let later = [
            ("outbound", &self.outbound),
            ("pool", &self.pool),
            ("egress", &self.egress),
            ("inbound", &self.inbound),
            ("file", &self.file),
        ];
        let lines = later.map(|(name, guard)| (name, guard.as_ref().map(line_of)));
        let listed = lines.into_iter();
        listed.filter_map(|(name, line)| Some((name, line?)))
    }
}

/// Settings of a guard, or `observe` / `enforce` for short.
#[derive(Debug, Clone)]
pub(crate) enum RawGuard<T> {
    Short(Mode),
    Full(Box<T>),
}

/// Not derived as an untagged enum: its errors name neither the key that is wrong nor what would be right.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for RawGuard<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = RawGuard<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("observe, enforce, or the guard's settings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawGuard<T>, E> {
                Mode::deserialize(text.into_deserializer()).map(RawGuard::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawGuard<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
                    .map(|raw| RawGuard::Full(Box::new(raw)))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
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

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawRandomx {
    pub(crate) mode: Option<Mode>,
    pub(crate) response: Option<Response>,
    pub(crate) evidence: Option<Spanned<RandomxEvidence>>,
    pub(crate) nudge: Option<Spanned<bool>>,
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
    pub(crate) guards: RawGuards,
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
