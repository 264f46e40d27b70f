//! The programs that tests of the guard `randomx` use do what those tests take for granted: the miner hashes, however
//! it evades; the benign programs run; all of them end by themselves.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use hayward_test_miner::{loadable, program};
    use hayward_tests::{corpus, lookalike};

    /// What the miner says, and how many hashes it has found.
    fn mine(arguments: &[&str]) -> (String, u64) {
        let mut command = Command::new(program());
        command.args(["--seconds", "2"]).args(arguments);
        let output = command.output().expect("the miner");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("hashing"), "{arguments:?}: {text}");
        let hashes = lines.next().and_then(|line| line.strip_prefix("hashes "));
        let hashes = hashes.and_then(|count| count.parse().ok());
        let hashes = hashes.unwrap_or_else(|| panic!("{arguments:?}: {text}"));
        (text, hashes)
    }

    #[test]
    fn the_miner_hashes_with_either_engine() {
        for engine in ["jit", "interpreter"] {
            let (text, hashes) = mine(&["--engine", engine, "--sample"]);
            assert!(hashes > 1, "{text}");
            let sequence = text
                .lines()
                .find_map(|line| line.strip_prefix("sequence "))
                .expect("samples");
            for mode in ['0', '1', '2', '3'] {
                assert!(sequence.contains(mode), "{engine}: no {mode} in {sequence}");
            }
        }
    }

    #[test]
    fn the_miner_hashes_however_it_evades() {
        for evade in [
            "reset-and-sleep",
            "reset-and-yield",
            "pause",
            "thread-every-100ms",
            "process-every-100ms",
        ] {
            let (text, hashes) = mine(&["--evade", evade, "--threads", "2"]);
            assert!(hashes > 1, "{evade}: {text}");
        }
    }

    #[test]
    fn the_miner_keeps_to_its_share() {
        let (text, _) = mine(&["--duty", "20", "--period", "50", "--sample"]);
        let samples = text
            .lines()
            .find_map(|line| line.strip_prefix("samples ")?.split(':').next());
        let samples: u32 = samples
            .and_then(|count| count.parse().ok())
            .expect("samples");
        // At full load there would be 2,000. While it sleeps, none is taken.
        assert!((50..800).contains(&samples), "{text}");
    }

    /// As tests of the guard ask for them.
    #[test]
    fn the_miner_gets_transparent_huge_pages() {
        let setting = "/sys/kernel/mm/transparent_hugepage/enabled";
        let setting = fs::read_to_string(setting).unwrap_or_default();
        if setting.is_empty() || setting.contains("[never]") {
            return eprintln!("this system has none");
        }
        let mut miner = Command::new(program())
            .args(["--seconds", "2"])
            .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the miner");
        let mut line = String::new();
        let mut out = BufReader::new(miner.stdout.take().expect("a pipe"));
        out.read_line(&mut line).expect("a line");
        let memory = fs::read_to_string(format!("/proc/{}/smaps_rollup", miner.id()));
        assert!(miner.wait().expect("it ended").success());
        let memory = memory.expect("it was there");
        let kib = memory
            .lines()
            .find_map(|line| line.strip_prefix("AnonHugePages:"));
        let kib = kib.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
        // Some of it where memory is in small pieces.
        assert!(kib > Some(64 << 10), "{memory}");
    }

    #[test]
    fn python_hashes_with_the_miner_loaded() {
        let code = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).mine(1))";
        let mut python = Command::new("python3");
        python.args(["-c", code]).arg(loadable());
        let output = python.output().expect("python3");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let hashes: Option<u32> = text
            .lines()
            .find_map(|line| line.trim_start_matches("hashing").parse().ok());
        assert!(hashes.is_some_and(|hashes| hashes > 0), "{output:?}");
    }

    #[test]
    fn benign_programs_end_by_themselves() {
        let mut all = corpus(1);
        all.push(lookalike(1));
        for benign in all {
            let mut command = benign.command();
            let status = command.stdout(Stdio::null()).status();
            let status = status.unwrap_or_else(|error| panic!("{}: {error}", benign.name));
            assert!(status.success(), "{}: {status}", benign.name);
        }
    }
}
