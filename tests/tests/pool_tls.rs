//! Names of pools, as real programs say them to a real server.

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use hayward_tests::{Host, NetworkWorkload};

    const POOL: &str = "pool.supportxmr.com";
    const HARMLESS: &str = "files.example.org";
    /// What `timeout` and curl say of what took too long, and curl of an answer that it can make nothing of.
    const TOO_LONG: &str = "124";
    const CURL_TOO_LONG: &str = "28";

    /// A server with TLS, and a workload in the same network.
    fn serving(host: &Host) -> NetworkWorkload {
        let folder = host.path("server");
        fs::create_dir(&folder).expect("a folder");
        let path = folder.display();
        let made = Command::new("openssl")
            .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hayward".split(' '))
            .args([
                "-keyout".into(),
                folder.join("key"),
                "-out".into(),
                folder.join("certificate"),
            ])
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{made:?}");
        // A client that CONNECTs is told that it may not, and a plain request gets an answer.
        let settings = format!(
            "daemon off; pid {path}/pid; error_log {path}/errors; events {{}}\n\
            http {{ access_log off; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;\n\
            fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n\
            server {{ listen 10.1.0.1:80; listen 10.1.0.1:443 ssl;\n\
            ssl_certificate {path}/certificate; ssl_certificate_key {path}/key;\n\
            location / {{ return 200 served; }} }} }}\n"
        );
        fs::write(folder.join("settings"), settings).expect("a file");
        let mut workload = NetworkWorkload::new(&host.outside);
        workload.all(&[(&format!("start nginx -c {path}/settings"), "ok")]);
        host.wait_until("a server", || {
            workload.does("run curl -s -o /dev/null http://10.1.0.1/") == "0"
        });
        workload.all(&[(&format!("move {}", host.inside.display()), "ok")]);
        workload
    }

    fn guarding() -> Host {
        Host::new().guarding("pool", "{}")
    }

    /// Each command with a harmless name, which does what it says, and with a pool's, which gets no answer and is recorded.
    fn only_the_pool_is_cut(commands: &[(&str, &str, &str)]) {
        let host = guarding();
        let mut workload = serving(&host);
        for (count, (dialect, command, cut)) in commands.iter().enumerate() {
            let with = |name: &str| format!("run timeout 5 {}", command.replace("NAME", name));
            let answer = workload.does(&with(HARMLESS));
            assert_ne!(answer, *cut, "{command}");
            assert_eq!(workload.does(&with(POOL)), *cut, "{command}");
            let record = host.wait_for_records("denied", count + 1).remove(count);
            assert_eq!(record["matched"], POOL, "{command}: {record}");
            let pool = &record["evidence"]["pool"];
            assert_eq!(pool["dialect"], *dialect, "{command}: {record}");
        }
    }

    #[test]
    fn the_name_is_found_in_what_openssl_says() {
        const CONNECT: &str = "openssl s_client -connect 10.1.0.1:443 -servername NAME";
        // With so many protocols to choose from, the first message is in several records.
        let many = (10..90).map(|n| format!("protocol{n}")).collect::<Vec<_>>();
        let records = format!("{CONNECT} -max_send_frag 512 -alpn {}", many.join(","));
        only_the_pool_is_cut(&[
            ("tls", CONNECT, TOO_LONG),
            ("tls", &format!("{CONNECT} -tls1_2"), TOO_LONG),
            ("tls", &records, TOO_LONG),
        ]);
    }

    #[test]
    fn the_name_is_found_in_what_curl_says() {
        const CURL: &str = "curl -skf -o /dev/null --max-time 3";
        let at = |port| format!("{CURL} --resolve NAME:{port}:10.1.0.1");
        only_the_pool_is_cut(&[
            ("tls", &format!("{} https://NAME/", at(443)), CURL_TOO_LONG),
            ("http", &format!("{} http://NAME/", at(80)), CURL_TOO_LONG),
            (
                "http",
                &format!("{CURL} -x http://10.1.0.1:80 http://NAME/"),
                CURL_TOO_LONG,
            ),
            (
                "http",
                &format!("{CURL} -x http://10.1.0.1:80 https://NAME/"),
                CURL_TOO_LONG,
            ),
        ]);
    }

    #[test]
    fn the_name_is_found_in_what_a_browser_says() {
        let host = guarding();
        let mut workload = serving(&host);
        let script = host.path("browse");
        let home = host.path("home");
        fs::create_dir(&home).expect("a folder");
        let text = format!(
            "HOME={0} timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
            --user-data-dir={0} --ignore-certificate-errors --host-resolver-rules='MAP * 10.1.0.1' \
            --timeout=5000 --dump-dom \"https://$1/\" | grep -q served\n",
            home.display()
        );
        fs::write(&script, text).expect("a file");
        let browse = |name| format!("run sh {} {name}", script.display());
        workload.all(&[(&browse(HARMLESS), "0"), (&browse(POOL), "1")]);
        let record = host.wait_for_records("denied", 1).remove(0);
        assert_eq!(record["matched"], POOL, "{record}");
        assert_eq!(record["evidence"]["pool"]["dialect"], "tls", "{record}");
    }
}
