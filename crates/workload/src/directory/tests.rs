//! What a workload is called, by what is known of it.

use super::*;
use crate::name;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OUTER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const UID: &str = "0c8e2f1a-1b2c-4d3e-9f00-112233445566";

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn pod() -> Pod {
    Pod {
        uid: UID.to_owned(),
        namespace: "hub".to_owned(),
        name: "jupyter-ada".to_owned(),
        labels: labels(&[("app", "hub"), ("user", "ada")]),
    }
}

fn container(id: &str, name: &str) -> Named {
    Named {
        id: id.to_owned(),
        name: name.to_owned(),
        image: "quay.io/jupyter/base:1".to_owned(),
        labels: labels(&[("app", "notebook")]),
        pod: None,
        runtime: Some(Runtime::Docker),
        running: true,
    }
}

#[test]
fn a_container_of_a_pod_is_named_by_namespace_pod_and_container() {
    let directory = Directory::new();
    let mut named = container(ID, "notebook");
    named.pod = Some(Arc::new(pod()));
    named.runtime = Some(Runtime::Containerd);
    directory.learn(0, Owner::Host, &named);
    let mut workload = name(1, &format!("/kubepods/burstable/pod{UID}/{ID}"));
    assert!(directory.fill(&mut workload));
    assert_eq!(workload.name, "hub/jupyter-ada/notebook");
    assert_eq!(workload.namespace.as_deref(), Some("hub"));
    assert_eq!(workload.pod.as_deref(), Some("jupyter-ada"));
    assert_eq!(workload.container.as_deref(), Some("notebook"));
    assert_eq!(workload.image.as_deref(), Some("quay.io/jupyter/base:1"));
    assert_eq!(workload.runtime, Some(Runtime::Containerd));
    let both = labels(&[("app", "notebook"), ("user", "ada")]);
    assert_eq!(workload.labels, both, "the container's come first");
}

#[test]
fn the_pod_is_known_by_its_uid_before_its_container_is() {
    let directory = Directory::new();
    directory.learn_pod(&pod());
    let mut workload = name(1, &format!("/kubepods/pod{UID}"));
    assert!(directory.fill(&mut workload));
    assert_eq!(workload.name, "hub/jupyter-ada");
    let mut workload = name(1, &format!("/kubepods/pod{UID}/{ID}"));
    assert!(directory.fill(&mut workload));
    assert_eq!(workload.name, "hub/jupyter-ada/0123456789ab");
    assert_eq!(workload.container, None);
}

#[test]
fn other_containers_are_named_by_themselves_and_those_around_them() {
    let directory = Directory::new();
    directory.learn(0, Owner::Host, &container(OUTER, "runner"));
    let path = format!("/system.slice/docker-{OUTER}.scope");
    let mut workload = name(1, &path);
    assert!(directory.fill(&mut workload));
    assert_eq!(workload.name, "runner");
    assert_eq!(workload.pod_uid, None);

    let mut within = name(1, &format!("{path}/docker/{ID}"));
    assert!(directory.fill(&mut within));
    assert_eq!(within.name, "0123456789ab", "no runtime told of this one");
    assert_eq!(within.image, None);
    assert_eq!(within.within[0].name.as_deref(), Some("runner"));
    assert_eq!(within.within[0].image, workload.image);
    assert!(workload.image.is_some());
}

#[test]
fn what_nobody_knows_stays_as_it_is() {
    let directory = Directory::new();
    for path in [
        format!("/docker/{ID}"),
        "/system.slice/cron.service".to_owned(),
    ] {
        let mut workload = name(1, &path);
        let before = workload.clone();
        assert!(!directory.fill(&mut workload));
        assert_eq!(workload, before);
    }
}

#[test]
fn a_container_without_a_name_keeps_its_id() {
    let directory = Directory::new();
    directory.learn(0, Owner::Host, &container(ID, ""));
    let mut workload = name(1, &format!("/docker/{ID}"));
    assert!(directory.fill(&mut workload));
    assert_eq!(workload.name, "0123456789ab");
    assert_eq!(workload.container, None);
}

#[test]
fn a_users_runtime_names_that_users_containers_alone() {
    let directory = Directory::new();
    let mut lie = container(ID, "innocent");
    lie.pod = Some(Arc::new(pod()));
    directory.learn(0, Owner::User(1000), &lie);
    let path = |uid| {
        format!("/user.slice/user-{uid}.slice/user@{uid}.service/user.slice/libpod-{ID}.scope")
    };
    for path in [format!("/docker/{ID}"), path(1001)] {
        assert!(!directory.fill(&mut name(1, &path)), "{path}");
    }
    let mut own = name(1, &path(1000));
    assert!(directory.fill(&mut own));
    assert_eq!(own.name, "innocent");
    assert_eq!(own.namespace, None, "a user's runtime makes no pods");
    assert!(!directory.fill(&mut name(1, &format!("/kubepods/pod{UID}"))));

    directory.learn(1, Owner::Host, &container(ID, "true"));
    assert!(directory.fill(&mut own));
    assert_eq!(own.name, "true");
}

#[test]
fn docker_below_a_runtime_that_knows_the_pod_changes_nothing() {
    let directory = Directory::new();
    let mut named = container(ID, "notebook");
    named.pod = Some(Arc::new(pod()));
    directory.learn(0, Owner::Host, &named);
    directory.learn(
        1,
        Owner::Host,
        &container(ID, "k8s_notebook_jupyter-ada_hub"),
    );
    let mut workload = name(1, &format!("/docker/{ID}"));
    directory.fill(&mut workload);
    assert_eq!(workload.name, "hub/jupyter-ada/notebook");
    assert_eq!(workload.pod_uid.as_deref(), Some(UID));
}

#[tokio::test(start_paused = true)]
async fn looking_up_waits_for_answers_and_no_longer() {
    let directory = Arc::new(Directory::new());
    let within = Duration::from_secs(5);
    let begun = tokio::time::Instant::now();
    assert!(!directory.look_up(ID, within).await, "no runtime is there");
    assert_eq!(begun.elapsed(), Duration::ZERO);

    let (mut silent, mut good) = (directory.requests(), directory.requests());
    let answering = tokio::spawn({
        let directory = Arc::clone(&directory);
        async move {
            let wanted = good.recv().await.expect("a request");
            directory.learn(0, Owner::Host, &container(OUTER, "found"));
            wanted.found();
        }
    });
    assert!(directory.look_up(OUTER, within).await);
    assert_eq!(
        begun.elapsed(),
        Duration::ZERO,
        "it does not wait for others"
    );
    answering.await.expect("answered");

    let other = "0".repeat(64);
    assert!(!directory.look_up(&other, within).await);
    assert_eq!(begun.elapsed(), within, "one says nothing");
    while silent.try_recv().is_ok() {}
    assert!(!directory.look_up(&other, within).await);
    assert_eq!(begun.elapsed(), within, "all have answered now");
}
