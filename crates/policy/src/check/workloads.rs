//! What settings ask about workloads.

use hayward_record::mask::{CommandLines, mask};
use hayward_yaml::{Spanned, line_of};

use super::Checker;
use crate::{WorkloadSettings, raw::RawWorkloads};

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
        WorkloadSettings { environment }
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
