//! Further headers of a webhook, from a file: what is secret of a webhook stands there and not in the settings.

use std::{fs::File, io::Read, path::Path};

use hayward_yaml::Problem;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};

/// Bytes of such a file.
const MOST_BYTES: u64 = 64 << 10;
/// Headers in it.
const MOST_HEADERS: usize = 32;
/// What is ours to say.
const OURS: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TRANSFER_ENCODING,
    UPGRADE,
    USER_AGENT,
];

/// Reads a file of `Name: value` lines. Empty ones, and those that begin with `#`, are left out.
pub(crate) fn read(path: &Path) -> Result<HeaderMap, Problem> {
    let file = path.display().to_string();
    let mut text = String::new();
    let opened = File::open(path);
    let read = opened.and_then(|opened| opened.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 <= MOST_BYTES => parse(&file, &text),
        Ok(_) => Err(problem(
            &file,
            0,
            format!("holds more than {MOST_BYTES} bytes"),
            "name a file of `Name: value` lines with `headers`",
        )),
        Err(error) => Err(problem(
            &file,
            0,
            format!("cannot be read: {error}"),
            "name a file of `Name: value` lines with `headers`, or leave it out",
        )),
    }
}

/// What is wrong is told without the line's text, which may be secret.
fn parse(file: &str, text: &str) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let value = HeaderValue::from_str(value.trim()).ok()?;
            Some((name, value))
        });
        let wrong = |message: &str, help| problem(file, number + 1, message.to_owned(), help);
        let Some((name, mut value)) = header else {
            let help = "write `Name: value`, such as `Authorization: Bearer ...`";
            return Err(wrong("this is no header", help));
        };
        if OURS.contains(&name) {
            let message = format!("`{name}` is set for every webhook");
            return Err(wrong(&message, "remove it"));
        }
        if headers.len() == MOST_HEADERS {
            let message = format!("more than {MOST_HEADERS} headers");
            return Err(wrong(&message, "remove some"));
        }
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn problem(file: &str, line: usize, message: String, help: &str) -> Problem {
    Problem {
        file: file.to_owned(),
        line,
        message,
        help: help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hayward_fuzz::{Corpus, throw};
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "# who we are\n\nAuthorization: Bearer secret: value\nX-Scope:  a b \n";

    #[test]
    fn lines_are_headers() {
        let headers = parse("h", GOOD).expect("good");
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["authorization"], "Bearer secret: value");
        assert_eq!(headers["x-scope"], "a b");
        assert!(!format!("{headers:?}").contains("secret"));
        assert!(parse("h", "").expect("good").is_empty());
    }

    #[test]
    fn what_is_no_header_is_told_with_its_line_and_without_its_text() {
        for (text, expected) in [
            ("X: 1\nsecret\n", "h:2: this is no header"),
            ("se cret: x", "h:1: this is no header"),
            ("X: secr\u{1}et", "h:1: this is no header"),
            ("Host: secret", "`host` is set for every webhook"),
            ("content-LENGTH: 1", "`content-length` is set"),
        ] {
            let problem = parse("h", text).expect_err(text).to_string();
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
        let problem = parse("h", &"X: 1\n".repeat(33)).expect_err("too many");
        assert_eq!(problem.line, 33);
        let problem = read(Path::new("/nowhere/at/all")).expect_err("missing");
        assert!(problem.to_string().contains("cannot be read"), "{problem}");
        assert!(read(Path::new("/dev/zero")).is_err(), "bounded");
    }

    #[test]
    fn parsing_headers_never_panics() {
        let strategy = Corpus::new([GOOD], [":", "\r\n", "Host", " ", "\u{1}"]).damaged_text();
        throw(100, &strategy, |text| {
            if let Ok(headers) = parse("h", &text) {
                prop_assert!(headers.len() <= MOST_HEADERS);
                prop_assert!(OURS.iter().all(|name| !headers.contains_key(name)));
            }
            Ok(())
        });
        throw(200, &"(?s).{0,200}", |text| {
            let _ = parse("h", &text);
            Ok(())
        });
    }
}
