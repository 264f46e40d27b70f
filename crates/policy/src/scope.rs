//! Which cgroups the guards may act in, as an ordered list of patterns over whole cgroup paths: the first that matches
//! counts. The kernel compiles the same list, so both always agree.

use hayward_model::Mode;
use regex_automata::{meta::Regex, util::syntax};

use crate::raw::RawSelector;

/// What the guards may do in a scope. Index 0 is "out of scope".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopePolicy {
    /// The `command` guard's mode.
    pub command: Mode,
}

/// The compiled scope.
#[derive(Debug, Clone)]
pub struct ScopeRules {
    patterns: Vec<(String, u16)>,
    policies: Vec<Option<ScopePolicy>>,
    users: bool,
    regex: Regex,
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

/// Processes of the runtimes themselves, which stand beside containers and are never in scope.
const RUNTIMES: [&str; 3] = [
    r".*/(libpod|crio)-conmon-[^/]+",
    r".*/system\.slice/(docker|containerd|crio|cri-o|kubelet|podman|k3s|rke2-server|rke2-agent|hayward)\.(service|socket)",
    r".*/(kubelet|runtime)\.slice(/[^/]+)?",
];

impl ScopeRules {
    /// Compiles selectors. `overrides` come before `include`; `exclude` comes before both.
    pub(crate) fn compile(
        include: &[RawSelector],
        exclude: &[RawSelector],
        overrides: &[(RawSelector, Mode)],
        default: Mode,
    ) -> Result<Self, String> {
        let mut patterns: Vec<(String, u16)> = Vec::new();
        for selector in exclude {
            patterns.extend(regexes(selector)?.into_iter().map(|regex| (regex, 0)));
        }
        patterns.extend(RUNTIMES.iter().map(|regex| ((*regex).to_owned(), 0)));
        let mut policies = vec![None, Some(ScopePolicy { command: default })];
        let mut included = Vec::new();
        for selector in include {
            included.extend(regexes(selector)?);
        }
        for (selector, mode) in overrides {
            let index = u16::try_from(policies.len()).unwrap_or(u16::MAX);
            policies.push(Some(ScopePolicy { command: *mode }));
            patterns.extend(regexes(selector)?.into_iter().map(|regex| (regex, index)));
        }
        patterns.extend(included.into_iter().map(|regex| (regex, 1)));
        let patterns = join(&patterns);
        let whole: Vec<_> = patterns
            .iter()
            .map(|(regex, _)| format!("^(?:{regex})$"))
            .collect();
        // Over bytes, as the kernel's: a path need not be UTF-8, and `?` must not mean two things.
        let regex = Regex::builder()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .configure(Regex::config().utf8_empty(false))
            .build_many(&whole)
            .map_err(|error| error.to_string())?;
        let users = include.iter().any(is_users);
        Ok(Self {
            patterns,
            policies,
            users,
            regex,
        })
    }

    /// Patterns over whole paths with their policy, for the kernel.
    pub fn patterns(&self) -> &[(String, u16)] {
        &self.patterns
    }

    /// Policies by index; none is "out of scope".
    pub fn policies(&self) -> &[Option<ScopePolicy>] {
        &self.policies
    }

    /// Real users are in scope wherever they are.
    pub fn users(&self) -> bool {
        self.users
    }

    /// The policy of a cgroup by its path below the cgroup root file system, 0 for none.
    pub fn classify(&self, path: &str) -> u16 {
        self.regex_first(path)
            .map_or(0, |first| self.patterns[first].1)
    }

