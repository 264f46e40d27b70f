//! What ban lists refuse, on the real kernel.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr, time::Instant};

    use hayward_kernel::{BanMap, Egress, Grant, Kernel, KernelOptions, Pins};
    use hayward_model::{Allowed, Guard, Mode, ScopePolicy, prefix};
    use hayward_rules::table::ScopeTable;
    use ipnet::Ipv6Net;

    use crate::{
        network::Workload,
        place::{Place, id_of},
    };

    fn net(text: &str) -> Ipv6Net {
        prefix(text.parse().expect("a prefix"))
    }

    fn bans(all: &[(&str, Option<u8>)]) -> BTreeMap<Ipv6Net, Option<u8>> {
        let all = all.iter().map(|(text, list)| (net(text), *list));
        all.collect()
    }

    /// A kernel side that judges all below `box` by list 7, which allows everything.
    fn kernel(place: &Place) -> (Kernel, Egress, BanMap) {
        let policy = ScopePolicy::OUT.with_egress(Mode::Enforce, 7);
        let scope = ScopeTable::compile(&[(".*/box(/.*)?".to_owned(), policy)]).expect("a scope");
        let options = KernelOptions {
            network: vec![Guard::Egress],
            ..place.options()
        };
        let kernel = Kernel::load(&options, &[0], scope.words());
        let mut kernel = kernel.expect("the kernel side loads");
        kernel.activate().expect("the programs attach");
        let pins = Pins::new(&place.pins);
        let egress = Egress::open(&pins).expect("pinned maps");
        egress.allow(7, net("::/0"), &Allowed::All).expect("room");
        (kernel, egress, BanMap::open(&pins).expect("pinned maps"))
    }

    #[test]
    fn what_is_banned_is_refused_where_everything_is_allowed_but_what_is_always() {
        let place = Place::new("bans");
        let (_kernel, egress, map) = kernel(&place);
        let cgroup = place.group("box");
        let mut workload = Workload::new(&cgroup);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
            ("listen web6 SOCK_STREAM fd01::1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 80", "ok"),
            ("accept far served", "ok"),
        ]);
        map.replace(&bans(&[
            ("10.0.0.0/8", Some(3)),
            ("10.1.0.0/16", None),
            ("fd01::/16", Some(4)),
        ]))
        .expect("room");
        workload.all(&[
            // What is open is cut too.
            ("send a late", "ok"),
            ("receive served", "TimeoutError"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.2.0.1 80", "EPERM"),
            ("make c 6 SOCK_STREAM", "ok"),
            ("connect c ::ffff:10.2.0.1 80", "EPERM"),
            ("connect c fd01::1 80", "EPERM"),
            ("make d 4 SOCK_DGRAM", "ok"),
            ("send_to d x 10.2.0.1 53", "EPERM"),
            // An exception within.
            ("connect b 10.1.0.1 80", "ok"),
        ]);
        assert!(map.refused(3).expect("a count") >= 3);
        assert!(map.refused(4).expect("a count") >= 1);
        assert_eq!(map.refused(0).expect("a count"), 0);
        map.forget(3).expect("a count");
        assert_eq!(map.refused(3).expect("a count"), 0);
        egress
            .allow_always(7, net("10.2.0.0/16"), &Allowed::All)
            .expect("room");
        workload.all(&[
            ("make e 4 SOCK_STREAM", "ok"),
            ("connect e 10.2.0.1 80", "ok"),
        ]);
        egress
            .grant(id_of(&cgroup), Grant::Granted, u64::MAX)
            .expect("room");
        workload.all(&[("connect c fd01::1 80", "ok")]);
        egress.revoke(id_of(&cgroup)).expect("a grant");
        map.replace(&bans(&[])).expect("nothing");
        workload.all(&[
            ("make f 6 SOCK_STREAM", "ok"),
            ("connect f fd01::1 80", "ok"),
        ]);
    }

    #[test]
    fn a_hundred_thousand_bans_are_written_fast() {
        let place = Place::new("manybans");
        let (_kernel, _egress, map) = kernel(&place);
        let many = |step: u32| -> BTreeMap<Ipv6Net, Option<u8>> {
            let address = |n: u32| Ipv4Addr::from(0x0a02_0000 + n * step).to_ipv6_mapped();
            (0..100_000)
                .map(|n| (Ipv6Net::from(address(n)), Some(1)))
                .collect()
        };
        let start = Instant::now();
        map.replace(&many(3)).expect("room");
        let first = start.elapsed();
        map.replace(&many(5)).expect("room");
        let both = start.elapsed();
        // Many times what it takes.
        assert!(both.as_secs() < 20, "{first:?}, {both:?}");
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            // 10.2.0.15 is in the second, 10.2.0.3 was in the first alone.
            ("connect a 10.2.0.15 80", "EPERM"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.2.0.1 80", "ok"),
        ]);
        println!(
            "100,000 bans: {first:?}; others in their place: {:?}",
            both - first
        );
    }
}
