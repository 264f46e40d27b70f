use super::*;
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
        "/lxc.payload.web/system.slice/x.service".to_owned(),
        "/machine.slice/machine-deb.scope".to_owned(),
        format!("/docker/{ID}/kubepods/besteffort/pod1/{ID}"),
        // What a container makes below itself does not take it out of scope.
        format!("/docker/{ID}/system.slice/docker.service"),
        format!("/machine.slice/libpod-{ID}.scope/container/runtime.slice/x"),
        format!("/kubepods/besteffort/pod0c8e/{ID}/crio-conmon-x"),
    ] {
        assert_eq!(scope.classify(&path), enforce(), "{path}");
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
        assert_eq!(scope.classify(&path), EXCLUDED, "{path}");
    }
    for path in [
        "/",
        "/system.slice/ssh.service",
        "/user.slice/user-1000.slice/session-1.scope",
        "/init.scope",
        "/user.slice/user-1000.slice/user@1000.service/runtime.slice/x.scope",
    ] {
        assert_eq!(scope.classify(path), OUT, "{path}");
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
        assert_eq!(scope.classify(path), policy, "{path}");
    }
}

#[test]
fn what_needs_names_is_refused() {
    let keyed = RawSelector::Keyed([("namespace".to_owned(), "x".to_owned())].into());
    let error = ScopeRules::compile(&[keyed], &[], &[], enforce(), "/").expect_err("refused");
    assert!(error.contains("namespace"), "{error}");
}

#[test]
fn a_path_too_long_for_the_kernel_falls_under_its_parents_policy() {
    let scope = scope(&["/a/**"], &["/**/end"], &[]);
    let parent = format!("/a/{}", "x".repeat(SCOPE_PATH - 10));
    assert_eq!(scope.classify(&format!("{parent}/end")), EXCLUDED);
    let parent = format!("/a/{}", "x".repeat(SCOPE_PATH - 5));
    assert_eq!(scope.classify(&format!("{parent}/end")), enforce());
    assert_eq!(scope.classify(&format!("{parent}/y/z/end")), enforce());
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
    assert_eq!(scope.classify("/a/trusted-runner-0x/b"), EXCLUDED);
    assert_eq!(scope.classify("/a/ci-3/b/job-1/step-x/y"), enforce());
    assert_eq!(scope.classify("/a/b/xnewy17z/c"), observe());
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
            prop_assert_eq!(scope.classify(path), expected, "{}", path);
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
        assert_eq!(scope.classify(inside), enforce(), "{glob} {inside}");
        assert_eq!(scope.classify(outside), OUT, "{glob} {outside}");
    }
}
