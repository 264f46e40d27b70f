//! What a drill plays of the guards on the network: each in a network of its own, from which nothing leads anywhere.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
};

use hayward_kernel::enter_own_network;

/// Of documentation (RFC 5737): nobody has it.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Of these, settings deny some: what is denied unless they say otherwise, and what they allow only where they allow all.
const DENIED: [&str; 3] = ["169.254.169.254:80", "198.51.100.1:9", "[2001:db8::1]:9"];
/// Ports that are tried; nobody listens at any, and a third of them are enough.
const PORTS: std::ops::RangeInclusive<u16> = 1..=20;

/// What `hayward canary-reaching CGROUP` does: joins the cgroup and connects to addresses of which settings may deny some.
/// Says whether any was refused.
pub fn reach(cgroup: &str) -> io::Result<bool> {
    join(cgroup)?;
    let addresses = DENIED.iter().filter_map(|text| text.parse().ok());
    Ok(addresses.into_iter().any(is_refused))
}

/// What `hayward canary-scanning CGROUP` does: joins the cgroup and scans its own network. Says whether it was stopped.
pub fn scan(cgroup: &str) -> io::Result<bool> {
    join(cgroup)?;
    Ok(PORTS.into_iter().any(|port| is_refused((OWN, port).into())))
}

fn join(cgroup: &str) -> io::Result<()> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    enter_own_network(OWN)
}

/// Not by whoever is there, and not because nobody is.
fn is_refused(address: SocketAddr) -> bool {
    let connected = TcpStream::connect(address);
    connected.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}
