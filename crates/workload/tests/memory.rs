//! What a known container costs. A test of its own, since it measures the process.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, sync::Arc};

    use hayward_model::Runtime;
    use hayward_workload::{Directory, Named, Owner, Pod};

    const CONTAINERS: usize = 16_384;

    /// Bytes of memory that the process has in use.
    fn resident() -> usize {
        let text = fs::read_to_string("/proc/self/statm").expect("/proc/self/statm");
        let pages: usize = text
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse().ok())
            .expect("a number");
        pages * 4096
    }

    fn labels(pairs: &[(&str, String)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, String)| ((*key).to_owned(), value.clone());
        pairs.iter().map(own).collect()
    }

    /// A user's server, as JupyterHub makes them on Kubernetes.
    fn notebook(number: usize) -> Named {
        let user = format!("user-{number:x}");
        let pod = Pod {
            uid: format!("0c8e2f1a-1b2c-4d3e-9f00-{number:012x}"),
            namespace: "jupyterhub-production".to_owned(),
            name: format!("jupyter-{user}"),
            labels: labels(&[
                ("app", "jupyterhub".to_owned()),
                (
                    "app.kubernetes.io/component",
                    "singleuser-server".to_owned(),
                ),
                ("app.kubernetes.io/managed-by", "kubespawner".to_owned()),
                ("component", "singleuser-server".to_owned()),
                ("hub.jupyter.org/network-access-hub", "true".to_owned()),
                ("hub.jupyter.org/servername", String::new()),
                ("hub.jupyter.org/username", user),
                ("release", "jupyterhub".to_owned()),
            ]),
        };
        Named {
            id: format!("{number:064x}"),
            name: "notebook".to_owned(),
            image: "quay.io/jupyter/scipy-notebook:2026-01-05".to_owned(),
            pod: Some(Arc::new(pod)),
            runtime: Some(Runtime::Containerd),
            running: true,
            ..Named::default()
        }
    }

    #[test]
    fn a_known_container_takes_little_memory() {
        let directory = Directory::new();
        let before = resident();
        for number in 0..CONTAINERS {
            directory.learn(0, Owner::Host, &notebook(number));
        }
        assert_eq!(directory.len(), CONTAINERS);
        let each = (resident() - before) / CONTAINERS;
        println!("{each} bytes for each container with its pod");
        assert!(each < 1_536, "{each} bytes");
    }
}
