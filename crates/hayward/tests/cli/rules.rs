//! `hayward rules`.

use age::secrecy::ExposeSecret;

use crate::session::{BAD_INPUT, GOOD, Session};

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
