//! Which policy a new cgroup is entered under, on the real kernel, below a cgroup that the test makes and removes.

#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs, os::unix::fs::MetadataExt, time::Duration};

    use hayward_kernel::{Kernel, KernelOptions, Variant, wire};
    use hayward_model::{CgroupEvent, Event, Guard, Mode, ScopePolicy};
    use hayward_rules::table::ScopeTable;

    use crate::place::Place;

    /// Does the same with each variant of the programs; this kernel must take them all.
    fn with_each_variant(name: &str, act: impl Fn(Place)) {
        for variants in Variant::ALL.chunks(1) {
            eprintln!("{variants:?}");
            let mut place = Place::new(name);
            place.variants = variants;
            act(place);
        }
    }

    /// A kernel side in which no command is banned.
    fn kernel(place: &Place) -> Kernel {
        let nothing = ScopeTable::compile(&[]).expect("a scope");
        let kernel = Kernel::load(&place.options(), &[0], nothing.words());
        let mut kernel = kernel.expect("the kernel side loads");
        kernel.activate().expect("the programs attach");
        kernel
    }

    fn policy(mode: Mode) -> ScopePolicy {
        ScopePolicy::of(Guard::Command, mode)
    }

    #[test]
    fn a_new_cgroups_entry_is_what_the_table_says_of_its_path() {
        with_each_variant("entries", |place| {
            let mut kernel = kernel(&place);
            let regexes = [
                (".*/a[^/]*c(/.*)?", ScopePolicy::EXCLUDED),
                (".*/b/[^/]*[^/]/c(/.*)?", policy(Mode::Observe)),
                (".*/[^/]*b[^/]*a(/.*)?", policy(Mode::Enforce)),
                (".*/c/.*", policy(Mode::Observe)),
            ];
            let patterns = regexes.map(|(regex, policy)| (regex.to_owned(), policy));
            let scope = ScopeTable::compile(&patterns).expect("a scope");
            kernel.replace_tables(&[0], scope.words()).expect("a scope");
            let mut seen = Vec::new();
            // Every path of three components over these names, and their parents.
            let names = ["a", "b", "c", "abc", "bba"];
            for number in 0..names.len().pow(3) {
                let path = [names[number / 25], names[number / 5 % 5], names[number % 5]].join("/");
                let path = format!("box/{path}");
                let cgroup = place.group(&path);
                let id = fs::metadata(cgroup).expect("the cgroup").ino();
                let entry = kernel.scope(id).expect("the map");
                let expected = scope.policy(format!("{}/{path}", place.path).as_bytes());
                assert_eq!(entry, Some(expected), "{path}");
                seen.push(expected);
            }
            for policy in [
                policy(Mode::Observe),
                policy(Mode::Enforce),
                ScopePolicy::OUT,
            ] {
                assert!(seen.contains(&policy), "{policy:?}");
            }
        });
    }

    #[test]
    fn what_is_made_below_a_cgroup_that_a_name_decided_comes_with_it_and_is_told() {
        with_each_variant("names", |place| {
            let mut kernel = kernel(&place);
            let options = KernelOptions {
                by_name: true,
                ..place.options()
            };
            kernel.write_cells(&options).expect("cells");
            let patterns = [(".*/box/.*".to_owned(), policy(Mode::Enforce))];
            let scope = ScopeTable::compile(&patterns).expect("a scope");
            kernel.replace_tables(&[0], scope.words()).expect("a scope");
            let entry = |path: &str| {
                let id = fs::metadata(place.group(path)).expect("the cgroup").ino();
                (id, kernel.scope(id).expect("the map").expect("an entry"))
            };
            let (id, by_path) = entry("box/a");
            assert_eq!(by_path, policy(Mode::Enforce));
            let named = policy(Mode::Observe).named();
            kernel.set_scope(id, named).expect("entered");
            let (below, inherited) = entry("box/a/b");
            assert_eq!(inherited, named);
            assert_eq!(entry("box/a/b/c").1, named);
            assert_eq!(entry("box/other").1, policy(Mode::Enforce));
            let told = RefCell::new(Vec::new());
            let events = kernel
                .events(|bytes| {
                    told.borrow_mut()
                        .push(wire::decode(bytes).expect("an event"))
                })
                .expect("the rings");
            events.poll(Duration::from_secs(1)).expect("events");
            let event = Event::Cgroup(CgroupEvent {
                cgroup_id: below,
                path: format!("{}/box/a/b", place.path),
            });
            assert!(told.borrow().contains(&event), "{told:?}");
            // Names no longer decide anything.
            kernel.write_cells(&place.options()).expect("cells");
            assert_eq!(entry("box/a/d").1, policy(Mode::Enforce));
        });
    }
}
