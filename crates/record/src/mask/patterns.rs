//! Secrets that are known by their form or by the word before them.

use std::ops::Range;
use std::sync::LazyLock;

use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;

/// What follows a name: a quoted text and what touches it, or a word.
const VALUE: &str = r#"("[^"]*"\S*|'[^']*'\S*|\S+)"#;

/// Words that say that what follows is secret.
const WORDS: &str = r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_.]?key|access[-_.]?key|private[-_.]?key|signing[-_.]?key|auth[-_.]?key|account[-_.]?key|credentials?|cookie|session[-_.]?id|signature|client[-_.]?id|bearer";

/// What one pattern's lazy automaton may remember, so that strange lines do not grow the agent.
const CACHE_BYTES: usize = 128 * 1024;

/// A form in which secrets come. The first group is the secret; without one the whole match is.
struct Pattern {
    /// Only in lines that this matches.
    when: Option<Regex>,
    secret: Regex,
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let always = |secret: String| Pattern {
        when: None,
        secret: compile(&secret),
    };
    let after = |when: &str, secret: String| Pattern {
        when: Some(compile(when)),
        secret: compile(&secret),
    };
    vec![
        // A private key, to its end or to the end of what is there.
        always(r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*-----|$)".to_owned()),
        // FOO_SECRET=x, --password=x, "token": "x", ?access_token=x, X-Api-Key: x.
        always(format!(r#"(?i)(?:{WORDS})[\w.-]*\\?["']?\s*(?:=|:)>?\s*{VALUE}"#)),
        // --password x, -token x; not --tokenizer x. What begins with two dashes is the next option.
        always(format!(
            r"(?i)(?:^|\s)--?[\w.-]*(?:{WORDS})s?(?:[-_.][\w.-]*)?\s+(?:--[a-z]|{VALUE})"
        )),
        // user:password@host in a URL; to the last @ of the word, as passwords may hold any sign.
        always(r"(?i)[a-z][a-z0-9+.-]*://[^\s:/@]*:(\S+)@".to_owned()),
        // A token instead of a user: https://token@host.
        always(r"(?i)https?://([^\s:/@]{8,})@".to_owned()),
        // -u user:password, as curl and others take it.
        always(r"(?:^|\s)(?:-[uU]|--(?:proxy-)?user)[=\s]?\s*[^\s:]+:(\S+)".to_owned()),
        // Authorization: Bearer x. Of a scheme and its value both are masked by two patterns.
        always(r#"(?i)authorization["']?\s*[:=]\s*["']?\w+\s+(\S+)"#.to_owned()),
        always(r"(?i)\b(?:bearer|basic|digest|negotiate)\s+(\S+)".to_owned()),
        // Tokens with a known beginning.
        always(r"\bA(?:KIA|SIA|ROA|IDA)[A-Z0-9]{12,}[\w-]*".to_owned()),
        always(r"\beyJ[\w-]{4,}\.[\w-]*(?:\.[\w-]*)*[=]*".to_owned()),
        always(
            r"(?:gh[a-z]_|github_pat_|gl[a-z]{2,8}-|hf_|sk-|[rsp]k_(?:live|test)_|xox[a-z]-|xapp-|npm_|pypi-|dckr_[a-z]+_|AIza|ya29\.|SG\.|dop_v1_|hvs\.|shp[a-z]{2}_|sq0[a-z]{3}-|AGE-SECRET-KEY-)[\w.-]{8,}"
                .to_owned(),
        ),
        // Programs that take a password in a one-letter option.
        after(
            r"(?i)(?:^|[\s/])(?:mysql|mariadb|mycli|sshpass|mongo|ldap|smbclient|rclone|7za?|unzip|zip|docker\s+login|podman\s+login|helm\s+registry|az\s+login)",
            r"(?:^|\s)-[pPw]\s*([^\s-]\S*)".to_owned(),
        ),
        after(r"(?i)(?:^|[\s/])(?:redis-cli|rediscli|valkey-cli)", r"(?:^|\s)-a\s*(\S+)".to_owned()),
    ]
});

#[expect(
    clippy::expect_used,
    reason = "the patterns are constants of this file, and the tests compile all of them"
)]
fn compile(pattern: &str) -> Regex {
    Regex::builder()
        .configure(Regex::config().hybrid_cache_capacity(CACHE_BYTES))
        .build(pattern)
        .expect("a constant pattern compiles")
}

/// Finds what looks like a secret by its form or its name.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    for pattern in PATTERNS.iter() {
        if pattern
            .when
            .as_ref()
            .is_some_and(|when| !when.is_match(text))
        {
            continue;
        }
        spans.extend(
            pattern
                .secret
                .captures_iter(text)
                .filter_map(|found| secret_of(&found)),
        );
    }
}

fn secret_of(found: &Captures) -> Option<Range<usize>> {
    let group = usize::from(found.group_len() > 1);
    found.get_group(group).map(|span| span.range())
}