    fn regex_first(&self, path: &str) -> Option<usize> {
        // An alternation of anchored patterns prefers the first; asking for each keeps that independent of the engine.
        let mut set = regex_automata::PatternSet::new(self.patterns.len());
        self.regex
            .which_overlapping_matches(&regex_automata::Input::new(path), &mut set);
        set.iter().map(|pattern| pattern.as_usize()).min()
    }
}

/// Says what is wrong with one selector by itself.
pub(crate) fn check(selector: &RawSelector) -> Result<(), String> {
    regexes(selector).map(|_| ())
}

fn is_users(selector: &RawSelector) -> bool {
    matches!(selector, RawSelector::Word(word) if word == "users")
}

/// One pattern for each run of patterns with the same policy, for the cgroups that match and everything below them.
/// Joined before "and everything below", they cost a DFA one more state each, and not twice the states.
fn join(patterns: &[(String, u16)]) -> Vec<(String, u16)> {
    patterns
        .chunk_by(|one, other| one.1 == other.1)
        .map(|run| {
            let regexes: Vec<_> = run.iter().map(|(regex, _)| regex.as_str()).collect();
            (format!("(?:{})(?:/.*)?", regexes.join("|")), run[0].1)
        })
        .collect()
}

/// Patterns for the cgroups that a selector names; what is below them comes with them.
fn regexes(selector: &RawSelector) -> Result<Vec<String>, String> {
    match selector {
        RawSelector::Word(word) => match word.as_str() {
            "containers" => Ok(CONTAINERS.iter().map(|regex| (*regex).to_owned()).collect()),
            "users" => Ok(Vec::new()),
            glob if glob.starts_with('/') => Ok(vec![glob_regex(glob)]),
            other => Err(format!(
                "`{other}` selects nothing; write containers, users, a cgroup glob that starts with /, or {{unit: glob}}"
            )),
        },
        RawSelector::Keyed(keys) => match keys.iter().next() {
            Some((key, glob)) if key == "unit" && keys.len() == 1 => {
                Ok(vec![format!(".*/{}", component(glob))])
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
mod tests {
    use super::*;
    use hayward_rules::table::{scope_policy, scope_words};
    use proptest::{collection::vec, prelude::*};

    fn scope(include: &[&str], exclude: &[&str]) -> ScopeRules {
        let words = |words: &[&str]| -> Vec<RawSelector> {
            words
                .iter()
                .map(|word| RawSelector::Word((*word).to_owned()))
                .collect()
        };
        ScopeRules::compile(&words(include), &words(exclude), &[], Mode::Enforce).expect("a scope")
    }

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn containers_of_every_runtime_are_in_scope_and_runtimes_are_not() {
        let scope = scope(&["containers"], &[]);
        for path in [
            format!("/system.slice/docker-{ID}.scope"),
            format!("/docker/{ID}"),
            format!("/docker/{ID}/init"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-{ID}.scope"
            ),
            format!("/kubepods/besteffort/pod0c8e/{ID}"),
            format!("/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope"),
            format!("/kubelet/kubepods/burstable/pod1/{ID}"),
            format!("/machine.slice/libpod-{ID}.scope"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
            format!("/k8s.io/{ID}"),
            "/lxc.payload.web/system.slice/x.service".to_owned(),
            "/machine.slice/machine-deb.scope".to_owned(),
            format!("/docker/{ID}/kubepods/besteffort/pod1/{ID}"),
        ] {
            assert_eq!(scope.classify(&path), 1, "{path}");
        }
        for path in [
            "/".to_owned(),
            "/system.slice/docker.service".to_owned(),
            "/system.slice/containerd.service".to_owned(),
            "/system.slice/ssh.service".to_owned(),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            "/kubelet.slice/kubelet.service".to_owned(),
            "/user.slice/user-1000.slice/session-1.scope".to_owned(),
            "/init.scope".to_owned(),
        ] {
            assert_eq!(scope.classify(&path), 0, "{path}");
        }
    }

    #[test]
    fn globs_exclusions_and_overrides_are_tried_in_order() {
        let selector = |text: &str| RawSelector::Word(text.to_owned());
        let scope = ScopeRules::compile(
            &[selector("/ci.slice/**"), selector("/one")],
            &[selector("/ci.slice/trusted")],
            &[(selector("/ci.slice/new/**"), Mode::Observe)],
            Mode::Enforce,
        )
        .expect("a scope");
        for (path, policy) in [
            ("/ci.slice/a", 1),
            ("/ci.slice/a/b", 1),
            ("/ci.slice", 0),
            ("/ci.slice/trusted", 0),
            ("/ci.slice/trusted/x", 0),
            ("/ci.slice/new/x", 2),
            ("/ci.slice/new", 1),
            ("/one", 1),
            ("/one/x", 1),
            ("/onex", 0),
        ] {
            assert_eq!(scope.classify(path), policy, "{path}");
        }
        assert_eq!(
            scope.policies()[2],
            Some(ScopePolicy {
                command: Mode::Observe
            })
        );
    }

    #[test]
    fn globs_mean_what_they_say_whatever_they_hold() {
        for (glob, inside, outside) in [
            ("/a<b>", "/a<b>", "/ab"),
            ("/a b-c", "/a b-c", "/a b"),
            ("/é–x*", "/é–x1", "/é-x"),
            ("/a??", "/aé", "/aéé"),
            (r"/a\x2d", r"/a\x2d", "/a-"),
        ] {
            let scope = scope(&[glob], &[]);
            assert_eq!(scope.classify(inside), 1, "{glob} {inside}");
            assert_eq!(scope.classify(outside), 0, "{glob} {outside}");
        }
    }

    /// The kernel judges by the compiled table, the agent by the regular expressions.
    #[test]
    fn agent_and_kernel_agree_on_damaged_globs_and_paths_and_never_panics() {
        let globs = [
            "/ci.slice/**",
            "/a/*/b?",
            "containers",
            "/system.slice/docker-0a.scope",
            "/user.slice/user-1000.slice/é",
        ];
        let words = ["**", "*", "?", "/", ".scope", "<", ">", "\\", "^", "$", "."];
        let corpus = hayward_fuzz::Corpus::new(globs, words);
        let text = || {
            corpus
                .damaged_text()
                .prop_map(|text| text.chars().take(200).collect())
        };
        let texts = (vec(text(), 1..4), vec(text(), 1..8));
        hayward_fuzz::throw(100, &texts, |(globs, paths): (Vec<String>, Vec<String>)| {
            let selectors: Vec<_> = globs.iter().cloned().map(RawSelector::Word).collect();
            let Ok(scope) = ScopeRules::compile(&selectors, &[], &[], Mode::Enforce) else {
                return Ok(());
            };
            let Ok(table) = scope_words(scope.patterns()) else {
                return Ok(());
            };
            for path in paths.iter().chain(&globs) {
                let by_kernel = scope_policy(&table, path.as_bytes());
                prop_assert_eq!(
                    u32::from(scope.classify(path)),
                    by_kernel,
                    "{} {:?}",
                    path,
                    globs
                );
            }
            Ok(())
        });
    }

    #[test]
    fn what_needs_names_is_refused() {
        let keyed = RawSelector::Keyed([("namespace".to_owned(), "x".to_owned())].into());
        let error = ScopeRules::compile(&[keyed], &[], &[], Mode::Enforce).expect_err("refused");
        assert!(error.contains("namespace"), "{error}");
    }
}
