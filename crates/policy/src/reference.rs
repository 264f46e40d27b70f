//! The settings reference in docs/settings.md: the default file itself, which says what each key means.

use crate::DEFAULT_SETTINGS;

/// Markdown.
pub fn reference() -> String {
    format!(
        "# Settings\n\n\
         YAML or JSON, by default `/etc/hayward/hayward.yaml`; `hayward run --config FILE` names another, and \
         `hayward check FILE` says what is wrong with one. An unknown key is refused with its file, its line and the \
         nearest known key. This is what holds where a file says nothing:\n\n\
         ```yaml\n{DEFAULT_SETTINGS}```\n\n\
         ## Durations and sizes\n\n\
         `500ms`, `10s`, `5m`, `2h`, `30d`; `64MiB`, `1GiB`.\n\n\
         ## Modes\n\n\
         `observe` judges and records, `enforce` acts too. Whoever says `observe`, at any level (whole agent, guard, \
         override, rule file, rule), is obeyed.\n\n\
         ## Scope\n\n\
         `containers` are the cgroups that Docker, containerd, CRI-O, Podman, Kubernetes, LXC and systemd-nspawn make. \
         `users` are processes of real users (`UID_MIN` of /etc/login.defs and above) in any cgroup. A cgroup glob \
         starts with `/`: `/ci.slice/**` is everything below, `/ci.slice` the cgroup and everything below. \
         `exclude` comes before `overrides`, and `overrides` before `include`. The runtimes' own services are never in \
         scope.\n"
    )
}
