//! What a workload reaches through a pair of veth devices, how soon it may when it is granted something, and no more when that is
//! revoked; and the memory that the guards on the network take for many workloads.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::fd::AsFd,
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use hayward_kernel::{Egress, Grant, Kernel, Outbound, Pins, boot_ns};
use hayward_model::{Guard, Mode, ScopePolicy};
use hayward_tests::{Host, NetworkWorkload, Start};
use rustix::{
    thread::{LinkNameSpaceType, move_into_link_name_space},
    time::{ClockId, clock_gettime},
};

use crate::{
    figure::Figure,
    network::{LIST, allow},
    place,
    sample::{Samples, real},
};

const PAIRS: usize = 20;
const GRANTS: usize = 20;
const WORKLOADS: u64 = 10_000;
/// So long after the helper began does what it waits for.
const HEAD_START: Duration = Duration::from_millis(100);
/// Its name as a container's, and that of the container's cgroup.
const NAME: &str = "0123456789ab";
const CGROUP: &str =
    "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";

pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    let (bulk, memory) = through_veth(binary)?;
    let (granted, revoked) = by_hand(binary)?;
    let milliseconds = |key, what: &str, samples: &Samples| Figure {
        key,
        what: what.to_owned(),
        value: samples.quantile(1.0),
        unit: "ms",
        spread: format!("median {:.1} ms, of {GRANTS}", samples.median()),
        floor: Some(100.0),
        aim: Some(20.0),
    };
    Ok(vec![
        Figure {
            key: "network.veth_slowdown",
            what: "bulk TCP through a pair of veth devices (iperf3), without against with"
                .to_owned(),
            value: 1.0 / bulk.median(),
            unit: "",
            spread: bulk.spread(3),
            floor: Some(1.0 / 0.97),
            aim: Some(1.0 / 0.99),
        },
        milliseconds(
            "network.grant_ms",
            "from `hayward grants add` to the first connect that it allows, the slowest",
            &granted,
        ),
        milliseconds(
            "network.revoke_ms",
            "from `hayward grants revoke` to the last byte of an open connection, the slowest",
            &revoked,
        ),
        Figure {
            key: "network.memory_mib",
            what: format!(
                "kernel memory of all maps with {WORKLOADS} workloads, each granted something and known to `outbound`"
            ),
            value: memory,
            unit: "MiB",
            spread: "what the kernel says of each map".to_owned(),
            floor: Some(64.0),
            aim: Some(32.0),
        },
    ])
}

/// Rates with against without, and MiB with many workloads.
fn through_veth(binary: &Path) -> Result<(Samples, f64)> {
    eprintln!("network: {PAIRS} pairs of transfers through veth devices");
    let host = place::host(binary);
    let mut node = NetworkWorkload::new(&host.outside);
    let mut workload = NetworkWorkload::new(&host.inside);
    let device = node.does(&format!("lead {}", workload.does("pid")));
    let device: u32 = device.parse().context(device)?;
    ensure!(workload.does("follow") == "ok", "a network");
    ensure!(
        node.does("start iperf3 -s") == "ok",
        "iperf3, which stands in the package iperf3"
    );
    let network = File::open(format!("/proc/{}/ns/net", node.does("pid")))?;
    let own = File::open("/proc/thread-self/ns/net")?;
    let kind = Some(LinkNameSpaceType::Network);
    // Devices have their numbers in the network of whoever names them.
    move_into_link_name_space(network.as_fd(), kind)?;
    let measured = in_network(&host, device, &mut workload);
    move_into_link_name_space(own.as_fd(), kind)?;
    hayward_kernel::uninstall(&Pins::new(&host.pins))?;
    measured
}

