//! A process that mines by RandomX is recognised by how it rounds, whatever it is called.

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        path::Path,
        process::{Child, Command, Stdio},
        time::Instant,
    };

    use hayward_tests::Host;

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
    fn explore() {
        let host = host("");
        let miner = std::env::var("MINER").expect("MINER");
        for scenario in std::env::var("SCENARIOS").unwrap_or_default().split(';') {
            let mut arguments = vec![miner.as_str()];
            arguments.extend(scenario.split_whitespace());
            let mut child = start(&host.inside, &arguments);
            let mut line = String::new();
            let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
            out.read_line(&mut line).expect("hashing");
            let began = Instant::now();
            let status = child.wait().expect("it ends");
            let took = began.elapsed();
            let records = host.records("killed");
            let mining = records.last().map(|r| r["evidence"]["mining"].to_string());
            eprintln!(
                "{scenario}: {:?} after {took:.2?} {} {mining:?}",
                status,
                line.trim()
            );
        }
        eprintln!("{}", host.log().lines().last().unwrap_or_default());
        eprintln!("{:#}", host.status()["guards"]["randomx"]);
    }
}
