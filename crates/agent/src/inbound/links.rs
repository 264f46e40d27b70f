//! The network interfaces that there are, as the kernel tells of them (rtnetlink(7)), those that come later too.

use std::{collections::BTreeMap, io};

use crate::netlink::{MOST_READS, Message, Netlink, Received, attribute, messages, text};

/// Numbers of linux/rtnetlink.h, linux/if_link.h, linux/if.h and linux/if_arp.h.
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTMGRP_LINK: u32 = 0x1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV4_ROUTE: u32 = 0x40;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const RTMGRP_IPV6_ROUTE: u32 = 0x400;
const IFLA_IFNAME: u16 = 3;
const IFF_UP: u32 = 1;
const ARPHRD_ETHER: u16 = 1;
/// Bytes of `struct ifinfomsg`, and where in it stand the family, the type of the link, its number and its flags.
const LINK_HEADER: usize = 16;
const LINK_FAMILY: usize = 0;
const LINK_TYPE: usize = 2;
const LINK_INDEX: usize = 4;
const LINK_FLAGS: usize = 8;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// What it is called.
    pub(crate) name: String,
    /// Packets have a header of Ethernet there.
    pub(crate) ethernet: bool,
    /// It is switched on.
    pub(crate) up: bool,
}

/// Interfaces by their numbers.
pub(crate) type Links = BTreeMap<u32, Link>;

/// Told of links, addresses and routes.
pub(crate) struct Watched {
    netlink: Netlink,
    links: Links,
    /// All have been told.
    complete: bool,
}

