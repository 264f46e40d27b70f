//! Settings, damaged: an error with a place, or a policy whose scope can be asked.

#[cfg(test)]
mod tests {
    use hayward_fuzz::{Corpus, throw};
    use hayward_model::ScopePolicy;
    use hayward_policy::{DEFAULT_SETTINGS, Policy, parse_duration};
    use proptest::prelude::*;

    const FULL: &str = r#"mode: observe
scope:
  include: [containers, users, "/ci.slice/**", {unit: "ci-*.service"}]
  exclude:
    - "/ci.slice/trusted"
guards:
  command: {mode: enforce, response: observe, rules: [builtin, "/etc/x/*.yaml"], fileless: kill, unscanned: kill, scan: 1s}
  pool: {mode: observe, response: deny, domains: [builtin, "pool.example.org"]}
  egress: {policy: allow, allow: ["10.0.0.0/8 443/tcp,53", "2001:db8::/32"], always: ["::1"], never: ["192.0.2.1"]}
overrides:
  - {match: "/kubepods.slice/**", guards: {command: {mode: observe}}}
  - match: {unit: "a?b.service"}
    guards: {command: enforce}
tell:
  - {webhook: "http://[::1]:80/a?b=c", headers: /x, actions: [killed, observed], every: 0s, timeout: 1s}
  - command: [/bin/x, -y]
lease: 0s
cgroup_root: /a/b
journal: {path: /x, keep: 500ms, max: 64MiB, command_lines: full}
metrics: {listen: none, cryptnono: ["127.0.0.1:1", "[::1]:2"]}
api: {socket: /x, readers: y}
log: {format: json}
identity: /x
compat: [cryptnono]
"#;
    const WORDS: [&str; 20] = [
        "mode: ",
        "guards: ",
        "command: ",
        "scope: ",
        "include: ",
        "match: ",
        "unit: ",
        "enforce",
        "containers",
        "users",
        "**",
        "ms",
        "d",
        "TiB",
        "/",
        "none",
        "[::]:0",
        "0.0.0.0:65536",
        "webhook: ",
        "http://",
    ];

    /// YAML ends a line at LF, CR, and both together.
    fn lines(text: &str) -> usize {
        text.replace("\r\n", "\n").matches(['\n', '\r']).count() + 1
    }

    fn settings_of(text: &str) -> Result<(), TestCaseError> {
        match Policy::parse("a.yaml", text) {
            Ok(policy) => {
                let scope = policy.scope_rules();
                for path in ["/", "", "/docker/0a", "/ci.slice/x\u{fffd}"] {
                    let policy = scope.by_path(path).policy;
                    prop_assert!(
                        [ScopePolicy::OUT, ScopePolicy::EXCLUDED, scope.general()]
                            .contains(&policy)
                            || scope.overrides().contains(&policy)
                    );
                }
                prop_assert!(policy.cgroup_root.starts_with('/'));
                prop_assert!(policy.journal.max_bytes >= 2 << 20);
            }
            Err(error) => {
                prop_assert!(!error.problems.is_empty());
                for problem in &error.problems {
                    prop_assert_eq!(&problem.file, "a.yaml");
                    prop_assert!(problem.line <= lines(text), "{}", problem);
                    prop_assert!(!problem.message.is_empty());
                }
            }
        }
        Ok(())
    }

    #[test]
    fn parsing_damaged_settings_never_panics() {
        let strategy = Corpus::new([DEFAULT_SETTINGS, FULL, FULL], WORDS).damaged_text();
        throw(60, &strategy, |text| settings_of(&text));
    }

    #[test]
    fn parsing_arbitrary_settings_never_panics() {
        throw(200, &"(?s).{0,200}", |text| settings_of(&text));
    }

    #[test]
    fn parsing_durations_never_panics() {
        throw(500, &"[0-9]{0,25}[a-zµ ]{0,3}", |text| {
            if let Ok(duration) = parse_duration(&text) {
                let now = std::time::Instant::now();
                prop_assert!(now.checked_add(duration).is_some(), "{text}");
            }
            Ok(())
        });
    }
}
