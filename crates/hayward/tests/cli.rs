//! What the command line says without an agent: transcripts of the built binary, in a folder of their own.
//!
//! Every error must name the file, the line where there is one, and what to do. Exit codes are part of the transcript
//! and are asserted beside it, since programs rely on them.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        process::{Command, Stdio},
    };

    use age::secrecy::ExposeSecret;
    use tempfile::TempDir;

    const GOOD: &str = "\
rules:
  - id: lab/miner
    banned: [\"--donate-level\", \"stratum+tcp:\"]
    allow: ['grep .*']
    reason: miners of last term
  - id: lab/tool
    executable: [badtool]
    mode: observe
    expires: 2999-01-01
";
    const BAD_INPUT: i32 = 4;

    /// A folder in which commands run, and what was run and said there.
    struct Session {
        folder: TempDir,
        transcript: String,
    }

    impl Session {
        fn new() -> Self {
            Self {
                folder: TempDir::new().expect("a folder"),
                transcript: String::new(),
            }
        }

        fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
            fs::write(self.folder.path().join(name), text).expect("written");
            self
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.folder.path().join(name)).expect(name)
        }

        /// Runs `hayward` and notes what it said. Returns its standard output.
        fn run(&mut self, code: i32, arguments: &[&str]) -> Vec<u8> {
            let output = self.quietly(code, arguments);
            let shown = String::from_utf8_lossy(&output).into_owned();
            self.transcript.push_str(&shown);
            output
        }

        /// The same, and standard output stays out of the transcript.
        fn quietly(&mut self, code: i32, arguments: &[&str]) -> Vec<u8> {
            let output = Command::new(env!("CARGO_BIN_EXE_hayward"))
                .args(arguments)
                .current_dir(&self.folder)
                .env_clear()
                .stdin(Stdio::null())
                .output()
                .expect("the binary runs");
            let errors = self.hide_folder(&String::from_utf8_lossy(&output.stderr));
            let got = output.status.code();
            let quoted = arguments.iter().map(|text| {
                if text.is_empty() || text.contains([' ', '*']) {
                    format!("'{text}'")
                } else {
                    (*text).to_owned()
                }
            });
            let quoted = quoted.collect::<Vec<_>>().join(" ");
            self.transcript.push_str(&format!("$ hayward {quoted}\n"));
            if let Some(got @ 1..) = got {
                self.transcript.push_str(&format!("(exit code {got})\n"));
            }
            self.transcript.push_str(&errors);
            assert_eq!(got, Some(code), "{arguments:?}: {errors}");
            output.stdout
        }

        fn hide_folder(&self, text: &str) -> String {
            let path = self.folder.path().canonicalize().expect("it is there");
            text.replace(&path.display().to_string(), "FOLDER")
        }

        /// The transcript without what changes by itself: the folder, and the sizes of tables.
        fn said(&self) -> String {
            let mut said = self.hide_folder(&self.transcript);
            for before in ["a table of ", "\"table_bytes\": "] {
                let mut parts = said.split(before);
                let first = parts.next().unwrap_or_default().to_owned();
                said = parts.fold(first, |text, part| {
                    text + before + "N" + part.trim_start_matches(|c: char| c.is_ascii_digit())
                });
            }
            said
        }
    }

    #[test]
    fn help() {
        let mut session = Session::new();
        session.run(0, &["--help"]);
        session.run(2, &["rules", "lst"]);
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn rules_list() {
        let mut session = Session::new();
        session.write("good.yaml", GOOD);
        session.run(0, &["rules", "list", "good.yaml"]);
        session.run(0, &["rules", "list", "good.yaml", "--json"]);
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn rules_test() {
        let mut session = Session::new();
        session.write("good.yaml", GOOD);
        session.write(
            "old.json",
            r#"{"bannedCommandStrings": ["a"], "allowedCommandPatterns": ["^sh -c", "b.*"]}"#,
        );
        session.write(
            "expired.yaml",
            "rules: [{id: a, banned: [x], expires: 2001-01-01}]\n",
        );
        session.run(0, &["rules", "test", "good.yaml"]);
        session.run(0, &["rules", "test", "good.yaml", "--json"]);
        session.run(0, &["rules", "test", "old.json"]);
        session.run(0, &["rules", "test", "expired.yaml"]);
        session.run(0, &["rules", "test", "g*.yaml"]);
        session.run(BAD_INPUT, &["rules", "test", "nothing-*.yaml"]);
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn rules_test_of_bad_files() {
        let mut session = Session::new();
        for (name, text) in [
            (
                "duplicate.yaml",
                "rules:\n  - { id: a, banned: [x] }\n  - { id: a, banned: [y] }\n",
            ),
            (
                "empty-string.yaml",
                "rules:\n  - id: a\n    banned:\n      - x\n      - ''\n",
            ),
            ("nothing-banned.yaml", "rules:\n  - id: a\n"),
            (
                "bad-regex.yaml",
                "allow:\n  - 'fine .*'\n  - '(unclosed'\nrules: []\n",
            ),
            (
                "backreference.yaml",
                "rules:\n  - id: a\n    banned: [x]\n    allow:\n      - '(a)\\1'\n",
            ),
            (
                "word-boundary.yaml",
                "rules:\n  - id: a\n    banned: [x]\n    allow: ['\\b{start}grep', '(?u:ü\\b).*']\n",
            ),
            (
                "too-many-states.yaml",
                "rules:\n  - id: a\n    banned: [x]\n    allow: ['(x{1,200}y{1,200}){1,200}']\n",
            ),
            ("unknown-key.yaml", "rules:\n  - id: a\n    baned: [x]\n"),
            ("unknown-mode.yaml", "mode: enforced\nrules: []\n"),
            ("wrong-type.yaml", "rules:\n  - id: a\n    banned: x\n"),
            ("no-id.yaml", "rules:\n  - banned: [x]\n"),
            ("no-yaml.yaml", "rules: [\n"),
            ("tab.yaml", "rules:\n\t- id: a\n"),
            (
                "same-key.yaml",
                "rules:\n  - id: a\n    id: b\n    banned: [x]\n",
            ),
            (
                "no-date.yaml",
                "rules:\n  - id: a\n    banned: [x]\n    expires: soon\n",
            ),
            (
                "no-glob.yaml",
                "rules:\n  - id: a\n    executable:\n      - fine\n      - 'a/b'\n      - '/a/[z-a]'\n",
            ),
            ("old.json", "{\"bannedCommandStrings\": [\n\"a\",\n\"\"]}"),
        ] {
            session.write(name, text);
            session.run(BAD_INPUT, &["rules", "test", name]);
        }
        session.write("not-utf8.yaml", b"rules: []\n# \xff\n");
        session.run(BAD_INPUT, &["rules", "test", "not-utf8.yaml"]);
        session.run(BAD_INPUT, &["rules", "test", "missing.yaml"]);
        session.run(BAD_INPUT, &["rules", "test", "*/x.yaml"]);
        session.write("secret.yaml.age", "x");
        session.run(BAD_INPUT, &["rules", "test", "secret.yaml.age"]);
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn rules_diff() {
        let mut session = Session::new();
        session.write("good.yaml", GOOD);
        session.write(
            "new.yaml",
            GOOD.replace("lab/tool", "lab/new")
                .replace("stratum+tcp:", "stratum:"),
        );
        session.run(0, &["rules", "diff", "good.yaml", "good.yaml"]);
        session.run(0, &["rules", "diff", "good.yaml", "new.yaml"]);
        session.run(0, &["rules", "diff", "good.yaml", "new.yaml", "--json"]);
        session.run(BAD_INPUT, &["rules", "diff", "good.yaml", "missing.yaml"]);
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn rules_generate() {
        let mut session = Session::new();
        session.write(
            "recipe.yaml",
            "id: lab/pools\nlists:\n  pool: [a.example, b.example]\n  port: [\"3333\", \"443\"]\n\
             templates: [\"{pool}:{port}\", \"pool={pool}\"]\nallow: ['grep .*']\nreason: pools\n",
        );
        let generated = session.run(0, &["rules", "generate", "recipe.yaml"]);
        session.write("generated.yaml", generated);
        session.run(0, &["rules", "test", "generated.yaml"]);
        for (name, text) in [
            (
                "unknown-list.yaml",
                "id: a\nlists: {pool: [x]}\ntemplates:\n  - fine\n  - '{pol}'\n",
            ),
            (
                "open.yaml",
                "id: a\nlists: {pool: [x]}\ntemplates: ['{pool']\n",
            ),
            (
                "empty-list.yaml",
                "id: a\nlists: {pool: []}\ntemplates: ['{pool}']\n",
            ),
            (
                "empty-string.yaml",
                "id: a\nlists: {pool: ['', x]}\ntemplates:\n  - '{pool}'\n",
            ),
            ("unknown-key.yaml", "id: a\nlist: {}\ntemplates: []\n"),
        ] {
            session.write(name, text);
            session.run(BAD_INPUT, &["rules", "generate", name]);
        }
        session.run(BAD_INPUT, &["rules", "generate", "missing.yaml"]);
        session.run(BAD_INPUT, &["rules", "generate", "missing.yaml.age"]);
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn judge_command() {
        let mut session = Session::new();
        session.write("good.yaml", GOOD);
        session.write("h.yaml", "guards: { command: { rules: [good.yaml] } }\n");
        for line in [
            "./x --donate-level 1",
            "badtool --help",
            "grep --donate-level README",
            "python train.py",
            "",
        ] {
            for json in [&[][..], &["--json"]] {
                let arguments = ["judge", "command", line, "--config", "h.yaml"];
                session.run(0, &[&arguments[..], json].concat());
            }
        }
        let renamed = [
            "judge",
            "command",
            "x",
            "--executable",
            "/opt/badtool",
            "--config",
            "h.yaml",
        ];
        session.run(0, &renamed);
        session.run(
            BAD_INPUT,
            &["judge", "command", "x", "--config", "missing.yaml"],
        );
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn check() {
        let mut session = Session::new();
        session.write("good.yaml", GOOD);
        session.write("h.yaml", "guards: { command: { rules: [good.yaml] } }\n");
        session.run(0, &["check", "--config", "h.yaml"]);
        session.run(0, &["check", "--config", "h.yaml", "--json"]);
        for (name, text) in [
            ("unknown-key.yaml", "mode: enforce\nleese: 1h\n"),
            (
                "unknown-inner-key.yaml",
                "guards:\n  command:\n    rulez: [x]\n",
            ),
            ("wrong-type.yaml", "mode: enforce\nscope: yes\n"),
            (
                "wrong-inner-type.yaml",
                "guards:\n  command:\n    rules: good.yaml\n",
            ),
            (
                "wrong-values.yaml",
                "lease: soon\njournal:\n  max: 1GB\n  command_lines: some\n",
            ),
            (
                "wrong-quantities.yaml",
                "lease: soon\njournal:\n  max: 1GB\nguards:\n  command:\n    scan: often\n",
            ),
            (
                "wrong-scope.yaml",
                "scope:\n  include:\n    - containers\n    - pods\n  exclude: [x]\n",
            ),
            (
                "wrong-override.yaml",
                "overrides:\n  - match: x\n    guards: { command: observe }\n",
            ),
            (
                "later-guard.yaml",
                "guards:\n  command: enforce\n  egress: enforce\n",
            ),
            (
                "missing-rules.yaml",
                "guards: { command: { rules: [nowhere.yaml] } }\n",
            ),
            ("list.yaml", "- a\n- b\n"),
        ] {
            session.write(name, text);
            session.run(BAD_INPUT, &["check", "--config", name]);
        }
        session.run(BAD_INPUT, &["check", "--config", "missing.yaml"]);
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn migrate_cryptnono() {
        let mut session = Session::new();
        session.write(
            "cryptnono.json",
            r#"{"bannedCommandStrings": ["xmrig", "Mönero"], "allowedCommandPatterns": ["^grep", "git .*"]}"#,
        );
        session.write(
            "values.yaml",
            "cryptnono:\n  detectors:\n    execwhacker:\n      configs:\n        mine.json:\n          \
             bannedCommandStrings:\n            - minerd\n        text.json: |\n          \
             {\"bannedCommandStrings\": [\"from-text\"]}\n",
        );
        session.write("nothing.yaml", "a: b\n");
        session.write("broken.json", "{\"bannedCommandStrings\": [\n\"a\"\n");
        session.write("wrong.json", "{\"bannedCommandStrings\": \"a\"}\n");
        session.run(
            0,
            &["migrate", "cryptnono", "cryptnono.json", "--output", "one"],
        );
        session.run(0, &["check", "--config", "one/hayward.yaml"]);
        session.run(
            0,
            &[
                "migrate",
                "cryptnono",
                "values.yaml",
                "--output",
                "two",
                "--json",
            ],
        );
        for name in [
            "one/hayward.yaml",
            "one/cryptnono.json",
            "two/cryptnono.json",
        ] {
            let text = session.read(name);
            session.transcript.push_str(&format!("-- {name}\n{text}\n"));
        }
        session.run(
            1,
            &["migrate", "cryptnono", "values.yaml", "--output", "one"],
        );
        for name in ["nothing.yaml", "broken.json", "wrong.json", "missing.json"] {
            session.run(
                BAD_INPUT,
                &["migrate", "cryptnono", name, "--output", "three"],
            );
        }
        insta::assert_snapshot!(session.said());
    }

    #[test]
    fn secret_rules() {
        let mut session = Session::new();
        let key = age::x25519::Identity::generate();
        let recipient = key.to_public().to_string();
        session.write("key.txt", key.to_string().expose_secret());
        let other = age::x25519::Identity::generate();
        session.write("other.txt", other.to_string().expose_secret());
        session.write("good.yaml", GOOD);
        session.write(
            "wrong.yaml",
            "rules:\n  - id: a\n    banned: [x]\n    hushhush: 1\n",
        );
        session.write(
            "pattern.yaml",
            "allow: ['hushhush(']\nrules:\n  - id: a\n    executable: ['hushhush/']\n",
        );
        session.write(
            "list.json",
            "{\"bannedCommandStrings\": {\n\"hushhush\": 1}}",
        );
        for name in ["good", "wrong", "pattern"] {
            let plain = format!("{name}.yaml");
            let arguments = ["rules", "encrypt", &plain, "--recipient", &recipient];
            let bytes = session.quietly(0, &arguments);
            assert!(bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
            session.write(&format!("{name}.yaml.age"), bytes);
        }
        let bytes = session.quietly(
            0,
            &["rules", "encrypt", "list.json", "--recipient", &recipient],
        );
        session.write("list.json.age", bytes);
        let keys = ["--identity", "key.txt"];
        let with_key = |arguments: &[&'static str]| [arguments, &keys].concat();

        session.run(0, &with_key(&["rules", "list", "good.yaml.age"]));
        session.run(0, &with_key(&["rules", "list", "good.yaml.age", "--json"]));
        let plain = session.quietly(0, &with_key(&["rules", "decrypt", "good.yaml.age"]));
        assert_eq!(String::from_utf8_lossy(&plain), GOOD);
        let export = [
            &[
                "rules",
                "export",
                "good.yaml.age",
                "--recipient",
                &recipient,
            ],
            &keys[..],
        ]
        .concat();
        let bundle = session.quietly(0, &export);
        session.write("bundle.yaml.age", bundle);
        session.run(
            0,
            &with_key(&["rules", "diff", "good.yaml.age", "bundle.yaml.age"]),
        );
        for name in ["wrong.yaml.age", "pattern.yaml.age", "list.json.age"] {
            let arguments = ["rules", "test", name, "--identity", "key.txt"];
            session.run(BAD_INPUT, &arguments);
        }
        assert!(
            !session.transcript.contains("hushhush"),
            "{}",
            session.transcript
        );
        for command in ["list", "decrypt"] {
            session.run(
                BAD_INPUT,
                &["rules", command, "good.yaml.age", "--identity", "other.txt"],
            );
            session.run(
                BAD_INPUT,
                &["rules", command, "good.yaml.age", "--identity", "good.yaml"],
            );
            session.run(
                BAD_INPUT,
                &[
                    "rules",
                    command,
                    "good.yaml.age",
                    "--identity",
                    "nowhere.txt",
                ],
            );
            session.run(BAD_INPUT, &["rules", command, "good.yaml.age"]);
        }
        session.run(BAD_INPUT, &with_key(&["rules", "decrypt", "good.yaml"]));
        session.run(
            BAD_INPUT,
            &with_key(&["rules", "decrypt", "missing.yaml.age"]),
        );
        session.run(
            BAD_INPUT,
            &[
                "rules",
                "encrypt",
                "missing.yaml",
                "--recipient",
                &recipient,
            ],
        );
        session.run(
            BAD_INPUT,
            &["rules", "encrypt", "good.yaml", "--recipient", "age1x"],
        );
        insta::assert_snapshot!(session.said().replace(&recipient, "RECIPIENT"));
    }

    #[test]
    fn without_an_agent() {
        let mut session = Session::new();
        session.run(3, &["status", "--socket", "none.sock"]);
        session.run(3, &["events", "--socket", "none.sock"]);
        session.run(
            6,
            &[
                "status",
                "--socket",
                "none.sock",
                "--wait",
                "enforcing",
                "--timeout",
                "10ms",
            ],
        );
        insta::assert_snapshot!(session.said());
    }
}
