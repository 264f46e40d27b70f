//! The settings reference in docs/settings.md: the default file itself, which says what each key means.

use crate::DEFAULT_SETTINGS;

/// Markdown.
pub fn reference() -> String {
    format!(
        "# Settings\n\n\
         YAML or JSON, by default `/etc/hayward/hayward.yaml`; `hayward run --config FILE` names another, and \
         `hayward check --config FILE` says what is wrong with one. An unknown key is refused with its file, its line and the \
         nearest known key. This is what holds where a file says nothing:\n\n\
         ```yaml\n{DEFAULT_SETTINGS}```\n\n\
         ## Durations and sizes\n\n\
         `500ms`, `10s`, `5m`, `2h`, `30d`; `64MiB`, `1GiB`.\n\n\
         ## Modes\n\n\
         `observe` judges and records, `enforce` acts too. `response: observe` has the effect of `mode: observe`; [what a finding leads to](operating.md#what-a-finding-leads-to) \
         describes the others. \
         Something is killed only where all of these say so: the whole agent (`mode`), the guard, the rule file, the \
         rule. Whichever of them says `observe` is obeyed.\n\n\
         An override takes the guard's place for the cgroups that it matches: the first override that matches counts, \
         its `mode` and `response` hold instead of the guard's, and what it does not name is the guard's. So \
         `observe` there spares a staging namespace, and `enforce` there acts in one slice while the guard observes \
         elsewhere. `rules`, `fileless`, `unscanned`, `scan` and `nudge` are one for all workloads, and refused in an \
         override. The status is `enforcing` where the guard enforces in any scope, and says how many overrides \
         differ.\n\n\
         ## Scope\n\n\
         `containers` are the cgroups that Docker, containerd, CRI-O, Podman, Kubernetes, LXC and systemd-nspawn make. \
         `users` are processes of real users (`UID_MIN` of /etc/login.defs and above) in any cgroup. A cgroup glob \
         starts with `/`: `/ci.slice/**` is everything below, `/ci.slice` the cgroup and everything below. \
         `exclude` comes before `overrides`, and `overrides` before `include`; what matches none of them is out of \
         scope, but for `users`. `exclude` holds for `users` too. The runtimes' own services are never in scope: the \
         system's, not what a container or a user calls by the same name.\n"
    )
}
