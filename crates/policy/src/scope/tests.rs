use super::*;
use crate::raw::Plain;
use hayward_model::{Guard, Mode};
use proptest::prelude::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OUT: ScopePolicy = ScopePolicy::OUT;
const EXCLUDED: ScopePolicy = ScopePolicy::EXCLUDED;

fn enforce() -> ScopePolicy {
    ScopePolicy::of(Guard::Command, Mode::Enforce)
}

fn observe() -> ScopePolicy {
    ScopePolicy::of(Guard::Command, Mode::Observe)
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<RawSelector> {
    let words = words.into_iter();
    words
        .map(|word| RawSelector::Word(word.to_owned()))
        .collect()
}

fn scope(include: &[&str], exclude: &[&str], overrides: &[&str]) -> ScopeRules {
    let [include, exclude, overrides] =
        [include, exclude, overrides].map(|list| words(list.iter().copied()));
    let overrides: Vec<_> = overrides.into_iter().map(|s| (s, observe())).collect();
    ScopeRules::compile(&include, &exclude, &overrides, enforce(), "/").expect("a scope")
}

#[test]
fn containers_of_every_runtime_are_in_scope_and_runtimes_are_not() {
    let scope = scope(&["containers"], &[], &[]);
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
        format!("/a-parent-of-ones-own/{ID}"),
        format!("/system.slice/a.service/{ID}/init"),
        "/lxc.payload.web/system.slice/x.service".to_owned(),
        "/machine.slice/machine-deb.scope".to_owned(),
        format!("/docker/{ID}/kubepods/besteffort/pod1/{ID}"),
        // What a container makes below itself does not take it out of scope.
        format!("/docker/{ID}/system.slice/docker.service"),
        format!("/machine.slice/libpod-{ID}.scope/container/runtime.slice/x"),
        format!("/kubepods/besteffort/pod0c8e/{ID}/crio-conmon-x"),
    ] {
        assert_eq!(scope.by_path(&path).policy, enforce(), "{path}");
    }
    for path in [
        "/system.slice/docker.service".to_owned(),
        "/system.slice/containerd.service".to_owned(),
        format!("/machine.slice/libpod-conmon-{ID}.scope"),
        format!("/kubepods.slice/kubepods-pod1.slice/crio-conmon-{ID}.scope"),
        format!("/kubepods/besteffort/pod1/crio-conmon-{ID}"),
        "/kubelet.slice/kubelet.service".to_owned(),
        "/runtime.slice".to_owned(),
    ] {
        assert_eq!(scope.by_path(&path).policy, EXCLUDED, "{path}");
    }
    for path in [
        "/",
        "/system.slice/ssh.service",
        "/user.slice/user-1000.slice/session-1.scope",
        "/init.scope",
        &format!("/a/{}", &ID[1..]),
        &format!("/a/{ID}0"),
        "/user.slice/user-1000.slice/user@1000.service/runtime.slice/x.scope",
    ] {
        assert_eq!(scope.by_path(path).policy, OUT, "{path}");
    }
}

#[test]
fn globs_exclusions_and_overrides_are_tried_in_order() {
    let scope = scope(
        &["/ci.slice/**", "/one"],
        &["/ci.slice/trusted"],
        &["/ci.slice/new/**"],
    );
    for (path, policy) in [
        ("/ci.slice/a", enforce()),
        ("/ci.slice/a/b", enforce()),
        ("/ci.slice", OUT),
        ("/ci.slice/trusted", EXCLUDED),
        ("/ci.slice/trusted/x", EXCLUDED),
        ("/ci.slice/new/x", observe()),
        ("/ci.slice/new", enforce()),
        ("/one", enforce()),
        ("/one/x", enforce()),
        ("/onex", OUT),
    ] {
        assert_eq!(scope.by_path(path).policy, policy, "{path}");
    }
}

