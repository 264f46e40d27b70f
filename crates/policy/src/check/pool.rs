//! Settings of the guard `pool`.

use std::collections::BTreeSet;

use hayward_model::{Guard, Mode, Response};
use hayward_yaml::{Spanned, line_of};

use super::Checker;
use crate::{
    PoolSettings,
    pool::{domain, known},
    raw::RawPool,
};

/// The size of the kernel's map.
const MOST_DOMAINS: usize = 16_384;

impl Checker {
    pub(super) fn pool(&mut self, raw: RawPool) -> PoolSettings {
        PoolSettings {
            enabled: true,
            mode: raw.mode.unwrap_or(Mode::Enforce),
            response: raw.response.unwrap_or(Response::Deny),
            domains: raw
                .domains
                .map_or_else(known, |domains| self.domains(domains.value)),
        }
    }

    fn domains(&mut self, raw: Vec<Spanned<String>>) -> BTreeSet<String> {
        let mut domains = BTreeSet::new();
        for text in raw {
            if text.value == "builtin" {
                domains.append(&mut known());
            } else {
                domains.extend(self.checked(line_of(&text), domain(&text.value)));
            }
        }
        let message = format!("`domains` are more than the {MOST_DOMAINS} that the kernel holds");
        let is_held = domains.len() <= MOST_DOMAINS;
        self.checked(0, if is_held { Ok(()) } else { Err(message) });
        domains
    }

    pub(super) fn overridden_pool(
        &mut self,
        general: PoolSettings,
        raw: RawPool,
        line: usize,
    ) -> PoolSettings {
        let lines = [("domains", raw.domains.as_ref().map(line_of))];
        self.refuse_override(Guard::Pool, general.enabled, line, &lines);
        PoolSettings {
            mode: raw.mode.unwrap_or(general.mode),
            response: raw.response.unwrap_or(general.response),
            ..general
        }
    }
}

/// Off, and what holds where nothing else is set.
pub(super) fn no_pool() -> PoolSettings {
    PoolSettings {
        enabled: false,
        mode: Mode::Observe,
        response: Response::Observe,
        domains: known(),
    }
}
