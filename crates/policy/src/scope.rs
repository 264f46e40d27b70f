//! Which cgroups the guards may act in, as an ordered list of patterns over whole cgroup paths: the first that matches
//! counts. The agent asks the same table as the kernel, so both always agree.

use hayward_model::ScopePolicy;
use hayward_rules::table::{ScopeTable, check_scope, layout::SCOPE_PATH};

use crate::raw::RawSelector;

/// The compiled scope.
#[derive(Debug, Clone)]
pub struct ScopeRules {
    table: ScopeTable,
    general: ScopePolicy,
    overrides: Vec<ScopePolicy>,
    users: bool,
}

/// Names of container cgroups of Docker, containerd, CRI-O, Podman, Kubernetes, LXC and systemd-nspawn, by driver. Ids
/// are not counted out: a DFA that counts to 64 at every place where an id could begin has no bounded size.
const CONTAINERS: [&str; 10] = [
    r".*/(docker|libpod|crio|cri-containerd|nerdctl|buildkit)-[0-9a-f]+\.scope",
    r".*/(docker|moby|buildkit)/[0-9a-f]+",
    r".*/docker/buildkit/[^/]+",
    r".*/libpod_parent/libpod-[0-9a-f]+",
    r".*/(libpod|crio)-[0-9a-f]+",
    r".*/kubepods[^/]*",
    r".*/k8s\.io/[^/]+",
    r".*/lxc\.payload\.[^/]+",
    r".*/lxc/[^/]+",
    r".*/machine\.slice/machine-[^/]+\.scope",
];

/// Processes of the runtimes themselves, which stand beside containers and are never in scope. Only where the system
/// puts them: below a container or a user's slice, anybody could make a cgroup of such a name.
const RUNTIMES: [&str; 4] = [
    r"/system\.slice/(docker|containerd|crio|cri-o|kubelet|podman|k3s|rke2-server|rke2-agent|hayward)\.(service|socket)",
    r"/(kubelet|runtime)\.slice",
    r"(/machine\.slice|/libpod_parent)?/(libpod|crio)-conmon-[^/]+",
    r"/kubepods[^/]*(/besteffort|/burstable|/[^/]*pod[^/]*)*/crio-conmon-[^/]+",
];

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
        let mut patterns: Vec<(String, ScopePolicy)> = Vec::new();
        for selector in exclude {
            patterns.extend(regex(selector)?.map(|regex| (regex, ScopePolicy::EXCLUDED)));
        }
        let root = glob_regex(cgroup_root);
        let runtimes = with_below(&format!("(?:{root})?(?:{})", RUNTIMES.join("|")));
        patterns.push((runtimes, ScopePolicy::EXCLUDED));
        for (selector, policy) in overrides {
            patterns.extend(regex(selector)?.map(|regex| (regex, *policy)));
        }
        for selector in include {
            patterns.extend(regex(selector)?.map(|regex| (regex, general)));
        }
        Ok(Self {
            table: ScopeTable::compile(&patterns)?,
            general,
            overrides: overrides.iter().map(|(_, policy)| *policy).collect(),
            users: include.iter().any(is_users),
        })
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

    /// The policy of a cgroup by its path below the cgroup root file system.
    pub fn classify(&self, path: &str) -> ScopePolicy {
        let mut path = path.as_bytes();
        while path.len() > SCOPE_PATH {
            let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            path = &path[..parent];
        }
        self.table.policy(path)
    }
}

/// Says what is wrong with one selector by itself.
pub(crate) fn check(selector: &RawSelector) -> Result<(), String> {
    match regex(selector)? {
        Some(regex) => check_scope(&regex)
            .map_err(|reason| format!("the selector cannot be judged in the kernel: {reason}")),
        None => Ok(()),
    }
}

fn is_users(selector: &RawSelector) -> bool {
    matches!(selector, RawSelector::Word(word) if word == "users")
}

/// What is below a cgroup comes with it.
fn with_below(regex: &str) -> String {
    format!("(?s:(?:{regex})(?:/.*)?)")
}

/// A pattern for the cgroups that a selector names, and for what is below them; none for `users`.
fn regex(selector: &RawSelector) -> Result<Option<String>, String> {
    match selector {
        RawSelector::Word(word) => match word.as_str() {
            "containers" => Ok(Some(with_below(&CONTAINERS.join("|")))),
            "users" => Ok(None),
            glob if glob.starts_with('/') => Ok(Some(with_below(&glob_regex(glob)))),
            other => Err(format!(
                "`{other}` selects nothing; write containers, users, a cgroup glob that starts with /, or {{unit: glob}}"
            )),
        },
        RawSelector::Keyed(keys) => match keys.iter().next() {
            Some((key, glob)) if key == "unit" && keys.len() == 1 => {
                Ok(Some(with_below(&format!(".*/{}", component(glob)))))
            }
            Some((key, _)) if ["namespace", "labels", "user", "image"].contains(&key.as_str()) => {
                Err(format!(
                    "this version decides scope by cgroup alone and cannot select by `{key}`; write a cgroup glob or {{unit: glob}}"
                ))
            }
            _ => Err("a selector has one key, `unit`".to_owned()),
        },
    }
}

/// `/a/**` is everything below `/a`; `*` and `?` stay within a component. A glob without `**` at its end is the
/// cgroup itself and everything below it.
fn glob_regex(glob: &str) -> String {
    let mut regex = String::new();
    let open_ended = glob.strip_suffix("/**");
    for part in open_ended.unwrap_or(glob).split('/').skip(1) {
        if part == "**" {
            regex.push_str("(/[^/]+)*");
        } else if !part.is_empty() {
            regex.push('/');
            regex.push_str(&component(part));
        }
    }
    if open_ended.is_some() {
        format!("{regex}/[^/]+")
    } else {
        regex
    }
}

fn component(glob: &str) -> String {
    let mut regex = String::new();
    for character in glob.chars() {
        match character {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            // A backslash gives letters, digits and angle brackets a meaning, and is refused before what is no ASCII.
            c if c.is_ascii_punctuation() && !"<>".contains(c) => regex.extend(['\\', c]),
            c => regex.push(c),
        }
    }
    regex
}

#[cfg(test)]
mod tests;
