//! The host's ends of pairs of veth devices, where workloads with a network of their own come out: the kernel tells of each
//! that comes and goes (rtnetlink(7)), and has frames judged there.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
};

use hayward_kernel::Kernel;

use crate::{
    AgentError,
    agent::Agent,
    namespace::is_elsewhere,
    netlink::{MOST_READS, Message, Netlink, Received, WAIT, attribute, messages, text},
    routes::uplinks,
};

/// Numbers of linux/rtnetlink.h and linux/if_link.h.
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTMGRP_LINK: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
/// Bytes of `struct ifinfomsg`, and where in it the device's number stands.
const LINK_HEADER: usize = 16;
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
    netlink: Netlink,
    names: BTreeMap<u32, String>,
    /// All have been told.
    complete: bool,
}

impl Veths {
    /// Asks to be told of devices, first of all that there are.
    fn open() -> io::Result<Self> {
        let mut veths = Self {
            netlink: Netlink::open(None, RTMGRP_LINK)?,
            names: BTreeMap::new(),
            complete: false,
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
        self.netlink.ask(RTM_GETLINK, &[0; LINK_HEADER])
    }

    /// Waits for news for a while, and takes them.
    fn read(&mut self) -> io::Result<()> {
        let bytes = match self.netlink.wait()? {
            Received::Some(bytes) => bytes,
            Received::Nothing => return Ok(()),
            Received::Lost => return self.ask(),
        };
        for news in read_all(bytes) {
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
        let uplinks: HashSet<&str> = uplinks(&routes, &routes6).collect();
        let names = self.names.iter();
        names
            .filter(|(_, name)| !uplinks.contains(name.as_str()))
            .map(|(device, _)| *device)
            .collect()
    }
}

/// What to do about an agent that [`is_elsewhere`].
const ELSEWHERE: &str = "this agent is in a network of its own, where workloads' devices are not; in Kubernetes, set `hostNetwork: true` for its pod";

/// The news of one datagram; what cannot be read ends them.
fn read_all(bytes: &[u8]) -> Vec<io::Result<News>> {
    let all = messages(bytes).into_iter();
    let news = all.filter_map(|message| match message {
        Ok(Message::Done) => Some(Ok(News::All)),
        Ok(Message::Of(kind, payload)) => link(kind, payload).map(Ok),
        Err(error) => Some(Err(error)),
    });
    news.collect()
}

fn link(kind: u16, payload: &[u8]) -> Option<News> {
    // A port that leaves a bridge is gone for the family of bridges, and is still there.
    let of_all_families = payload.first() == Some(&0);
    if !of_all_families {
        return None;
    }
    let index = payload.get(LINK_INDEX..)?.first_chunk()?;
    let device = u32::from_ne_bytes(*index);
    if kind == RTM_DELLINK {
        return Some(News::Gone(device));
    }
    let attributes = payload.get(LINK_HEADER..)?;
    let kind_of_device = attribute(attribute(attributes, IFLA_LINKINFO)?, IFLA_INFO_KIND)?;
    let name = attribute(attributes, IFLA_IFNAME)?;
    let is_veth = kind == RTM_NEWLINK && text(kind_of_device) == "veth";
    is_veth.then(|| News::Veth(device, text(name)))
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
    use hayward_fuzz::{Corpus, throw};

    use super::*;
    use crate::netlink::made;

    fn message(kind: u16, device: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut payload = vec![0; LINK_HEADER];
        payload[LINK_INDEX..LINK_INDEX + 4].copy_from_slice(&device.to_ne_bytes());
        payload.extend(attributes.concat());
        made::message(kind, &payload)
    }

    fn device(number: u32, name: &str, kind: &str) -> Vec<u8> {
        let kind = made::attribute(IFLA_INFO_KIND, format!("{kind}\0").as_bytes());
        let name = made::attribute(IFLA_IFNAME, format!("{name}\0").as_bytes());
        let information = made::attribute(IFLA_LINKINFO, &kind);
        message(RTM_NEWLINK, number, &[name, information])
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
            message(RTM_NEWLINK, 2, &[made::attribute(IFLA_IFNAME, b"eth0\0")]),
            message(RTM_DELLINK, 9, &[]),
            made::done(),
        ];
        let expected = [News::Veth(7, "veth1a2b".into()), News::Gone(9), News::All];
        assert_eq!(news(&bytes.concat()), expected);
    }

    #[test]
    fn reading_damaged_messages_never_panics() {
        let bytes = [device(7, "veth1a2b", "veth"), made::done()].concat();
        let strategy = Corpus::new([bytes.as_slice()], ["\0", "veth"]).damaged();
        throw(500, &strategy, |input| {
            let _ = read_all(&input.0);
            Ok(())
        });
    }

    #[test]
    fn the_devices_of_this_network_can_be_listed() {
        assert!(Veths::open().expect("netlink").complete);
    }
}