fn keyed(pairs: &[(&str, &str)]) -> RawSelector {
    let pairs = pairs.iter();
    let pairs = pairs.map(|(key, value)| ((*key).to_owned(), Plain((*value).to_owned())));
    RawSelector::Keyed(pairs.collect())
}

/// A container of Kubernetes, of this namespace.
fn of_namespace(namespace: &str) -> Workload {
    Workload {
        namespace: Some(namespace.to_owned()),
        ..Workload::default()
    }
}

#[test]
fn what_names_decide_holds_once_they_are_known_and_paths_until_then() {
    let container = format!("/kubepods/pod1/{ID}");
    let [hub, system, staging] = ["hub", "kube-system", "staging"].map(of_namespace);
    let select = |namespace: &str| keyed(&[("namespace", namespace)]);
    let scope = ScopeRules::compile(
        &[RawSelector::Word("containers".to_owned())],
        &[select("kube-*")],
        &[(select("staging"), observe())],
        enforce(),
        "/",
    );
    let scope = scope.expect("a scope");
    assert!(scope.is_by_name());
    let include = Origin::Include("containers".to_owned());
    let by_path = scope.by_path(&container);
    assert_eq!(
        (by_path.policy, by_path.origin),
        (enforce(), include.clone())
    );
    for (named, policy, origin) in [
        (&hub, enforce(), include),
        (
            &system,
            EXCLUDED.named(),
            Origin::Exclude("{namespace: kube-*}".to_owned()),
        ),
        (
            &staging,
            observe().named(),
            Origin::Override(1, "{namespace: staging}".to_owned()),
        ),
    ] {
        let decision = scope.by_name(&container, named);
        assert_eq!((decision.policy, decision.origin), (policy, origin));
    }
    // What settings say of a path before they say anything of a name holds.
    let service = "/system.slice/docker.service";
    assert_eq!(scope.by_name(service, &staging).origin, Origin::Runtime);
}

#[test]
fn where_only_names_include_containers_are_in_until_theirs_are_known() {
    let include = [
        keyed(&[("namespace", "hub")]),
        RawSelector::Word("/ci".to_owned()),
    ];
    let scope = ScopeRules::compile(&include, &[], &[], enforce(), "/").expect("a scope");
    let container = format!("/docker/{ID}");
    let decision = scope.by_path(&container);
    assert_eq!(
        (decision.policy, decision.origin),
        (enforce(), Origin::Unnamed)
    );
    let hub = scope.by_name(&container, &of_namespace("hub"));
    assert_eq!(hub.policy, enforce().named());
    let other = scope.by_name(&container, &of_namespace("other"));
    assert_eq!((other.policy, other.origin), (OUT.named(), Origin::Nothing));
    // No container, and selected by its path.
    assert_eq!(
        scope.by_name("/ci/1", &of_namespace("other")).policy,
        enforce()
    );
    assert_eq!(scope.by_path("/elsewhere").policy, OUT);
}

#[test]
fn a_path_too_long_for_the_kernel_falls_under_its_parents_policy() {
    let scope = scope(&["/a/**"], &["/**/end"], &[]);
    let parent = format!("/a/{}", "x".repeat(SCOPE_PATH - 10));
    assert_eq!(scope.by_path(&format!("{parent}/end")).policy, EXCLUDED);
    let parent = format!("/a/{}", "x".repeat(SCOPE_PATH - 5));
    assert_eq!(scope.by_path(&format!("{parent}/end")).policy, enforce());
    assert_eq!(
        scope.by_path(&format!("{parent}/y/z/end")).policy,
        enforce()
    );
}

