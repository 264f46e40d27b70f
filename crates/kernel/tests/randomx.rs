//! The sensor of the `randomx` guard: what it sees of threads in scope, and only of those.

#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        fs,
        path::Path,
        process::Command,
        time::{Duration, Instant},
    };

    use hayward_kernel::{Kernel, Nudger, round_irregularly, wire::decode};
    use hayward_model::{Event, Guard, Mode, RoundingEvent, ScopePolicy};

    use crate::place::{Place, id_of};

    const HELPER: &str = "HAYWARD_TEST_ROUNDS_IN";
    /// Threads one after the other, if there is such a variable.
    const SHORT_LIVED: &str = "HAYWARD_TEST_ROUNDS_IN_THREADS";
    const SAMPLES: usize = 40;
    const HELPS_FOR: Duration = Duration::from_secs(3);

    /// Not a test: started by the tests below, it joins a cgroup and rounds irregularly for a while.
    #[test]
    fn helper() {
        if let Some(cgroup) = std::env::var_os(HELPER) {
            fs::write(Path::new(&cgroup).join("cgroup.procs"), "0").expect("joined");
            let began = Instant::now();
            while std::env::var_os(SHORT_LIVED).is_some() && began.elapsed() < HELPS_FOR {
                let short = || round_irregularly(Duration::from_millis(8));
                std::thread::spawn(short).join().expect("a thread");
            }
            round_irregularly(HELPS_FOR.saturating_sub(began.elapsed()));
        }
    }

    /// What the sensor tells until there are enough samples, or the helper has ended.
    fn observe(cgroup: &Path, kernel: &Kernel, variables: &[&str]) -> Vec<RoundingEvent> {
        let seen = RefCell::new(Vec::new());
        let stream = kernel.events(|bytes| {
            if let Ok(Event::Rounding(event)) = decode(bytes) {
                seen.borrow_mut().push(event);
            }
        });
        let stream = stream.expect("rings");
        // On an idle machine nothing else would interrupt it.
        let nudger = Nudger::start().expect("threads");
        for processor in nudger.processors() {
            nudger.set_rate(processor, 400);
        }
        let mut helper = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "tests::helper"])
            .env(HELPER, cgroup)
            .envs(variables.iter().map(|name| (name, "1")))
            .spawn()
            .expect("started");
        let deadline = Instant::now() + Duration::from_secs(10);
        let count = || {
            seen.borrow()
                .iter()
                .map(|event| event.samples.len())
                .sum::<usize>()
        };
        while count() < SAMPLES
            && helper.try_wait().expect("a child").is_none()
            && Instant::now() < deadline
        {
            stream.poll(Duration::from_millis(5)).expect("rings");
        }
        let _ = helper.kill();
        let _ = helper.wait();
        let pid = helper.id();
        drop(stream);
        let events = seen.into_inner();
        assert!(events.iter().all(|event| event.pid == pid));
        events
    }

    fn kernel(place: &Place) -> Kernel {
        let mut kernel = Kernel::load(&place.options(), &[0], &[0]).expect("the kernel side loads");
        kernel.activate().expect("the programs attach");
        kernel.attach_sensor().expect("the sensor attaches");
        if let Some(error) = kernel.failure(Guard::Randomx) {
            panic!("{error}");
        }
        kernel
    }

    #[test]
    fn a_thread_in_scope_is_seen_in_all_modes_and_one_out_of_scope_is_not_seen() {
        let place = Place::new("rounding");
        let kernel = kernel(&place);
        let inside = place.group("inside");
        let policy = ScopePolicy::of(Guard::Randomx, Mode::Observe);
        kernel.set_scope(id_of(&inside), policy).expect("in scope");
        let events = observe(&inside, &kernel, &[]);
        let samples: Vec<_> = events.iter().flat_map(|event| &event.samples).collect();
        let of_mode = |mode| samples.iter().filter(|sample| sample.mode == mode).count();
        eprintln!("{:?}", [0, 1, 2, 3].map(of_mode));
        assert!(samples.len() >= SAMPLES, "{}", samples.len());
        assert!((0..4).all(|mode| of_mode(mode) >= 2));
        let flushing = samples.iter().filter(|sample| sample.flush).count();
        assert!(flushing * 10 >= samples.len() * 9, "{flushing}");
        assert!(
            samples
                .windows(2)
                .all(|pair| pair[0].boot_ns < pair[1].boot_ns)
        );
        assert!(events.iter().all(|event| event.cgroup_id == id_of(&inside)));

        let outside = place.group("outside");
        assert!(observe(&outside, &kernel, &[]).is_empty());
    }

    /// Few of these threads live to be seen eight times, and few only once.
    #[test]
    fn what_was_seen_of_a_thread_that_is_gone_is_told_all_the_same() {
        let place = Place::new("short-lived");
        let kernel = kernel(&place);
        let inside = place.group("inside");
        let policy = ScopePolicy::of(Guard::Randomx, Mode::Observe);
        kernel.set_scope(id_of(&inside), policy).expect("in scope");
        let events = observe(&inside, &kernel, &[SHORT_LIVED]);
        let told: usize = events.iter().map(|event| event.samples.len()).sum();
        let seen = kernel.counters().expect("counters").rounding_suspect;
        let seen = usize::try_from(seen).expect("a count");
        assert!(told >= SAMPLES, "{told} of {seen}");
        assert!(told * 2 >= seen, "{told} of {seen}");
    }
}
