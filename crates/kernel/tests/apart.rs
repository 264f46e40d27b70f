//! Workloads that are kept from each other, on the real kernel: in one network, by whose socket would be reached.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hayward_kernel::{Egress, Kernel, KernelOptions, Pins};
    use hayward_model::{Allowed, Guard, Mode, ScopePolicy, prefix};
    use hayward_rules::table::ScopeTable;

    use crate::{network::Workload, place::Place};

    /// A kernel side that lets everything be reached, but for what belongs to others.
    fn kernel(place: &Place, scope: &str, options: KernelOptions) -> Kernel {
        let policy = ScopePolicy::OUT.with_egress(Mode::Enforce, 7).apart();
        let scope = ScopeTable::compile(&[(scope.to_owned(), policy)]).expect("a scope");
        let options = KernelOptions {
            network: vec![Guard::Egress],
            users_policy: policy,
            ..options
        };
        let mut kernel = Kernel::load(&options, &[0], scope.words()).expect("it loads");
        let failure = kernel.failure(Guard::Egress);
        assert!(failure.is_none(), "{failure:?}");
        kernel.activate().expect("the programs attach");
        let egress = Egress::open(&Pins::new(&place.pins)).expect("pinned maps");
        let all = prefix("::/0".parse().expect("all"));
        egress.allow(7, all, &Allowed::All).expect("room");
        kernel
    }

    fn moves(workload: &mut Workload, group: &Path) {
        let command = format!("move {}", group.display());
        assert_eq!(workload.does(&command), "ok");
    }

    #[test]
    fn what_another_workload_listens_with_is_not_reached() {
        let place = Place::new("apart");
        let kernel = kernel(&place, ".*/box-.*", place.options());
        let [ada, bob, hub] = ["box-ada", "box-bob", "hub"].map(|name| place.group(name));
        let mut workload = Workload::new(&ada);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen web6 SOCK_STREAM fd01::1 80", "ok"),
            ("listen dual SOCK_STREAM :: 81", "ok"),
            ("listen udp SOCK_DGRAM 10.1.0.1 53", "ok"),
            ("make own 4 SOCK_STREAM", "ok"),
            ("connect own 10.1.0.1 80", "ok"),
        ]);
        moves(&mut workload, &hub);
        workload.all(&[
            ("listen api SOCK_STREAM 10.1.0.1 8081", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
        ]);
        moves(&mut workload, &bob);
        workload.all(&[
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "EPERM"),
            ("connect a 10.2.0.1 81", "EPERM"),
            ("connect a 127.0.0.1 81", "EPERM"),
            ("connect a 10.1.0.1 8081", "ok"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.1.0.1 82", "ECONNREFUSED"),
            ("make c 6 SOCK_STREAM", "ok"),
            ("connect c fd01::1 80", "EPERM"),
            ("connect c ::ffff:10.1.0.1 80", "EPERM"),
            ("make d 4 SOCK_DGRAM", "ok"),
            ("send_to d x 10.1.0.1 53", "EPERM"),
            ("make e 4 SOCK_STREAM", "ok"),
            ("send_fast e x 10.1.0.1 80", "EPERM"),
        ]);
        assert!(kernel.counters().expect("counters").egress_denied >= 7);
    }

    #[test]
    fn a_user_is_one_workload_in_all_cgroups() {
        let place = Place::new("users");
        let options = KernelOptions {
            uid_min: Some(1000),
            ..place.options()
        };
        let _kernel = kernel(&place, "/nothing", options);
        let [one, two] = ["one", "two"].map(|name| place.group(name));
        let mut workload = Workload::new(&one);
        workload.all(&[
            ("become 1000", "ok"),
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
        ]);
        moves(&mut workload, &two);
        workload.all(&[
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
            ("become 1001", "ok"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.1.0.1 80", "EPERM"),
        ]);
    }
}