fn in_network(host: &Host, device: u32, workload: &mut NetworkWorkload) -> Result<(Samples, f64)> {
    let policy = ScopePolicy::OUT
        .with(Guard::Outbound, Mode::Enforce)
        .with_egress(Mode::Enforce, LIST);
    let mut kernel = place::kernel(host, policy, vec![Guard::Egress, Guard::Outbound])?;
    for guard in [Guard::Egress, Guard::Outbound] {
        if let Some(error) = kernel.failure(guard) {
            bail!("{error}");
        }
    }
    allow(&Egress::open(&Pins::new(&host.pins))?)?;
    let devices = BTreeSet::from([device]);
    let mut rate = || -> Result<f64> {
        let answer = workload.does("throughput 10.9.0.1 1");
        answer.parse().context(answer)
    };
    let mut ratios = Vec::new();
    for pair in 0..PAIRS {
        let mut rates = [0.0; 2];
        for with in [pair % 2, 1 - pair % 2] {
            if with == 1 {
                kernel.activate()?;
                kernel.judge_frames(&devices)?;
            }
            rates[with] = rate()?;
            if with == 1 {
                kernel.detach()?;
            }
        }
        ratios.push(rates[1] / rates[0]);
    }
    let memory = memory(host, &kernel)?;
    Ok((Samples::new(ratios), memory))
}

/// MiB of all maps when so many workloads are known that no cgroup has the ids of.
fn memory(host: &Host, kernel: &Kernel) -> Result<f64> {
    let pins = Pins::new(&host.pins);
    let (egress, outbound) = (Egress::open(&pins)?, Outbound::open(&pins)?);
    let policy = ScopePolicy::of(Guard::Outbound, Mode::Enforce);
    for id in (1..=WORKLOADS).map(|number| u64::MAX - number) {
        kernel.set_scope(id, policy)?;
        kernel.set_whole(id, id - WORKLOADS)?;
        egress.grant(id, Grant::Granted, boot_ns() + 3_600_000_000_000)?;
        outbound.prove(id)?;
    }
    Ok(real(pins.memory()?) / f64::from(1 << 20))
}

/// Milliseconds from the command to a grant, and to its end.
fn by_hand(binary: &Path) -> Result<(Samples, Samples)> {
    eprintln!("network: {GRANTS} grants");
    let mut host = Host::with_binary(binary);
    host.write_settings(&Start::default());
    host.edit_settings("guards:\n", "guards:\n  egress: {policy: deny}\n");
    host.spawn();
    host.wait_until("a proven guard", || {
        let status = host.hayward(&["status", "--json"]);
        status.code == 0 && status.json()["guards"]["egress"]["status"] != "degraded"
    });
    let cgroup = host.inside.join(CGROUP);
    fs::create_dir(&cgroup)?;
    let mut workload = NetworkWorkload::new(&cgroup);
    workload.all(&[("listen web SOCK_STREAM 10.1.0.1 80", "ok")]);
    let (mut granted, mut revoked) = (Vec::new(), Vec::new());
    for _ in 0..GRANTS {
        let add = ["grants", "add", NAME, "--for", "1h"];
        granted.push(after(
            &host,
            &add,
            &mut workload,
            "until_connected 10.1.0.1 80",
        )?);
        workload.all(&[
            ("make a 4 SOCK_STREAM", "ok"),
            ("accept web tried", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
            ("accept web served", "ok"),
        ]);
        let revoke = ["grants", "revoke", NAME];
        revoked.push(after(&host, &revoke, &mut workload, "until_cut a served")?);
    }
    Ok((Samples::new(granted), Samples::new(revoked)))
}

/// Milliseconds from the start of a command to what the workload waits for.
fn after(
    host: &Host,
    command: &[&str],
    workload: &mut NetworkWorkload,
    awaited: &str,
) -> Result<f64> {
    let (began, came) = thread::scope(|scope| {
        let began = scope.spawn(|| {
            thread::sleep(HEAD_START);
            let now = clock_gettime(ClockId::Monotonic);
            host.hayward(command).ok();
            now
        });
        let came = workload.does(awaited);
        (began.join(), came)
    });
    let began = began.ok().context("the command")?;
    let came: u64 = came.parse().context(came)?;
    let began = u64::try_from(began.tv_sec)? * 1_000_000_000 + u64::try_from(began.tv_nsec)?;
    Ok(real(came.saturating_sub(began)) / 1e6)
}
