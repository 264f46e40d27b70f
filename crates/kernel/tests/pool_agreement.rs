//! The kernel side reads messages and questions as Rust does, whatever they say.

#[cfg(test)]
#[allow(unreachable_pub, reason = "other tests have this file too")]
mod messages;
#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;
#[cfg(test)]
#[allow(dead_code, reason = "the tests of what is said have this file too")]
mod talk;

#[cfg(test)]
mod tests {
    use hayward_fuzz::throw;
    use hayward_kernel::{Pins, PoolDomains};
    use hayward_model::{Mode, PoolDialect};
    use proptest::{prelude::*, sample::select};

    use crate::{
        messages::{Value, asks_for_a_pool, damaged_questions, dialect, message, written},
        place::Place,
        talk::{End::Workload as Own, connect, events, kernel, said, workload},
    };

    #[test]
    fn a_message_is_of_the_dialect_that_rust_reads_in_it() {
        let place = Place::new("messages");
        let kernel = kernel(&place, Mode::Observe);
        let workload = std::cell::RefCell::new(workload(&place));
        let found = std::cell::Cell::new(0);
        throw(
            600,
            &(message(), select(vec!["", " ", "\r\n\t"])),
            |(message, space)| {
                let text = written(&Value::Object(message.clone()), space);
                prop_assume!(text.len() < 2_000);
                let mut workload = workload.borrow_mut();
                connect(&mut workload, 4);
                said(&mut workload, Own, &[text.as_bytes()]);
                let told: Vec<PoolDialect> =
                    events(&kernel).iter().map(|event| event.dialect).collect();
                let expected: Vec<PoolDialect> = dialect(&message).into_iter().collect();
                found.set(found.get() + expected.len());
                prop_assert_eq!(told, expected, "{}", text);
                Ok(())
            },
        );
        assert!(
            found.get() > 30,
            "only {} messages are of a dialect",
            found.get()
        );
    }

    #[test]
    fn a_damaged_question_is_refused_only_where_it_still_asks_for_a_pool() {
        let place = Place::new("questions");
        let kernel = kernel(&place, Mode::Enforce);
        let domains = PoolDomains::open(&Pins::new(&place.pins)).expect("a pinned map");
        domains.set(["pool.example.org"]).expect("room");
        let mut workload = workload(&place);
        workload.all(&[("make resolver 4 SOCK_DGRAM", "ok")]);
        let workload = std::cell::RefCell::new(workload);
        let refused = std::cell::Cell::new(0);
        throw(600, &damaged_questions(), |input| {
            prop_assume!(!input.0.is_empty() && input.0.len() < 1_200);
            let hex: String = input.0.iter().map(|byte| format!("{byte:02x}")).collect();
            let answer = workload
                .borrow_mut()
                .does(&format!("say_to resolver {hex} 10.2.0.1 53"));
            let expected = if asks_for_a_pool(&input.0) {
                "EPERM"
            } else {
                "ok"
            };
            refused.set(refused.get() + usize::from(expected == "EPERM"));
            prop_assert_eq!(answer, expected, "{}", hex);
            Ok(())
        });
        assert!(
            refused.get() > 10,
            "only {} questions are for a pool",
            refused.get()
        );
        drop(kernel);
    }
}
