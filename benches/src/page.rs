//! `docs/performance.md`, its plot, and `target/bench.json`.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::{
    beside::Beside,
    figure::{Figure, HEAD},
    growth::{BYTES, Growth, STRINGS},
    plot,
    sample::real,
};

/// Writes all three below the working folder.
pub(crate) fn write(figures: &[Figure], growth: &Growth) -> Result<()> {
    let root = root()?;
    let mut json = Map::new();
    for figure in figures {
        json.insert(figure.key.to_owned(), Value::from(figure.value));
    }
    let json = serde_json::to_string_pretty(&Value::Object(json))?;
    fs::write(root.join("target/bench.json"), json + "\n")?;
    plot::draw(&root.join("docs/performance.svg"), growth)?;
    fs::write(root.join("docs/performance.md"), page(figures, growth)?)?;
    eprintln!("written: target/bench.json, docs/performance.md, docs/performance.svg");
    Ok(())
}

fn root() -> Result<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = root.parent().filter(|root| root.join("docs").exists());
    root.context("run this from the checkout that it was built in")
}

/// Draws what a dropped packet costs: beside the page of the guard, or, where documents are left as they are, where it is looked at
/// first.
pub(crate) fn write_picture(beside: &Beside, for_documents: bool) -> Result<()> {
    let file = if for_documents {
        "docs/inbound.svg"
    } else {
        "target/inbound.svg"
    };
    beside.draw(&root()?.join(file))?;
    eprintln!("written: {file}");
    Ok(())
}

fn page(figures: &[Figure], growth: &Growth) -> Result<String> {
    let mut page = format!(
        "# What Hayward costs\n\n\
         `make bench` measures this and writes this page; `target/bench.json` has the same numbers for programs.\n\
         Measured on {}.\n\n\
         Smaller is better everywhere. Times in the kernel are the kernel's own (`bpf_stats`) and include what it takes\n\
         to take them. Absolute times do not carry over to other machines; ratios mostly do. The first rows say what this\n\
         machine takes.\n\n",
        machine()?
    );
    row(&mut page, &HEAD.map(str::to_owned))?;
    row(&mut page, &HEAD.map(|_| "---".to_owned()))?;
    for figure in figures {
        row(&mut page, &figure.row())?;
    }
    page.push_str(
        "\n## Growth\n\n\
         Time to judge one harmless command line, in ns (median), by its length and by the number of banned strings.\n\
         The program is the one that judges at an exec, run by the kernel over bytes of the benchmark's own.\n\n",
    );
    let mut head = vec!["banned strings".to_owned(), "table".to_owned()];
    head.extend(BYTES.map(|bytes| format!("{} B", thousands(bytes))));
    head.push("160 B, cold".to_owned());
    row(&mut page, &head)?;
    row(&mut page, &vec!["---:".to_owned(); head.len()])?;
    for (index, strings) in STRINGS.iter().enumerate() {
        let mut cells = vec![
            thousands(*strings),
            format!("{} KiB", thousands(growth.kibibytes[index])),
        ];
        let times = &growth.ns[index];
        cells.extend(
            times
                .iter()
                .map(|samples| format!("{:.0}", samples.median())),
        );
        cells.push(format!("{:.0}", growth.cold_ns[index].median()));
        row(&mut page, &cells)?;
    }
    page.push_str("\n![Time to judge by length and number of strings](performance.svg)\n");
    page.push_str(HOW);
    Ok(page)
}

const HOW: &str = "
## How it is measured

- This machine: ten million products and sums in a row, each of the last one's; a million reads from 256 MiB, where each line says
  which is next; a million system calls.
- Kernel time per exec: an agent with 30,000 banned strings guards a cgroup; a process in it starts the smallest
  program there is with 160 bytes of arguments, a thousand times a batch. The kernel counts time and runs of the
  attached program. Batches during which more than 2 % of the machine's program starts were others' are left out. For
  the cold figure the process writes 96 MiB of memory between two starts.
- Processor held: the judging program runs over 256 KiB, the longest command line that it judges, both harmless and
  made to be slow: borders at every second byte, beginnings of banned strings, banned strings without their last byte
  or inside longer words, and a banned string of each of 32 rule files that an allow pattern of each spares.
- `posix_spawn` and wait: batches of 200 starts with the guard's programs attached and detached, in turns; the ratio of
  the medians of two neighbouring batches, and the median of 600 such ratios. The agent's own time is the row below.
- Banned programs: four processes start programs that write a byte with their first instruction, by `execve`,
  `fexecve`, from memory, from a deleted file, by a thread that is not the first, as a script's interpreter, by
  `posix_spawn` and by `vfork`, in 64 and 32 bits, while two threads keep processors and caches busy. Before, the same
  programs without a banned string are seen to write.
- A context switch: two processes in scope hand each other a byte over a pipe, 5,000 times a batch, with the programs attached
  and detached, in turns; on whichever processors they are put, and on one. The kernel's own time for the sensor, less its time for the same program
  while another instance is the one that decides, which returns at once.
- Interrupting: the processor time of the threads that wake 160 times a second, the most that an agent asks of them in the long run,
  while something else keeps a processor busy.
- Miners: the real RandomX library, in light mode, in scope of an agent that enforces; from the end of the first hash to
  the miner's end by SIGKILL. Where fewer than a hundred were tried, it is the slowest of them.
- A packet of a banned source: two networks that are joined by a pair of veth devices, for each way of its own; the same SYNs by a
  packet socket, 50,000 at once and in turns with the other ways, to a port at which nobody listens. The processor time of the sender,
  within which the packets arrive, of the kernel's threads for that (`ksoftirqd`), and of who captures; less what the sender takes where
  the other end is down. The counts of each way must say that all were dropped. What a program itself takes is the kernel's account.
- A flood of made-up sources: the classifier that the agent has attached is run on 10,000,000 frames, each a SYN of a random source to a
  random port; from the 5,000,000th on, one of a scan after every 80,000, so that the table of 65,536
  sources is full of others meanwhile. Memory is the agent's when it has not grown for 12 s, before and after.
- The agent: from its start to `READY=1`, which it says after its own test was seen to be stopped; resident memory when
  it has not grown for 12 s; processor time of all its threads while programs are started in its scope.
";

fn row(page: &mut String, cells: &[String]) -> Result<()> {
    writeln!(page, "| {} |", cells.join(" | "))?;
    Ok(())
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The machine in words.
pub(crate) fn machine() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model =
        field(&processors, "model name").unwrap_or_else(|| "an unnamed processor".to_owned());
    let memory = field(&fs::read_to_string("/proc/meminfo")?, "MemTotal").unwrap_or_default();
    let memory: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
    let virtual_machine = if processors.contains("hypervisor") {
        ", a virtual machine"
    } else {
        ""
    };
    let uname = rustix::system::uname();
    Ok(format!(
        "{} processors ({model}){virtual_machine}, {:.0} GiB, Linux {}",
        std::thread::available_parallelism()?,
        real(memory) / real(1 << 20),
        uname.release().to_string_lossy(),
    ))
}
