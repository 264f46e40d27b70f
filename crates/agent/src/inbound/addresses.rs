//! The addresses of network interfaces, as the kernel tells them (rtnetlink(7)).

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::netlink::{MOST_READS, Message, Netlink, Received, attribute, messages};

/// Numbers of linux/rtnetlink.h, linux/if_addr.h and linux/socket.h.
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Bytes of `struct ifaddrmsg`, and where in it stand the family, the scope and the interface's number.
const HEADER: usize = 8;
const FAMILY: usize = 0;
const SCOPE: usize = 3;
const INDEX: usize = 4;
/// Of such a scope, an address can be reached from elsewhere.
const UNIVERSE: u8 = 0;

/// Addresses that others can reach, by the numbers of interfaces.
pub(crate) type Addresses = BTreeMap<u32, Vec<IpAddr>>;

/// Asks for all.
pub(crate) fn addresses() -> io::Result<Addresses> {
    let mut netlink = Netlink::open(None, 0)?;
    netlink.ask(RTM_GETADDR, &[0; HEADER])?;
    let mut all = Addresses::new();
    for _ in 0..MOST_READS {
        if let Received::Some(bytes) = netlink.wait()?
            && take(&mut all, bytes)?
        {
            return Ok(all);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Takes the messages of one datagram, and says whether they end the list.
fn take(all: &mut Addresses, bytes: &[u8]) -> io::Result<bool> {
    let mut complete = false;
    for message in messages(bytes) {
        match message? {
            Message::Done => complete = true,
            Message::Of(RTM_NEWADDR, payload) => {
                if let Some((interface, address)) = address(payload) {
                    all.entry(interface).or_default().push(address);
                }
            }
            Message::Of(..) => {}
        }
    }
    Ok(complete)
}

fn address(payload: &[u8]) -> Option<(u32, IpAddr)> {
    let interface = u32::from_ne_bytes(*payload.get(INDEX..)?.first_chunk()?);
    let attributes = payload.get(HEADER..)?;
    // At a link between two, the former is the other's.
    let bytes = attribute(attributes, IFA_LOCAL).or_else(|| attribute(attributes, IFA_ADDRESS))?;
    let address = match *payload.get(FAMILY)? {
        AF_INET => Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(),
        AF_INET6 => Ipv6Addr::from(*bytes.first_chunk::<16>()?).into(),
        _ => return None,
    };
    (payload.get(SCOPE) == Some(&UNIVERSE)).then_some((interface, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::made;

    fn told(family: u8, scope: u8, interface: u32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut payload = vec![family, 24, 0, scope];
        payload.extend(interface.to_ne_bytes());
        for (kind, value) in attributes {
            payload.extend(made::attribute(*kind, value));
        }
        made::message(RTM_NEWADDR, &payload)
    }

    #[test]
    fn addresses_that_others_can_reach_are_told_by_interface() {
        let six = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let bytes = [
            told(AF_INET, UNIVERSE, 2, &[(IFA_ADDRESS, &[192, 0, 2, 1])]),
            told(
                AF_INET,
                UNIVERSE,
                3,
                &[(IFA_ADDRESS, &[192, 0, 2, 9]), (IFA_LOCAL, &[192, 0, 2, 3])],
            ),
            told(AF_INET6, UNIVERSE, 2, &[(IFA_ADDRESS, &six.octets())]),
            told(AF_INET6, 253, 2, &[(IFA_ADDRESS, &[0xfe; 16])]),
            told(AF_INET, UNIVERSE, 4, &[(IFA_ADDRESS, &[192])]),
            told(7, UNIVERSE, 4, &[(IFA_ADDRESS, &[0; 16])]),
        ];
        let mut all = Addresses::new();
        assert!(!take(&mut all, &bytes.concat()).expect("good"));
        assert!(take(&mut all, &made::done()).expect("good"));
        let expected = [
            (2, vec![[192, 0, 2, 1].into(), six.into()]),
            (3, vec![[192, 0, 2, 3].into()]),
        ];
        assert_eq!(all, Addresses::from(expected));
    }

    #[test]
    fn those_of_this_network_are_listed() {
        let all = addresses().expect("netlink");
        assert!(all.values().all(|addresses| !addresses.is_empty()));
    }
}