#[test]
fn what_operators_write_fits_the_kernels_smaller_tables() {
    for include in [
        vec!["containers", "/ci.slice/**"],
        vec![
            "containers",
            "users",
            "/**/ci-*/**",
            "/**/build/**/job-?/**",
        ],
    ] {
        scope(&include, &["/ci.slice/trusted", "/**/trusted-*/**"], &[]);
    }
    let globs = |kind: &str, count: usize| -> Vec<String> {
        (0..count)
            .map(|number| match number % 5 {
                0 => format!("/**/{kind}-runner-{number}*/**"),
                1 => format!("/kubepods.slice/**/{kind}{number}-*.scope"),
                2 => format!("/**/*{kind}*{number}*/**"),
                3 => format!("/**/{kind}-{number}/**/job-*/**/step-?"),
                _ => format!("/{kind}.slice/{kind}-team{number}.slice/**"),
            })
            .collect()
    };
    let (include, exclude, overrides) = (globs("ci", 50), globs("trusted", 20), globs("new", 20));
    let text = |list: &[String]| -> Vec<RawSelector> { words(list.iter().map(String::as_str)) };
    let mut include = text(&include);
    include.extend(words(["containers", "users"]));
    let overrides: Vec<_> = text(&overrides)
        .into_iter()
        .map(|selector| (selector, observe()))
        .collect();
    let scope = ScopeRules::compile(&include, &text(&exclude), &overrides, enforce(), "/");
    let scope = scope.expect("a scope");
    let bytes = scope.table().words().len() * 4;
    assert!(bytes < 1 << 20, "{bytes} bytes");
    assert_eq!(scope.by_path("/a/trusted-runner-0x/b").policy, EXCLUDED);
    assert_eq!(scope.by_path("/a/ci-3/b/job-1/step-x/y").policy, enforce());
    assert_eq!(scope.by_path("/a/b/xnewy17z/c").policy, observe());
}

/// A glob against the components of a path, as simply as it can be said.
fn naive(glob: &[&str], path: &[&str]) -> bool {
    match glob.split_first() {
        None => true,
        Some((&"**", [])) => !path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|skipped| naive(rest, &path[skipped..])),
        Some((part, rest)) => path.split_first().is_some_and(|(name, below)| {
            naive_name(part.as_bytes(), name.as_bytes()) && naive(rest, below)
        }),
    }
}

fn naive_name(glob: &[u8], name: &[u8]) -> bool {
    match glob.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skipped| naive_name(rest, &name[skipped..])),
        Some((b'?', rest)) => !name.is_empty() && naive_name(rest, &name[1..]),
        Some((byte, rest)) => name.first() == Some(byte) && naive_name(rest, &name[1..]),
    }
}

fn components(path: &str) -> Vec<&str> {
    path.split('/').skip(1).collect()
}

proptest! {
    #[test]
    fn the_kernels_table_answers_as_a_naive_matcher_does(
        lists in prop::array::uniform3(prop::collection::vec("(/(\\*\\*|[ab.*?]{1,4})){1,4}", 0..6)),
        paths in prop::collection::vec("(/[abc.]{1,4}){1,5}", 1..20),
    ) {
        let [exclude, over, include] = &lists;
        let borrowed = |list: &'_ Vec<String>| list.iter().map(|glob| glob.replace("***", "**")).collect::<Vec<_>>();
        let (exclude, over, include) = (borrowed(exclude), borrowed(over), borrowed(include));
        let strs = |list: &'_ [String]| -> Vec<RawSelector> { words(list.iter().map(String::as_str)) };
        let overrides: Vec<_> = strs(&over).into_iter().map(|s| (s, observe())).collect();
        let scope = ScopeRules::compile(&strs(&include), &strs(&exclude), &overrides, enforce(), "/").expect("a scope");
        for path in &paths {
            let any = |list: &[String]| list.iter().any(|glob| naive(&components(glob), &components(path)));
            let expected = if any(&exclude) {
                EXCLUDED
            } else if any(&over) {
                observe()
            } else if any(&include) {
                enforce()
            } else {
                OUT
            };
            prop_assert_eq!(scope.by_path(path).policy, expected, "{}", path);
        }
    }
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
        let scope = scope(&[glob], &[], &[]);
        assert_eq!(scope.by_path(inside).policy, enforce(), "{glob} {inside}");
        assert_eq!(scope.by_path(outside).policy, OUT, "{glob} {outside}");
    }
}
