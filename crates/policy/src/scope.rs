//! Which cgroups the guards may act in, as an ordered list of selectors: the first that matches counts. Patterns over
//! whole cgroup paths are decided in the kernel, from the first process on; the agent asks the same table. What needs a
//! name that only a runtime tells is decided by the agent, once the name is known.

use hayward_model::{ScopePolicy, Workload};
use hayward_rules::table::{ScopeTable, check_scope, layout::SCOPE_PATH};

use crate::{
    raw::RawSelector,
    selector::{NameSelector, Selector, glob_regex, with_below},
};

/// The compiled scope.
#[derive(Debug, Clone)]
pub struct ScopeRules {
    table: ScopeTable,
    /// In the order in which they are tried.
    entries: Vec<Entry>,
    /// By place in the table, the entry that a pattern stands for.
    patterns: Vec<usize>,
    general: ScopePolicy,
    overrides: Vec<ScopePolicy>,
    users: bool,
    /// Some entry needs names.
    by_name: bool,
}

/// One selector, and what holds where it matches.
#[derive(Debug, Clone)]
struct Entry {
    origin: Origin,
    policy: ScopePolicy,
    /// None where the kernel's table has a pattern for it.
    name: Option<NameSelector>,
}

/// Where in the settings it is decided what the guards may do in a cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This selector of `scope.exclude`.
    Exclude(String),
    /// It is a container runtime's own, which is never acted on.
    Runtime,
    /// This override, counted from 1, and its selector.
    Override(usize, String),
    /// This selector of `scope.include`.
    Include(String),
    /// `scope.include` needs names, and this container's are not known yet.
    Unnamed,
    /// Nothing selects it.
    Nothing,
}

/// What the guards may do in a cgroup, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What they may do.
    pub policy: ScopePolicy,
    /// What decided.
    pub origin: Origin,
}

/// Processes of the runtimes themselves, which stand beside containers and are never in scope. Only where the system
/// puts them: below a container or a user's slice, anybody could make a cgroup of such a name.
const RUNTIMES: [&str; 4] = [
    r"/system\.slice/(docker|containerd|crio|cri-o|kubelet|podman|k3s|rke2-server|rke2-agent|hayward)\.(service|socket)",
    r"/(kubelet|runtime)\.slice",
    r"(/machine\.slice|/libpod_parent)?/(libpod|crio)-conmon-[^/]+",
    r"/kubepods[^/]*(/besteffort|/burstable|/[^/]*pod[^/]*)*/crio-conmon-[^/]+",
];

/// A selector as settings have it, and its text.
type Written<'a> = (&'a RawSelector, Selector);

impl ScopeRules {
    /// Compiles selectors. `overrides` come before `include`; `exclude` comes before both. The runtimes' services are
    /// looked for in the host's root and in `cgroup_root`.
    pub(crate) fn compile(
        include: &[RawSelector],
        exclude: &[RawSelector],
        overrides: &[(RawSelector, ScopePolicy)],
        general: ScopePolicy,
        cgroup_root: &str,
    ) -> Result<Self, String> {
        let mut building = Building::default();
        for (raw, selector) in parsed(exclude)? {
            let origin = Origin::Exclude(raw.to_string());
            building.add(origin, selector, ScopePolicy::EXCLUDED);
        }
        let root = glob_regex(cgroup_root);
        let runtimes = with_below(&format!("(?:{root})?(?:{})", RUNTIMES.join("|")));
        let runtimes = Selector::Path(runtimes);
        building.add(Origin::Runtime, runtimes, ScopePolicy::EXCLUDED);
        for (index, (raw, policy)) in overrides.iter().enumerate() {
            let origin = Origin::Override(index + 1, raw.to_string());
            building.add(origin, Selector::parse(raw)?, *policy);
        }
        let include = parsed(include)?;
        let users = include
            .iter()
            .any(|(_, selector)| matches!(selector, Selector::Users));
        let by_name = |(_, selector): &Written<'_>| matches!(selector, Selector::Name(_));
        let include_by_name = include.iter().any(by_name);
        for (raw, selector) in include {
            building.add(Origin::Include(raw.to_string()), selector, general);
        }
        if include_by_name {
            building.add(Origin::Unnamed, Selector::containers(), general);
        }
        let Building {
            entries,
            patterns,
            table,
        } = building;
        Ok(Self {
            table: ScopeTable::compile(&table)?,
            by_name: entries.iter().any(|entry| entry.name.is_some()),
            entries,
            patterns,
            general,
            overrides: overrides.iter().map(|(_, policy)| *policy).collect(),
            users,
        })
    }

