//! What settings name workloads by: the path of the cgroup, which the kernel decides, or what runtimes call them.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};
use hayward_model::Workload;

use crate::{
    labels::LabelSelector,
    raw::{Plain, RawSelector},
};

/// A selector that was understood.
#[derive(Debug, Clone)]
pub(crate) enum Selector {
    /// Real users, wherever they are.
    Users,
    /// Cgroups by a regular expression over the whole path, and what is below them.
    Path(String),
    /// Containers and pods by what runtimes tell of them.
    Name(Box<NameSelector>),
}

/// What a runtime must have told; all of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameSelector {
    namespace: Option<GlobMatcher>,
    image: Option<GlobMatcher>,
    labels: Option<LabelSelector>,
}

/// Names of container cgroups of Docker, containerd, CRI-O, Podman, Kubernetes, LXC and systemd-nspawn, by driver. Only a
/// component that is an id alone, below whatever parent a runtime was given, is counted out: a DFA that counts to 64 at
/// every place where an id could begin has no bounded size.
const CONTAINERS: [&str; 11] = [
    r".*/[0-9a-f]{64}",
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

const MAPPINGS: &str =
    "{unit: glob}, {user: id}, or one or more of {namespace: glob, labels: selector, image: glob}";

impl Selector {
    /// Reads one. The error is a sentence.
    pub(crate) fn parse(raw: &RawSelector) -> Result<Self, String> {
        match raw {
            RawSelector::Word(word) => match word.as_str() {
                "containers" => Ok(Self::containers()),
                "users" => Ok(Self::Users),
                glob if glob.starts_with('/') => Ok(Self::Path(with_below(&glob_regex(glob)))),
                other => Err(format!(
                    "`{other}` selects nothing; write containers, users, a cgroup glob that starts with /, or a mapping: {MAPPINGS}"
                )),
            },
            RawSelector::Keyed(keys) => Self::keyed(keys),
        }
    }

    /// All containers.
    pub(crate) fn containers() -> Self {
        Self::Path(with_below(&CONTAINERS.join("|")))
    }

    fn keyed(keys: &BTreeMap<String, Plain>) -> Result<Self, String> {
        if let (Some((key, Plain(value))), 1) = (keys.iter().next(), keys.len()) {
            match key.as_str() {
                "unit" => return Ok(Self::Path(with_below(&format!(".*/{}", component(value))))),
                "user" => {
                    let id: u32 = value.parse().map_err(|_| {
                        format!("`user: {value}` is no user's number; `id -u {value}` prints it")
                    })?;
                    let slice = format!("/user\\.slice/user-{id}\\.slice");
                    return Ok(Self::Path(with_below(&slice)));
                }
                _ => {}
            }
        }
        let mut selector = NameSelector::default();
        for (key, Plain(value)) in keys {
            let empty = value.is_empty();
            match key.as_str() {
                _ if empty => return Err(format!("`{key}` is empty, and selects nothing")),
                "namespace" => selector.namespace = Some(glob(key, value)?),
                "image" => selector.image = Some(glob(key, value)?),
                "labels" => selector.labels = Some(LabelSelector::parse(value)?),
                "unit" | "user" => {
                    return Err(format!(
                        "`{key}` cannot stand beside other keys; write {MAPPINGS}"
                    ));
                }
                _ => {
                    return Err(format!(
                        "nothing can be selected by `{key}`; write {MAPPINGS}"
                    ));
                }
            }
        }
        if keys.is_empty() {
            return Err(format!("the selector is empty; write {MAPPINGS}"));
        }
        Ok(Self::Name(Box::new(selector)))
    }
}

impl NameSelector {
    /// Whether a workload is meant. What no runtime told is not.
    pub(crate) fn matches(&self, workload: &Workload) -> bool {
        let globbed = |glob: &Option<GlobMatcher>, text: &Option<String>| match (glob, text) {
            (None, _) => true,
            (Some(glob), Some(text)) => glob.is_match(text),
            (Some(_), None) => false,
        };
        let labels = self.labels.as_ref();
        globbed(&self.namespace, &workload.namespace)
            && globbed(&self.image, &workload.image)
            && labels.is_none_or(|labels| labels.matches(&workload.labels))
    }
}

/// `*` is any text, with slashes in it too.
fn glob(key: &str, text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{key}: {text}` is no glob: {}", error.kind()))
}

/// What is below a cgroup comes with it.
pub(crate) fn with_below(regex: &str) -> String {
    format!("(?s:(?:{regex})(?:/.*)?)")
}

/// `/a/**` is everything below `/a`; `*` and `?` stay within a component. A glob without `**` at its end is the
/// cgroup itself and everything below it.
pub(crate) fn glob_regex(glob: &str) -> String {
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

    fn keyed(pairs: &[(&str, &str)]) -> Result<Selector, String> {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(key, value)| ((*key).to_owned(), Plain((*value).to_owned())));
        Selector::parse(&RawSelector::Keyed(pairs.collect()))
    }

    #[test]
    fn all_that_a_selector_names_must_have_been_told() {
        let selector = keyed(&[
            ("namespace", "user-*"),
            ("image", "quay.io/*/notebook:?"),
            ("labels", "component=singleuser-server"),
        ]);
        let Ok(Selector::Name(selector)) = selector else {
            panic!("{selector:?}");
        };
        let label = ("component".to_owned(), "singleuser-server".to_owned());
        let whole = Workload {
            namespace: Some("user-ada".to_owned()),
            image: Some("quay.io/jupyter/base/notebook:1".to_owned()),
            labels: [label].into(),
            ..Workload::default()
        };
        assert!(selector.matches(&whole));
        let (mut image, mut namespace, mut labels) = (whole.clone(), whole.clone(), whole);
        image.image = Some("quay.io/jupyter/notebook:12".to_owned());
        namespace.namespace = None;
        labels.labels.clear();
        for other in [image, namespace, labels] {
            assert!(!selector.matches(&other), "{other:?}");
        }
    }

    #[test]
    fn what_selects_nothing_is_refused_and_says_what_would() {
        for (pairs, expected) in [
            (&[][..], "the selector is empty"),
            (
                &[("unit", "a"), ("image", "b")],
                "`unit` cannot stand beside",
            ),
            (&[("pod", "a")], "nothing can be selected by `pod`"),
            (&[("namespace", "")], "`namespace` is empty"),
            (&[("image", "a[")], "`image: a[` is no glob"),
            (&[("user", "ada")], "`id -u ada` prints it"),
            (&[("labels", "a in b)")], "parenthesis"),
        ] {
            let error = keyed(pairs).expect_err("refused");
            assert!(error.contains(expected), "{error}");
        }
    }
}
