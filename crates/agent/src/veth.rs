//! The host's ends of pairs of veth devices, where workloads with a network of their own come out: the kernel tells of each
//! that comes and goes (rtnetlink(7)), and has frames judged there.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use hayward_kernel::Kernel;
use netlink_packet_core::{NetlinkBuffer, NlaBuffer, NlasIterator};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink, recv, send,
        socket_with, sockopt,
    },
};

use crate::{AgentError, agent::Agent};

/// How long one wait lasts, so that a stop is seen.
const WAIT: Duration = Duration::from_millis(200);
/// What the kernel tells at once is no more.
const BUFFER: usize = 1 << 16;

/// So often is waited for all that there are: some hundred devices come at a time.
const MOST_READS: usize = 1_000;

/// Numbers of linux/netlink.h, linux/rtnetlink.h and linux/if_link.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const RTMGRP_LINK: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
/// Bytes of `struct nlmsghdr`, `struct ifinfomsg` and `struct rtattr`, and where in the second the device's number stands.
const MESSAGE_HEADER: usize = 16;
const LINK_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const LINK_INDEX: usize = 4;

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// There is such a veth device.
    Veth(u32, String),
    /// A device has gone.
    Gone(u32),
    /// All that there are have been told.
    All,
}

/// The veth devices of this network, by their numbers.
struct Veths {
    socket: OwnedFd,
    names: BTreeMap<u32, String>,
    /// All have been told.
    complete: bool,
    buffer: Vec<u8>,
}

impl Veths {
    /// Asks to be told of devices, first of all that there are.
    fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let kind = SocketType::RAW;
        // No protocol is NETLINK_ROUTE, whose number is 0.
        let socket = socket_with(AddressFamily::NETLINK, kind, flags, None)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(WAIT))?;
        bind(&socket, &netlink::SocketAddrNetlink::new(0, RTMGRP_LINK))?;
        let mut veths = Self {
            socket,
            names: BTreeMap::new(),
            complete: false,
            buffer: vec![0; BUFFER],
        };
        veths.ask()?;
        for _ in 0..MOST_READS {
            if veths.complete {
                return Ok(veths);
            }
            veths.read()?;
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn ask(&mut self) -> io::Result<()> {
        self.names.clear();
        self.complete = false;
        let mut request = [0; MESSAGE_HEADER + LINK_HEADER];
        let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
        let mut message = NetlinkBuffer::new(&mut request);
        message.set_length(length);
        message.set_message_type(RTM_GETLINK);
        message.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
        send(&self.socket, &request, SendFlags::empty())?;
        Ok(())
    }

    /// Waits for news for a while, and takes them.
    fn read(&mut self) -> io::Result<()> {
        let length = match recv(&self.socket, &mut self.buffer, RecvFlags::empty()) {
            Ok((length, _)) => length.min(self.buffer.len()),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            // Some were lost.
            Err(Errno::NOBUFS) => return self.ask(),
            Err(error) => return Err(error.into()),
        };
        for news in read_all(&self.buffer[..length]) {
            match news? {
                News::Veth(device, name) => {
                    self.names.insert(device, name);
                }
                News::Gone(device) => {
                    self.names.remove(&device);
                }
                News::All => self.complete = true,
            }
        }
        Ok(())
    }

    /// Those behind which workloads may be: not one by which this network itself is connected, as a container's is.
    fn devices(&self) -> BTreeSet<u32> {
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        let routes6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
        let uplinks = uplinks(&routes, &routes6);
        let names = self.names.iter();
        names
            .filter(|(_, name)| !uplinks.contains(name.as_str()))
            .map(|(device, _)| *device)
            .collect()
    }
}

/// What to do about an agent that [`is_elsewhere`].
const ELSEWHERE: &str = "this agent is in a network of its own, where workloads' devices are not; in Kubernetes, set `hostNetwork: true` for its pod";

/// Whether this process is in another network than the host's first process, as far as that one may be looked at.
fn is_elsewhere(proc: &Path) -> bool {
    let network = |process| fs::read_link(proc.join(process).join("ns/net")).ok();
    let (own, host) = (network("self"), network("1"));
    host.is_some() && own != host
}

