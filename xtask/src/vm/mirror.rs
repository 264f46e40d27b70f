//! Where kernels come from: the mirrors and the keyrings that the host itself uses.

use std::{fs, path::Path};

/// Debian keeps security updates in an archive of their own. Ubuntu has the series of Linux that Debian skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Archive {
    Main,
    Security,
    Ubuntu,
}

/// An archive's address and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) address: String,
    pub(crate) keyring: String,
}

/// Debian's own keys, on Debian and, from the package debian-archive-keyring, on Ubuntu.
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Ubuntu's key of 2018, which Debian has no package of (F6EC B376 2474 EDA9 D21B 7022 8719 20D1 991B C93C).
const UBUNTU_KEYRING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/vm/ubuntu-archive-keyring.asc"
);

impl Archive {
    /// The end of the address, on every mirror.
    fn name(self) -> &'static str {
        match self {
            Self::Main => "/debian",
            Self::Security => "/debian-security",
            Self::Ubuntu => "/ubuntu",
        }
    }

    fn keyring(self) -> &'static str {
        match self {
            Self::Main | Self::Security => DEBIAN_KEYRING,
            Self::Ubuntu => UBUNTU_KEYRING,
        }
    }

    /// The host's mirror of this archive; the distribution's own where the host names none.
    pub(crate) fn mirror(self) -> Mirror {
        let host = match self {
            Self::Main | Self::Security => "deb.debian.org",
            Self::Ubuntu => "archive.ubuntu.com",
        };
        self.find(&host_sources()).unwrap_or_else(|| Mirror {
            address: format!("http://{host}{}", self.name()),
            keyring: self.keyring().to_owned(),
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
                keyring: keyring.unwrap_or(self.keyring().to_owned()),
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
        let other = "deb http://x.example/ubuntu noble main";
        assert_eq!(Archive::Main.find(other), None);
        let ubuntu = Archive::Ubuntu.find(other).expect("Ubuntu's archive");
        assert_eq!(ubuntu.address, "http://x.example/ubuntu");
        assert_eq!(ubuntu.keyring, UBUNTU_KEYRING);
    }
}
