//! Where Debian's packages come from: the mirror and the keyring that the host itself uses.

use std::{fs, path::Path};

/// Debian keeps security updates in an archive of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Archive {
    Main,
    Security,
}

/// An archive's address and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) address: String,
    pub(crate) keyring: String,
}

/// Debian's own keys, on Debian and, from the package debian-archive-keyring, on Ubuntu.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Archive {
    /// The end of the address, on every mirror.
    fn name(self) -> &'static str {
        match self {
            Self::Main => "/debian",
            Self::Security => "/debian-security",
        }
    }

    /// The host's mirror of this archive; Debian's own where the host names none.
    pub(crate) fn mirror(self) -> Mirror {
        self.find(&host_sources()).unwrap_or_else(|| Mirror {
            address: format!("http://deb.debian.org{}", self.name()),
            keyring: KEYRING.to_owned(),
        })
    }

    /// Looks through sources of both formats, one line each and deb822, joined to one text.
    fn find(self, sources: &str) -> Option<Mirror> {
        let words = |line: &str| -> Vec<String> {
            let bare = line.split('#').next().unwrap_or_default();
            bare.split_whitespace().map(str::to_owned).collect()
        };
        sources.split("\n\n").find_map(|stanza| {
            let mut address = None;
            let mut keyring = None;
            for line in stanza.lines() {
                for word in words(line) {
                    if let Some(found) = self.address(&word) {
                        address.get_or_insert(found);
                    }
                    let word = word.trim_start_matches("[signed-by=").trim_end_matches(']');
                    if word.starts_with('/') && word.ends_with(".gpg") {
                        keyring.get_or_insert(word.to_owned());
                    }
                }
            }
            Some(Mirror {
                address: address?,
                keyring: keyring.unwrap_or(KEYRING.to_owned()),
            })
        })
    }

    fn address(self, word: &str) -> Option<String> {
        let address = word.trim_end_matches('/');
        let whole = ["http://", "https://", "file:/"]
            .iter()
            .any(|scheme| address.starts_with(scheme));
        (whole && address.ends_with(self.name())).then(|| address.to_owned())
    }
}

/// All of the host's sources, an empty line between files and between lines of the one-line format.
fn host_sources() -> String {
    let mut text = fs::read_to_string("/etc/apt/sources.list")
        .unwrap_or_default()
        .replace('\n', "\n\n");
    let mut files: Vec<_> = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    for file in files {
        text.push_str("\n\n");
        text.push_str(&read(&file));
    }
    text
}

fn read(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("sources") => text,
        Some("list") => text.replace('\n', "\n\n"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        let sources = "\
deb [signed-by=/keys/other.gpg] https://example.org/nodejs nodistro main

Types: deb
# http://snapshot.debian.org/archive/debian
URIs: http://mirror.example/debian/
Suites: bookworm
Signed-By: /keys/debian.gpg

deb [signed-by=/keys/security.gpg] https://mirror.example/debian-security bookworm-security main
";
        let main = Archive::Main.find(sources).expect("the main archive");
        assert_eq!(main.address, "http://mirror.example/debian");
        assert_eq!(main.keyring, "/keys/debian.gpg");
        let security = Archive::Security
            .find(sources)
            .expect("the security archive");
        assert_eq!(security.address, "https://mirror.example/debian-security");
        assert_eq!(security.keyring, "/keys/security.gpg");
        assert_eq!(
            Archive::Main.find("deb http://x.example/ubuntu noble main"),
            None
        );
    }
}