/// Devices of default routes, by /proc/net/route and /proc/net/ipv6_route, but of those that lead nowhere (`lo`).
fn uplinks<'a>(routes: &'a str, routes6: &'a str) -> HashSet<&'a str> {
    let zero = |field: Option<&str>| field.is_some_and(|field| field.bytes().all(|it| it == b'0'));
    let ipv4 = routes.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        (zero(fields.next()) && zero(fields.nth(5))).then_some(name)
    });
    let ipv6 = routes6.lines().filter_map(move |line| {
        let mut fields = line.split_whitespace();
        let is_default = zero(fields.next()) && zero(fields.next());
        fields.last().filter(|name| is_default && *name != "lo")
    });
    ipv4.chain(ipv6).collect()
}

/// The messages of one datagram; what cannot be read ends them.
fn read_all(mut bytes: &[u8]) -> Vec<io::Result<News>> {
    let mut all = Vec::new();
    while let Ok(message) = NetlinkBuffer::new_checked(bytes) {
        match message.message_type() {
            NLMSG_DONE => all.push(Ok(News::All)),
            NLMSG_ERROR => {
                let code = message.payload().first_chunk().copied();
                let code = code.map_or(0, i32::from_ne_bytes);
                all.push(Err(io::Error::from_raw_os_error(code.saturating_neg())));
            }
            kind => all.extend(link(kind, message.payload()).map(Ok)),
        }
        // Each begins at a multiple of four.
        let length = (message.length() as usize).next_multiple_of(4);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    all
}

fn link(kind: u16, payload: &[u8]) -> Option<News> {
    let index = payload.get(LINK_INDEX..)?.first_chunk()?;
    let device = u32::from_ne_bytes(*index);
    if kind == RTM_DELLINK {
        return Some(News::Gone(device));
    }
    let attributes = payload.get(LINK_HEADER..)?;
    let kind_of_device = attribute(attribute(attributes, IFLA_LINKINFO)?, IFLA_INFO_KIND)?;
    let name = attribute(attributes, IFLA_IFNAME)?;
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0);
        String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
    };
    let is_veth = kind == RTM_NEWLINK && text(kind_of_device) == "veth";
    is_veth.then(|| News::Veth(device, text(name)))
}

fn attribute(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = NlasIterator::new(attributes).map_while(Result::ok);
    let found: NlaBuffer<&[u8]> = all.find(|attribute| attribute.kind() == kind)?;
    let length = usize::from(found.length());
    found.into_inner().get(ATTRIBUTE_HEADER..length)
}

