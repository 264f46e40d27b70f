//! A process that mines by RandomX is recognised by how it rounds, whatever it is called.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader},
        path::Path,
        process::{Child, Command, Stdio},
        time::{Duration, Instant},
    };

    use hayward_tests::{Host, Start};

    /// An agent whose only guard beside the harness's is `randomx`, with these settings.
    fn host(randomx: &str) -> Host {
        let host = Host::new();
        host.edit_settings("journal:", &format!("  randomx: {{{randomx}}}\njournal:"));
        let host = host.running();
        host.wait_until("the guard is in force", || {
            host.status()["guards"]["randomx"]["status"] == "enforcing"
        });
        host
    }

    /// Starts a command in a cgroup.
    fn start(cgroup: &Path, command: &[&str]) -> Child {
        Command::new("/bin/sh")
            .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#])
            .arg(cgroup)
            .args(command)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started")
    }

    #[test]
    fn a_miner_is_killed_within_seconds() {
        let host = host("");
        let miner = std::env::var("MINER").expect("MINER");
        let mut child = start(&host.inside, &[&miner, "--seconds", "30"]);
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("hashing");
        let began = Instant::now();
        let status = child.wait().expect("it ends");
        eprintln!("{line} {status:?} after {:?}", began.elapsed());
        eprintln!("{}", host.log());
        eprintln!("{:#}", host.status()["guards"]["randomx"]);
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
