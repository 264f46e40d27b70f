//! The error rate, counted where it can be: at low thresholds.

use super::{
    super::{Randomx, Settings, innocent::Habits},
    Plan, Process, THOROUGH,
    programs::Program,
    random::Random,
};

const PROCESSES: u32 = if THOROUGH { 300_000 } else { 2_000 };
const SAMPLES_OF_EACH: u32 = 200;

/// A thread that does just what innocence is said to be: it draws an alternative, follows it, and sometimes changes.
struct Assumed {
    habits: Habits,
    previous: usize,
}

impl Program for Assumed {
    fn mode(&mut self, _seconds: f64, random: &mut Random) -> u8 {
        let probability = |mode| self.habits.clone().learn(self.previous, mode);
        let mode = random.one_of(&[0, 1, 2, 3].map(probability));
        self.habits.learn(self.previous, mode.into());
        self.previous = mode.into();
        mode
    }
}

fn assumed(_: u32) -> Box<dyn Program> {
    let mut habits = Habits::new();
    habits.begin(0);
    Box::new(Assumed {
        habits,
        previous: 0,
    })
}

/// For each sample the sum may begin anew, and from each beginning it reaches A with a probability of at most e^-A.
#[test]
fn simulation_of_the_bound() {
    let thresholds = [3.0, 5.0, 7.0, 9.0, 11.0];
    let mut alarms = [0u32; 5];
    for seed in 0..PROCESSES {
        let mut process = Process::new(Plan::ONE, &assumed, seed.into());
        let mut detector = Randomx::new(Settings {
            suspicion_nats: 0.0,
            threshold_nats: f64::MAX,
            ..Settings::default()
        });
        let mut highest = 0.0f64;
        for _ in 0..SAMPLES_OF_EACH {
            detector.take(&process.next());
            highest = highest.max(detector.suspects(0)[0].evidence_nats);
        }
        for (alarms, threshold) in alarms.iter_mut().zip(thresholds) {
            *alarms += u32::from(highest >= threshold);
        }
    }
    for (threshold, alarms) in thresholds.into_iter().zip(alarms) {
        let rate = f64::from(alarms) / f64::from(PROCESSES * SAMPLES_OF_EACH);
        let bound = (-threshold).exp();
        println!(
            "threshold {threshold:2} nats: {alarms:6} alarms of {PROCESSES} processes of {SAMPLES_OF_EACH} samples, \
             {rate:.1e} for each sample, at most {bound:.1e}",
        );
        assert!(rate <= bound, "{threshold}: {rate}");
        // A process sets out about once, so the count is near the bound for one beginning, not for each sample.
        let once = f64::from(PROCESSES) * bound;
        assert!(
            f64::from(alarms) <= 2.0 * once + 5.0 * once.sqrt(),
            "{threshold}: {alarms}"
        );
    }
}