impl Agent {
    /// Has frames judged where workloads with a network of their own come out, now and wherever one comes.
    pub(crate) fn watch_veths(
        self: &Arc<Self>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Option<JoinHandle<()>>, AgentError> {
        if !self.with_kernel(|kernel| Ok(kernel.judges_frames()))? {
            return Ok(None);
        }
        let mut veths = match Veths::open() {
            Ok(veths) => veths,
            Err(error) => {
                self.frames_unseen(Some(format!("network devices cannot be listed: {error}")));
                return Ok(None);
            }
        };
        self.judge_frames(&veths);
        let (agent, stop) = (self.clone(), stop.clone());
        let builder = std::thread::Builder::new().name("veth".to_owned());
        let thread = builder.spawn(move || {
            // Those for which it was last seen to: all that there are may take several messages to tell.
            let mut judged = Some(veths.names.clone());
            while !stop.load(Relaxed) {
                if let Err(error) = veths.read() {
                    agent
                        .frames_unseen(Some(format!("network devices cannot be watched: {error}")));
                    std::thread::sleep(WAIT);
                    judged = None;
                    // Where that fails too, the next reading does.
                    let _ = veths.ask();
                }
                if veths.complete && judged.as_ref() != Some(&veths.names) {
                    agent.judge_frames(&veths);
                    judged = Some(veths.names.clone());
                }
            }
        });
        thread
            .map(Some)
            .map_err(|source| AgentError::Thread { source })
    }

    fn judge_frames(&self, veths: &Veths) {
        let devices = veths.devices();
        let judged = self.with_kernel(|kernel: &mut Kernel| kernel.judge_frames(&devices));
        let elsewhere = is_elsewhere(Path::new("/proc")).then(|| ELSEWHERE.to_owned());
        let why = judged.err().map(|error| error.to_string()).or(elsewhere);
        self.frames_unseen(why);
    }

    /// Notes why frames of packet sockets leave some workload unseen, or that none do.
    fn frames_unseen(&self, why: Option<String>) {
        if let Ok(mut problem) = self.frames_unseen.lock() {
            if let Some(why) = why.as_ref().filter(|why| problem.as_ref() != Some(why)) {
                tracing::error!("frames of packet sockets leave unseen: {why}");
            }
            *problem = why;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_fuzz::{Corpus, throw};

    /// An attribute, padded to a multiple of four.
    fn attribute_of(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).expect("short");
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, device: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut payload = vec![0; LINK_HEADER];
        payload[LINK_INDEX..LINK_INDEX + 4].copy_from_slice(&device.to_ne_bytes());
        payload.extend(attributes.concat());
        let mut bytes = vec![0; MESSAGE_HEADER];
        bytes.extend(payload);
        let length = u32::try_from(bytes.len()).expect("short");
        let mut message = NetlinkBuffer::new(&mut bytes);
        message.set_length(length);
        message.set_message_type(kind);
        bytes
    }

    fn device(number: u32, name: &str, kind: &str) -> Vec<u8> {
        let kind = attribute_of(IFLA_INFO_KIND, format!("{kind}\0").as_bytes());
        let name = attribute_of(IFLA_IFNAME, format!("{name}\0").as_bytes());
        message(
            RTM_NEWLINK,
            number,
            &[name, attribute_of(IFLA_LINKINFO, &kind)],
        )
    }

    fn news(bytes: &[u8]) -> Vec<News> {
        let all = read_all(bytes).into_iter();
        all.collect::<io::Result<_>>().expect("no error")
    }

    #[test]
    fn veth_devices_are_told_from_others_and_gone_ones_are_forgotten() {
        let bytes = [
            device(7, "veth1a2b", "veth"),
            device(8, "docker0", "bridge"),
            message(RTM_NEWLINK, 2, &[attribute_of(IFLA_IFNAME, b"eth0\0")]),
            message(RTM_DELLINK, 9, &[]),
            message(NLMSG_DONE, 0, &[]),
        ];
        let expected = [News::Veth(7, "veth1a2b".into()), News::Gone(9), News::All];
        assert_eq!(news(&bytes.concat()), expected);
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error() {
        let mut refused = message(NLMSG_ERROR, 0, &[]);
        refused[MESSAGE_HEADER..MESSAGE_HEADER + 4].copy_from_slice(&(-1_i32).to_ne_bytes());
        let error = read_all(&refused).remove(0).expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(1));
    }

    #[test]
    fn reading_damaged_messages_never_panics() {
        let bytes = [device(7, "veth1a2b", "veth"), message(NLMSG_DONE, 0, &[])].concat();
        let strategy = Corpus::new([bytes.as_slice()], ["\0", "veth"]).damaged();
        throw(500, &strategy, |input| {
            let _ = read_all(&input.0);
            Ok(())
        });
    }

    #[test]
    fn the_device_of_a_default_route_is_an_uplink() {
        let ipv4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            veth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let ipv6 = "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 veth1\n\
            00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth1\n\
            00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n";
        assert_eq!(uplinks(ipv4, ipv6), HashSet::from(["eth0", "eth1"]));
        assert!(uplinks("", "x\n\n").is_empty());
    }

    #[test]
    fn an_agent_in_a_network_of_its_own_is_elsewhere() {
        let proc = tempfile::tempdir().expect("a folder");
        let is_in = |process: &str, network: &str| {
            let namespaces = proc.path().join(process).join("ns");
            fs::create_dir_all(&namespaces).expect("a folder");
            std::os::unix::fs::symlink(network, namespaces.join("net")).expect("a link");
        };
        is_in("self", "net:[2]");
        // Not every process may look at the first one.
        assert!(!is_elsewhere(proc.path()));
        is_in("1", "net:[1]");
        assert!(is_elsewhere(proc.path()));
        fs::remove_dir_all(proc.path().join("self")).expect("removed");
        is_in("self", "net:[1]");
        assert!(!is_elsewhere(proc.path()));
    }

    #[test]
    fn the_devices_of_this_network_can_be_listed() {
        assert!(Veths::open().expect("netlink").complete);
    }
}