impl Watched {
    /// Asks to be told of interfaces, first of all that there are.
    pub(crate) fn open() -> io::Result<Self> {
        let groups = RTMGRP_LINK
            | RTMGRP_IPV4_IFADDR
            | RTMGRP_IPV4_ROUTE
            | RTMGRP_IPV6_IFADDR
            | RTMGRP_IPV6_ROUTE;
        let mut watched = Self {
            netlink: Netlink::open(None, groups)?,
            links: Links::new(),
            complete: false,
        };
        watched.ask()?;
        for _ in 0..MOST_READS {
            if watched.complete {
                return Ok(watched);
            }
            watched.changed()?;
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Asks for all that there are.
    pub(crate) fn ask(&mut self) -> io::Result<()> {
        self.links.clear();
        self.complete = false;
        self.netlink.ask(RTM_GETLINK, &[0; LINK_HEADER])
    }

    /// The interfaces; none while they are being asked for.
    pub(crate) fn links(&self) -> Option<&Links> {
        self.complete.then_some(&self.links)
    }

    /// Waits for a while, and says whether a link, an address or a route may be another now.
    pub(crate) fn changed(&mut self) -> io::Result<bool> {
        let mut changed = false;
        for read in 0..MOST_READS {
            // What comes at once is taken at once: of a thousand routes, one look is enough.
            let received = if read == 0 {
                self.netlink.wait()
            } else {
                self.netlink.take()
            };
            match received? {
                Received::Some(bytes) => {
                    changed = true;
                    self.complete |= take(&mut self.links, bytes)?;
                }
                Received::Nothing => break,
                Received::Lost => {
                    self.ask()?;
                    return Ok(true);
                }
            }
        }
        Ok(changed)
    }
}

/// Takes the messages of one datagram, and says whether they end a list.
fn take(links: &mut Links, bytes: &[u8]) -> io::Result<bool> {
    let mut complete = false;
    for message in messages(bytes) {
        match message? {
            Message::Done => complete = true,
            // A port that leaves a bridge is gone for the family of bridges, and is still there.
            Message::Of(_, payload) if payload.get(LINK_FAMILY) != Some(&0) => {}
            Message::Of(RTM_NEWLINK, payload) => links.extend(link(payload)),
            Message::Of(RTM_DELLINK, payload) => {
                if let Some(index) = index(payload) {
                    links.remove(&index);
                }
            }
            Message::Of(..) => {}
        }
    }
    Ok(complete)
}

fn index(payload: &[u8]) -> Option<u32> {
    let bytes = payload.get(LINK_INDEX..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn link(payload: &[u8]) -> Option<(u32, Link)> {
    let kind = u16::from_ne_bytes(*payload.get(LINK_TYPE..)?.first_chunk()?);
    let flags = u32::from_ne_bytes(*payload.get(LINK_FLAGS..)?.first_chunk()?);
    let name = attribute(payload.get(LINK_HEADER..)?, IFLA_IFNAME)?;
    let link = Link {
        name: text(name),
        ethernet: kind == ARPHRD_ETHER,
        up: flags & IFF_UP != 0,
    };
    Some((index(payload)?, link))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hayward_fuzz::{Corpus, throw};

    use super::*;
    use crate::netlink::{MESSAGE_HEADER, made};

    const PPP: u16 = 512;

    fn told(kind: u16, number: u32, name: &str, link_type: u16, flags: u32) -> Vec<u8> {
        let mut payload = vec![0; LINK_HEADER];
        payload[LINK_TYPE..LINK_TYPE + 2].copy_from_slice(&link_type.to_ne_bytes());
        payload[LINK_INDEX..LINK_INDEX + 4].copy_from_slice(&number.to_ne_bytes());
        payload[LINK_FLAGS..LINK_FLAGS + 4].copy_from_slice(&flags.to_ne_bytes());
        payload.extend(made::attribute(IFLA_IFNAME, format!("{name}\0").as_bytes()));
        made::message(kind, &payload)
    }

    #[test]
    fn interfaces_come_are_renamed_and_go() {
        let mut links = Links::new();
        let bytes = [
            told(RTM_NEWLINK, 2, "eth0", ARPHRD_ETHER, IFF_UP),
            told(RTM_NEWLINK, 3, "ppp0", PPP, 0),
            told(RTM_NEWLINK, 4, "eth1", ARPHRD_ETHER, 0),
            made::done(),
        ];
        assert!(take(&mut links, &bytes.concat()).expect("good"));
        let link = |name: &str, ethernet, up| Link {
            name: name.to_owned(),
            ethernet,
            up,
        };
        let expected = [
            (2, link("eth0", true, true)),
            (3, link("ppp0", false, false)),
            (4, link("eth1", true, false)),
        ];
        assert_eq!(links, Links::from(expected));
        let bytes = [
            told(RTM_NEWLINK, 2, "wan", ARPHRD_ETHER, IFF_UP),
            told(RTM_DELLINK, 4, "eth1", ARPHRD_ETHER, 0),
            made::message(24, b"a route"),
        ];
        assert!(!take(&mut links, &bytes.concat()).expect("good"));
        let expected = [
            (2, link("wan", true, true)),
            (3, link("ppp0", false, false)),
        ];
        assert_eq!(links, Links::from(expected));
        take(&mut links, &made::refused(1)).expect_err("refused");
        let mut of_a_bridge = told(RTM_DELLINK, 2, "wan", ARPHRD_ETHER, IFF_UP);
        of_a_bridge[MESSAGE_HEADER + LINK_FAMILY] = 7;
        take(&mut links, &of_a_bridge).expect("good");
        assert!(links.contains_key(&2), "it only left a bridge");
    }

    #[test]
    fn reading_damaged_messages_never_panics() {
        let bytes = [told(RTM_NEWLINK, 2, "eth0", ARPHRD_ETHER, 1), made::done()].concat();
        let strategy = Corpus::new([bytes.as_slice()], ["\0", "eth0"]).damaged();
        throw(500, &strategy, |input| {
            let _ = take(&mut Links::new(), &input.0);
            Ok(())
        });
    }

    /// Needs root, as the tests of the kernel side do.
    #[test]
    fn the_interfaces_of_this_network_are_listed() {
        // A thread has the network that it enters to itself.
        let thread = std::thread::spawn(|| {
            hayward_kernel::enter_own_network(Ipv4Addr::new(192, 0, 2, 1))?;
            Watched::open()
        });
        let listed = match thread.join().expect("no panic") {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
            listed => listed.expect("netlink"),
        };
        let links = listed.links().expect("all");
        let loopback = links.get(&1).expect("it is always there");
        assert_eq!((loopback.name.as_str(), loopback.ethernet), ("lo", false));
        assert!(loopback.up);
    }
}