    /// Puts other policies in the place of those that there are.
    pub(crate) fn change(&mut self, policy_of: impl Fn(ScopePolicy) -> ScopePolicy) {
        for entry in &mut self.entries {
            entry.policy = policy_of(entry.policy);
        }
        for policy in &mut self.overrides {
            *policy = policy_of(*policy);
        }
        self.general = policy_of(self.general);
        self.table.change(policy_of);
    }

    /// The table, for the kernel.
    pub fn table(&self) -> &ScopeTable {
        &self.table
    }

    /// The policy where no override says anything else.
    pub fn general(&self) -> ScopePolicy {
        self.general
    }

    /// The policies of the overrides, in order.
    pub fn overrides(&self) -> &[ScopePolicy] {
        &self.overrides
    }

    /// Real users are in scope wherever nothing excludes them.
    pub fn users(&self) -> bool {
        self.users
    }

    /// Whether anything depends on what runtimes tell.
    pub fn is_by_name(&self) -> bool {
        self.by_name
    }

    /// What holds for a cgroup by its path below the cgroup file system, as the kernel decides it.
    pub fn by_path(&self, path: &str) -> Decision {
        self.nth(self.pattern(path))
    }

    /// What holds for a cgroup by its path, and by what runtimes told of the workload that it belongs to. What a name
    /// decided, what is below comes with, and the policy says so.
    pub fn by_name(&self, path: &str, named: &Workload) -> Decision {
        let by_path = self.pattern(path);
        let before = by_path.unwrap_or(self.entries.len());
        let matches = |entry: &Entry| entry.name.as_ref().is_some_and(|name| name.matches(named));
        let by_name = self.entries[..before].iter().position(matches);
        let mut decision = self.nth(by_name.or(by_path));
        if decision.origin == Origin::Unnamed {
            decision = Decision {
                policy: ScopePolicy::OUT.named(),
                origin: Origin::Nothing,
            };
        } else if by_name.is_some() {
            decision.policy = decision.policy.named();
        }
        decision
    }

    /// The first entry with a pattern that accepts a path.
    fn pattern(&self, path: &str) -> Option<usize> {
        let mut path = path.as_bytes();
        while path.len() > SCOPE_PATH {
            let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            path = &path[..parent];
        }
        let pattern = self.table.first(path)?;
        self.patterns.get(pattern).copied()
    }

    fn nth(&self, entry: Option<usize>) -> Decision {
        let entry = entry.and_then(|entry| self.entries.get(entry));
        entry.map_or(
            Decision {
                policy: ScopePolicy::OUT,
                origin: Origin::Nothing,
            },
            |entry| Decision {
                policy: entry.policy,
                origin: entry.origin.clone(),
            },
        )
    }
}

/// Entries, and patterns for the kernel's table.
#[derive(Default)]
struct Building {
    entries: Vec<Entry>,
    patterns: Vec<usize>,
    table: Vec<(String, ScopePolicy)>,
}

impl Building {
    fn add(&mut self, origin: Origin, selector: Selector, policy: ScopePolicy) {
        let name = match selector {
            // Wherever they are: no cgroup is theirs.
            Selector::Users => return,
            Selector::Path(regex) => {
                // The first counts, and a kernel's table has room for 4,096.
                if self.table.iter().any(|(earlier, _)| *earlier == regex) {
                    return;
                }
                self.table.push((regex, policy));
                self.patterns.push(self.entries.len());
                None
            }
            Selector::Name(name) => Some(*name),
        };
        self.entries.push(Entry {
            origin,
            policy,
            name,
        });
    }
}

fn parsed(raw: &[RawSelector]) -> Result<Vec<Written<'_>>, String> {
    raw.iter()
        .map(|raw| Ok((raw, Selector::parse(raw)?)))
        .collect()
}

/// Cgroups of the host's own services, of which nobody names the second by chance.
const HOSTS_OWN: [&str; 3] = [
    "/system.slice",
    "/system.slice/no-such-service.service",
    "/init.scope",
];

/// Whether a selector takes in the host's own services, and not one that it names.
pub(crate) fn takes_in_the_host(selector: &RawSelector) -> bool {
    let Ok(Selector::Path(regex)) = Selector::parse(selector) else {
        return false;
    };
    let table = ScopeTable::compile(&[(regex, ScopePolicy::EXCLUDED)]);
    table.is_ok_and(|table| {
        let mut paths = HOSTS_OWN.iter();
        paths.any(|path| table.first(path.as_bytes()).is_some())
    })
}

/// Says what is wrong with one selector by itself.
pub(crate) fn check(selector: &RawSelector) -> Result<(), String> {
    match Selector::parse(selector)? {
        Selector::Path(regex) => check_scope(&regex)
            .map_err(|reason| format!("the selector cannot be judged in the kernel: {reason}")),
        Selector::Users | Selector::Name(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
