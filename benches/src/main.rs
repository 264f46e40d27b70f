//! What the guards cost, measured.

mod corpus;

use hayward_kernel::KernelJudge;

fn main() -> anyhow::Result<()> {
    std::fs::write("/proc/sys/kernel/bpf_stats_enabled", "1")?;
    for strings in [30, 3_000, 30_000, 300_000] {
        let began = std::time::Instant::now();
        let table = corpus::table(strings);
        let compiled = began.elapsed();
        let mut judge = KernelJudge::new(table.words())?;
        let loaded = began.elapsed();
        print!(
            "{strings} strings, {} KiB, compile {compiled:?} load {loaded:?}:",
            table.words().len() / 256
        );
        for bytes in [100, 160, 1_000, 10_000, 100_000] {
            let line = corpus::line(bytes);
            let mut best = vec![];
            for _ in 0..15 {
                let before = judge.statistics()?;
                let runs = if bytes > 5000 { 50 } else { 1000 };
                for _ in 0..runs {
                    judge.judge(&line)?;
                }
                let after = judge.statistics()?;
                best.push((after.0 - before.0) as f64 / (after.1 - before.1) as f64);
            }
            best.sort_by(f64::total_cmp);
            print!("  {bytes}B {:.0} ns", best[7]);
        }
        println!();
    }
    Ok(())
}
