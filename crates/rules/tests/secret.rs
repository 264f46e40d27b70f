//! Encrypted rule files: whatever is in them, rules or an error that tells nothing of what they hold.

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use hayward_fuzz::{Corpus, throw};
    use hayward_rules::{Rule, load, parse_bytes, render, secret};
    use proptest::{collection::vec, prelude::*};
    use tempfile::TempDir;

    const IDENTITY: &str =
        "AGE-SECRET-KEY-1RTHA7Z3JKA5Z9CX2PEA4EKA9Y9TW3EPFH5KCTYQKSR6JUXQKVJRQ5DFYFU";

    /// A folder with a fresh key, and the key's public half.
    fn keys() -> (TempDir, PathBuf, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let key = age::x25519::Identity::generate();
        let identity = folder.path().join("key.txt");
        let text = age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned();
        fs::write(&identity, text).expect("a file");
        (folder, identity, key.to_public().to_string())
    }

    #[test]
    fn what_is_encrypted_is_decrypted_to_the_same() {
        let (_folder, identity, recipient) = keys();
        throw(40, &vec(any::<u8>(), 0..70_000), |plain| {
            let secret = secret::encrypt(&plain, std::slice::from_ref(&recipient));
            let secret = secret.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(secret.is_ascii());
            let again = secret::decrypt(&secret, &identity);
            prop_assert_eq!(
                again.map_err(|error| TestCaseError::fail(error.to_string()))?,
                plain
            );
            Ok(())
        });
    }

    fn rule() -> impl Strategy<Value = (Vec<String>, Option<String>)> {
        let text = "[^\0\\s](?s:[^\0]{0,12})|[a-z*\\[\\]{}\"'#:|>&! %@`~-]{0,8}x|yes|0x1f|1e3|~x";
        (vec(text, 1..5), proptest::option::of("(?s).{0,20}"))
    }

    /// Export writes what render gives, encrypted; loading it gives the same rules.
    #[test]
    fn what_is_exported_is_loaded_to_the_same() {
        let (folder, identity, recipient) = keys();
        let file = folder.path().join("rules.age");
        throw(40, &vec(rule(), 0..5), |texts| {
            let rules: Vec<Rule> = texts
                .into_iter()
                .enumerate()
                .map(|(index, (banned, reason))| {
                    let plain = b"rules: [{id: x, banned: [y]}]";
                    let mut rule = parse_bytes("a", plain).expect("a rule").remove(0);
                    rule.id = format!("r{index}");
                    rule.banned = banned.into_iter().map(String::into_bytes).collect();
                    rule.reason = reason;
                    rule
                })
                .collect();
            let text = render(&rules).map_err(TestCaseError::fail)?;
            let secret = secret::encrypt(text.as_bytes(), std::slice::from_ref(&recipient));
            fs::write(&file, secret.expect("encrypted")).expect("a file");
            let loaded = load(&[file.display().to_string()], Some(&identity));
            let loaded = loaded.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(loaded.rules.len(), rules.len());
            for (loaded, rule) in loaded.rules.iter().zip(&rules) {
                prop_assert!(loaded.secret);
                prop_assert_eq!(&loaded.banned, &rule.banned);
                prop_assert_eq!((&loaded.id, &loaded.reason), (&rule.id, &rule.reason));
            }
            Ok(())
        });
    }

    #[test]
    fn loading_damaged_secrets_never_panics() {
        let (folder, identity, recipient) = keys();
        let file = folder.path().join("rules.age");
        let plain = b"rules: [{id: a, banned: [hush-hush]}]\n";
        let encrypted = secret::encrypt(plain, &[recipient]).expect("encrypted");
        let damaged = b"rules: [{id: a, banned: [hush-hush], hush-hush: [hush-hush]}]\n".to_vec();
        let inputs = [
            encrypted,
            damaged,
            b"age-encryption.org/v1\n-> scrypt x 30\n".to_vec(),
        ];
        let words = [
            "-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\n",
            "-----BEGIN AGE",
            "-> ",
            "--- ",
        ];
        throw(200, &Corpus::new(inputs, words).damaged(), |input| {
            fs::write(&file, &input.0).expect("a file");
            let name = file.display().to_string();
            match load(std::slice::from_ref(&name), Some(&identity)) {
                Ok(set) => prop_assert!(set.rules.iter().all(|rule| rule.secret)),
                Err(error) => {
                    prop_assert!(!error.to_string().contains("hush-hush"), "{error}");
                    prop_assert!(error.problems.iter().all(|problem| problem.file == name));
                }
            }
            Ok(())
        });
    }

    /// The library takes time by the square of a header's length.
    #[test]
    fn a_long_header_is_refused_or_read_in_seconds() {
        let (_folder, identity, _) = keys();
        let begin = std::time::Instant::now();
        for (lines, end) in [(200_000, ""), (200_000, "\n--- x\n"), (250, "\n--- x\n")] {
            let text = format!("age-encryption.org/v1\n{}{end}", "-> a\n\n".repeat(lines));
            assert!(secret::decrypt(text.as_bytes(), &identity).is_err());
        }
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    }

    #[test]
    fn two_hundred_recipients_can_all_read() {
        let (_folder, identity, recipient) = keys();
        let mut recipients: Vec<String> = (0..200)
            .map(|_| age::x25519::Identity::generate().to_public().to_string())
            .collect();
        recipients.push(recipient);
        let secret = secret::encrypt(b"x", &recipients).expect("encrypted");
        assert_eq!(
            secret::decrypt(&secret, &identity).expect("decrypted"),
            b"x"
        );
    }

    #[test]
    fn reading_damaged_keys_never_panics() {
        let (folder, identity, recipient) = keys();
        let secret = secret::encrypt(b"x", &[recipient]).expect("encrypted");
        let right = fs::read_to_string(identity).expect("a file");
        let file = folder.path().join("damaged.txt");
        let corpus = Corpus::new([right.as_str(), IDENTITY, "# a key\n"], ["AGE-PLUGIN-X-1"]);
        throw(200, &corpus.damaged(), |input| {
            fs::write(&file, &input.0).expect("a file");
            if let Err(error) = secret::decrypt(&secret, &file) {
                prop_assert!(!error.to_string().contains("AGE-SECRET-KEY"), "{error}");
            }
            Ok(())
        });
    }
}
