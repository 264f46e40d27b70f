//! What settings ask about workloads.

use hayward_record::mask::{CommandLines, mask};
use hayward_yaml::{Spanned, line_of};

use super::Checker;
use crate::{RuntimeSockets, WorkloadSettings, raw::RawWorkloads};

/// Which repository a Binder built, and whose server a JupyterHub started. Addresses of people only when asked for.
const ENVIRONMENT: [&str; 4] = [
    "BINDER_REPO_URL",
    "BINDER_REF_URL",
    "BINDER_REQUEST",
    "JUPYTERHUB_USER",
];

impl Checker {
    pub(super) fn workloads(&mut self, raw: RawWorkloads) -> WorkloadSettings {
        let environment = raw.environment.map_or_else(
            || ENVIRONMENT.map(str::to_owned).to_vec(),
            |names| names.into_iter().map(|name| self.variable(name)).collect(),
        );
        WorkloadSettings {
            environment,
            runtimes: self.runtimes(raw.runtimes),
        }
    }

    fn runtimes(&mut self, raw: Option<Vec<Spanned<String>>>) -> RuntimeSockets {
        let mut sockets = RuntimeSockets {
            usual: raw.is_none(),
            ..RuntimeSockets::default()
        };
        for entry in raw.into_iter().flatten() {
            let line = line_of(&entry);
            let (of, path) = match entry.value.split_once(':') {
                None if entry.value == "auto" => {
                    sockets.usual = true;
                    continue;
                }
                Some(("cri", path)) => (&mut sockets.cri, path),
                Some(("docker", path)) => (&mut sockets.docker, path),
                _ => {
                    let message = format!("`{}` does not say what is spoken there", entry.value);
                    let help = "write auto, cri:/path/of/a.sock (containerd, CRI-O) or docker:/path/of/a.sock (Docker, Podman)";
                    self.problem(line, message, help);
                    continue;
                }
            };
            if !path.starts_with('/') {
                let message = format!("`{path}` is no path from the root");
                self.problem(line, message, "write the socket's whole path");
            }
            of.push(path.into());
        }
        sockets
    }

    fn variable(&mut self, name: Spanned<String>) -> String {
        let line = line_of(&name);
        let name = name.value;
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("`{name}` is no name of a variable");
            self.problem(line, message, "write names alone, such as JUPYTERHUB_USER");
        } else if is_secret(&name) {
            let message = format!("`{name}` is a secret by its name, and is never recorded");
            self.problem(line, message, "leave it out");
        }
        name
    }
}

/// What is masked in a command line is.
fn is_secret(name: &str) -> bool {
    let set = format!("{name}=value");
    mask(&set, CommandLines::Masked, &[]) != set
}
