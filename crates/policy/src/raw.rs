//! Settings as files have them, before anything is checked. Unknown keys are refused.

use std::{collections::BTreeMap, fmt, marker::PhantomData, path::PathBuf};

use hayward_model::{Action, Mode, Response};
use hayward_record::mask::CommandLines;
use hayward_yaml::{Spanned, line_of};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    Attach, Between, EgressPolicy, InboundProfile, OutboundProfile, PacketSockets, RandomxEvidence,
    raw_firewall::RawOutput,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Raw {
    pub(crate) mode: Option<Mode>,
    pub(crate) scope: RawScope,
    pub(crate) guards: Option<RawGuards>,
    pub(crate) workloads: RawWorkloads,
    pub(crate) strikes: RawStrikes,
    pub(crate) throttle: Option<Spanned<String>>,
    pub(crate) quarantine: Option<Spanned<String>>,
    pub(crate) breaker: RawBreaker,
    pub(crate) notice: Option<Spanned<String>>,
    pub(crate) tell: Vec<Spanned<RawTell>>,
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
    pub(crate) host: bool,
}

/// `containers`, `users`, a cgroup glob, or a mapping such as `{unit: glob}` or `{namespace: glob}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum RawSelector {
    Word(String),
    Keyed(BTreeMap<String, Plain>),
}

impl fmt::Display for RawSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Keyed(keys) => {
                let pairs = keys
                    .iter()
                    .map(|(key, Plain(value))| format!("{key}: {value}"));
                write!(f, "{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A text, which YAML takes for a number where it looks like one.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Scalar")]
pub(crate) struct Plain(pub(crate) String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(i64),
}

impl From<Scalar> for Plain {
    fn from(scalar: Scalar) -> Self {
        Self(match scalar {
            Scalar::Text(text) => text,
            Scalar::Number(number) => number.to_string(),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawWorkloads {
    pub(crate) environment: Option<Vec<Spanned<String>>>,
    pub(crate) runtimes: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawStrikes {
    pub(crate) window: Option<Spanned<String>>,
    pub(crate) then: Vec<Spanned<RawStep>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawBreaker {
    pub(crate) young: Option<Spanned<String>>,
    pub(crate) workloads: Option<u32>,
    pub(crate) share: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawStep {
    pub(crate) after: u32,
    pub(crate) response: Response,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTell {
    pub(crate) command: Option<Spanned<Vec<String>>>,
    pub(crate) webhook: Option<Spanned<String>>,
    pub(crate) headers: Option<Spanned<PathBuf>>,
    pub(crate) actions: Option<Spanned<Vec<Action>>>,
    pub(crate) every: Option<Spanned<String>>,
    pub(crate) timeout: Option<Spanned<String>>,
}

/// The guards by name, those that this version does not have among them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawGuards {
    pub(crate) command: Option<Spanned<RawGuard<RawCommand>>>,
    pub(crate) randomx: Option<Spanned<RawGuard<RawRandomx>>>,
    pub(crate) outbound: Option<Spanned<RawGuard<RawOutbound>>>,
    pub(crate) egress: Option<Spanned<RawGuard<RawEgress>>>,
    pub(crate) pool: Option<Spanned<RawGuard<RawPool>>>,
    pub(crate) inbound: Option<Spanned<RawGuard<RawInbound>>>,
    pub(crate) file: Option<Spanned<IgnoredAny>>,
}

impl RawGuards {
    /// What is planned and not there yet: name and line.
    pub(crate) fn later(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let later = [("file", &self.file)];
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

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawEgress {
    pub(crate) mode: Option<Mode>,
    pub(crate) response: Option<Response>,
    pub(crate) policy: Option<Spanned<EgressPolicy>>,
    pub(crate) allow: Option<Vec<Spanned<String>>>,
    pub(crate) always: Option<Vec<Spanned<String>>>,
    pub(crate) never: Option<Vec<Spanned<String>>>,
    pub(crate) ban_lists: Option<Spanned<Vec<String>>>,
    pub(crate) never_banned: Option<Spanned<Vec<Spanned<String>>>>,
    pub(crate) between_workloads: Option<Spanned<Between>>,
    pub(crate) workload_networks: Option<Vec<Spanned<String>>>,
    pub(crate) resolvers: Option<Spanned<Vec<Spanned<String>>>>,
    pub(crate) widest_ban: Option<Spanned<RawWidest>>,
    pub(crate) may_cut_node: Option<Spanned<bool>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWidest {
    pub(crate) ipv4: Option<u8>,
    pub(crate) ipv6: Option<u8>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawOutbound {
    pub(crate) mode: Option<Mode>,
    pub(crate) response: Option<Response>,
    pub(crate) in_flight: Option<Spanned<u32>>,
    pub(crate) failures: Option<Spanned<u32>>,
    pub(crate) window: Option<Spanned<String>>,
    pub(crate) rate: Option<Spanned<u32>>,
    pub(crate) block: Option<Spanned<String>>,
    pub(crate) reachable: Option<Vec<Spanned<String>>>,
    pub(crate) packet_sockets: Option<Spanned<PacketSockets>>,
    pub(crate) log: Option<Spanned<RawContactLog>>,
    pub(crate) profile: Option<Spanned<OutboundProfile>>,
    pub(crate) unique_destinations: Option<Spanned<u32>>,
    pub(crate) lookback: Option<Spanned<String>>,
}

/// What is kept of first contacts, or `none`.
#[derive(Debug, Clone)]
pub(crate) enum RawContactLog {
    None,
    Kept(RawKept),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawKept {
    pub(crate) keep: Option<Spanned<String>>,
    pub(crate) max: Option<Spanned<String>>,
}

/// As [`RawGuard`], for the sake of its errors.
impl<'de> Deserialize<'de> for RawContactLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawContactLog;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("none, or how much is kept, such as {keep: 7d, max: 256MiB}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawContactLog, E> {
                match text {
                    "none" => Ok(RawContactLog::None),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawContactLog, A::Error> {
                RawKept::deserialize(MapAccessDeserializer::new(map)).map(RawContactLog::Kept)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPool {
    pub(crate) mode: Option<Mode>,
    pub(crate) response: Option<Response>,
    pub(crate) domains: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawInbound {
    pub(crate) mode: Option<Mode>,
    pub(crate) interfaces: Option<Vec<Spanned<String>>>,
    pub(crate) attach: Option<Spanned<Attach>>,
    pub(crate) failures: Option<Spanned<u32>>,
    pub(crate) profile: Option<Spanned<InboundProfile>>,
    pub(crate) ports: Option<Spanned<u32>>,
    pub(crate) within: Option<Spanned<String>>,
    pub(crate) memory: Option<Spanned<String>>,
    pub(crate) ban: Option<Spanned<String>>,
    pub(crate) longest_ban: Option<Spanned<String>>,
    pub(crate) soft_ban: Option<Spanned<String>>,
    pub(crate) sources: Option<Spanned<u32>>,
    pub(crate) most_bans: Option<Spanned<u32>>,
    pub(crate) ban_rate: Option<Spanned<u32>>,
    pub(crate) ipv6_prefix: Option<Spanned<u8>>,
    pub(crate) never: Option<Vec<Spanned<String>>>,
    pub(crate) ban_private: Option<Spanned<bool>>,
    pub(crate) cut_replies: Option<Spanned<bool>>,
    pub(crate) outputs: Option<Vec<Spanned<RawOutput>>>,
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
    pub(crate) scanblocker: Option<Spanned<String>>,
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
