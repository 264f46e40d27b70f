//! Masking: tables of what goes and what stays, and properties over random secrets.

#[cfg(test)]
mod tests {
    use hayward_record::{CommandLines, mask};
    use proptest::prelude::*;

    fn masked(line: &str) -> String {
        mask(line, CommandLines::Masked, &[])
    }

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (line, expected) in [
            ("run --password hunter2 x", "run --password ••• x"),
            ("run --password=hunter2 x", "run --password=••• x"),
            ("run -password hunter2", "run -password •••"),
            ("run --db-password 'a b' c", "run --db-password ••• c"),
            ("run --token \"a b\" c", "run --token ••• c"),
            ("run --token --verbose", "run --token --verbose"),
            ("mysql -u root -phunter2 db", "mysql -u root -p••• db"),
            ("sshpass -p hunter2 ssh a@b", "sshpass -p ••• ssh a@b"),
            ("redis-cli -a hunter2 ping", "redis-cli -a ••• ping"),
            (
                "curl -u ann:hunter2 https://h/",
                "curl -u ann:••• https://h/",
            ),
            (
                "git clone https://ann:p@ss@h/x",
                "git clone https://ann:•••@h/x",
            ),
            (
                "git clone https://0123abcd@h/x",
                "git clone https://•••@h/x",
            ),
            (
                "env AWS_SECRET_ACCESS_KEY=abc cmd",
                "env AWS_SECRET_ACCESS_KEY=••• cmd",
            ),
            ("FOO_SECRET=x y", "FOO_SECRET=••• y"),
            ("MY_TOKEN=x y", "MY_TOKEN=••• y"),
            ("curl h/?access_token=x&y=1 z", "curl h/?access_token=••• z"),
            (
                "curl -d {\"password\":\"a b\"} z",
                "curl -d {\"password\":••• z",
            ),
            ("curl -H X-Api-Key: abc z", "curl -H X-Api-Key: ••• z"),
            (
                "curl -H Authorization: Bearer abc z",
                "curl -H Authorization: Bearer ••• z",
            ),
            ("echo AKIAIOSFODNN7EXAMPLE z", "echo ••• z"),
            ("echo eyJhbGciOiJI.eyJzdWIi.SflKxw z", "echo ••• z"),
            ("echo ghp_abcdefghij0123456789 z", "echo ••• z"),
            ("echo glpat-abcdefghij0123 z", "echo ••• z"),
            ("echo hf_abcdefghijklmnop z", "echo ••• z"),
            ("echo sk-abcdefgh12345678 z", "echo ••• z"),
            (
                "echo -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- z",
                "echo ••• z",
            ),
            ("echo -----BEGIN PRIVATE KEY-----\nMII", "echo •••"),
            ("run d41d8cd98f00b204e9800998ecf8427e z", "run ••• z"),
        ] {
            assert_eq!(masked(line), expected, "{line}");
        }
    }

    #[test]
    fn ordinary_lines_are_untouched() {
        for line in [
            "",
            "xmrig -o stratum+tcp://pool.example.org:3333 -t 4",
            "python -m ipykernel_launcher -f /home/jovyan/.local/share/jupyter/runtime/kernel.json",
            "python train.py --tokenizer gpt2 --epochs 3",
            "/usr/bin/grep -r xmrig /usr/lib/python3/dist-packages/numpy/core/include",
            "docker run -p 80:80 nginx",
            "ssh -p 22 host",
            "git clone https://github.com/xmrig/xmrig",
            "make -j4 CFLAGS=-O2",
        ] {
            assert_eq!(masked(line), line);
        }
    }

    #[test]
    fn secret_ranges_are_masked_in_every_mode() {
        let line = "run ünsecret --password x";
        let secret = 4..13;
        let full = |ranges: &[std::ops::Range<usize>]| mask(line, CommandLines::Full, ranges);
        assert_eq!(full(std::slice::from_ref(&secret)), "run ••• --password x");
        assert_eq!(full(&[]), line);
        // Within a character, overlapping, and past the end.
        assert_eq!(
            full(&[5..8, 7..13, 25..900, 900..901]),
            "run ••• --password •••"
        );
        assert_eq!(
            mask(line, CommandLines::Masked, &[secret]),
            "run ••• --password •••"
        );
        assert_eq!(mask(line, CommandLines::None, &[]), "");
    }

    #[test]
    fn a_long_line_is_cut_between_words_and_ranges_behind_the_cut_do_no_harm() {
        let line = format!("{} hunter2", "ab ".repeat(50_000));
        let range = line.len() - 7..line.len();
        let result = mask(&line, CommandLines::Full, &[range]);
        assert!(result.len() < 17_000 && result.ends_with("ab •••"));
        assert_eq!(mask(&result, CommandLines::Full, &[]), result);
        let word = format!("x{}", "ab".repeat(50_000));
        assert_eq!(mask(&word, CommandLines::Masked, &[]), "•••");
    }

    #[test]
    fn a_line_built_to_be_slow_is_masked_soon() {
        let line = "--password ".repeat(1_400) + &"token=".repeat(100);
        let result = masked(&line);
        assert_eq!(masked(&result), result);
    }

    fn template() -> impl Strategy<Value = (&'static str, &'static str)> {
        prop::sample::select(vec![
            ("run --password ", " --quiet"),
            ("run --password=", " --quiet"),
            ("run --api-key ", ""),
            ("env DB_PASSWORD=", " ./start"),
            ("env GITHUB_TOKEN=", " ./start"),
            ("mysql -uroot -p", " data"),
            ("sshpass -p ", " ssh host"),
            ("git clone https://ann:", "@example.org/r"),
            ("psql postgres://ann:", "@db/x?sslmode=on"),
            ("curl -u ann:", " https://example.org"),
            ("curl -H Authorization: Bearer ", " x"),
            ("curl https://example.org/?token=", "&x=1"),
            ("curl -d {\"secret\":\"", "\"}"),
        ])
    }

    proptest! {
        #[test]
        fn no_secret_survives((before, after) in template(), secret in "[A-Za-z0-9][A-Za-z0-9!#%^*_+.,/@:=~-]{9,30}") {
            let result = masked(&format!("{before}{secret}{after}"));
            prop_assert!(!result.contains(&secret), "{result}");
            prop_assert!(result.contains("•••"));
        }

        #[test]
        fn no_random_key_survives(key in "[A-Za-z0-9]{48,64}", hex in "[0-9a-f]{40,64}") {
            let result = masked(&format!("run {key} --with {hex}"));
            prop_assert_eq!(result, "run ••• --with •••");
        }

        #[test]
        fn masking_twice_changes_nothing(line in "(?s).{0,200}") {
            let once = masked(&line);
            prop_assert_eq!(masked(&once), once);
        }

        #[test]
        fn masking_words_twice_changes_nothing(
            words in prop::collection::vec(prop::sample::select(vec![
                "--password", "token", "=", ":", " ", "mysql", "-p", "-u", "a:b", "https://", "@", "\"", "'", "•••", "•",
                "bearer", "authorization:", "sk-", "eyJabcd.", "AKIA", "-----BEGIN PRIVATE KEY", "d41d8cd98f00b204e98", "x/Y9",
            ]), 0..40)
        ) {
            let once = masked(&words.concat());
            prop_assert_eq!(masked(&once), once);
        }

        #[test]
        fn no_range_makes_it_panic(line in "(?s).{0,50}", start in 0_usize..300, length in 0_usize..300) {
            mask(&line, CommandLines::Full, std::slice::from_ref(&(start..start + length)));
        }
    }
}
