//! What the guard `inbound` takes for a packet, by BPF_PROG_TEST_RUN.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Result, ensure};
use hayward_kernel::{InboundLimits, PacketTrial};
use hayward_model::BanStrength;
use ipnet::IpNet;

use crate::{figure::Figure, sample::Samples};

const PROGRAM: &str = "on_inbound_packet";
const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const ROUNDS: usize = 20;
/// How often a program is run in a row.
const TIMES: u32 = 200_000;
const BANS: u32 = 200_000;
const PAIRS: u32 = 100;
pub(crate) const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;

pub(crate) fn measure() -> Result<Vec<Figure>> {
    eprintln!("inbound: {ROUNDS} rounds of {TIMES} packets");
    let trial = &mut PacketTrial::inbound(&InboundLimits::DEFAULT)?;
    let banned = Ipv4Addr::new(203, 0, 113, 9);
    let other = Ipv4Addr::new(203, 0, 113, 10);
    let mut bans = trial.bans(64)?;
    bans.put(host(banned), None, BanStrength::Full)?;
    let mut one = Vec::new();
    let mut pass = Vec::new();
    let mut first = Vec::new();
    let mut least = Vec::new();
    let nothing = [[2; 12].as_slice(), &[0x12, 0x34], &[0; 46]].concat();
    // It remembers nobody, so that the same frame is a first contact each time.
    let forgetful = &mut PacketTrial::inbound(&InboundLimits {
        memory: Duration::ZERO,
        ..InboundLimits::DEFAULT
    })?;
    for _ in 0..ROUNDS {
        one.push(time(trial, &segment(banned, 80, SYN), XDP_DROP)?);
        pass.push(time(trial, &segment(other, 80, ACK), XDP_PASS)?);
        first.push(time(forgetful, &segment(other, 22, SYN), XDP_PASS)?);
        least.push(time(trial, &nothing, XDP_PASS)?);
    }
    let crowd = &mut PacketTrial::inbound(&InboundLimits::DEFAULT)?;
    let mut bans_of_many = crowd.bans(64)?;
    for number in 0..BANS {
        bans_of_many.put(host(one_of_many(number)), None, BanStrength::Full)?;
    }
    let mut slowdown = Vec::new();
    for round in 0..PAIRS {
        // Not the same one each time: some stand deeper in the table than others.
        let frame = segment(one_of_many(round * 9_973 % BANS), 80, SYN);
        // One beside the other, and each first in half of the pairs: the machine is slower now and then.
        let mut few_ns = 0.0;
        if round % 2 == 0 {
            few_ns = time(trial, &segment(banned, 80, SYN), XDP_DROP)?;
        }
        let many_ns = time(crowd, &frame, XDP_DROP)?;
        if round % 2 == 1 {
            few_ns = time(trial, &segment(banned, 80, SYN), XDP_DROP)?;
        }
        slowdown.push(many_ns / few_ns);
    }
    let spread = |all: Vec<f64>| Samples::new(all);
    let (one, pass, first) = (spread(one), spread(pass), spread(first));
    let (slowdown, least) = (spread(slowdown), spread(least));
    let figure = |key, what: &str, samples: &Samples, floor, aim| Figure {
        key,
        what: what.to_owned(),
        value: samples.median(),
        unit: "ns",
        spread: samples.spread(1),
        floor,
        aim,
    };
    Ok(vec![
        figure(
            "inbound.drop_ns",
            "XDP, what a banned source begins is dropped",
            &one,
            Some(90.0),
            Some(60.0),
        ),
        figure(
            "inbound.pass_ns",
            "XDP, an ordinary packet passes",
            &pass,
            Some(80.0),
            Some(55.0),
        ),
        figure(
            "inbound.first_ns",
            "XDP, a first contact is accounted for",
            &first,
            Some(200.0),
            Some(130.0),
        ),
        figure(
            "inbound.least_ns",
            "XDP, a frame that is no packet of IP passes",
            &least,
            None,
            None,
        ),
        Figure {
            key: "inbound.many_bans_slowdown",
            what: "drops with 200,000 bans against one".to_owned(),
            // The kernel says whole ns: of two such, a median is 1 or some 1.015 and nothing between.
            value: slowdown.middle_mean(),
            unit: "",
            spread: slowdown.spread(3),
            floor: Some(1.0 / 0.95),
            aim: Some(1.0 / 0.99),
        },
    ])
}

/// One of those who are banned beside many others.
fn one_of_many(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0b00_0000 + number * 7)
}

fn host(address: Ipv4Addr) -> IpNet {
    IpNet::V4(address.into())
}

/// Ns for each of many runs in a row.
fn time(trial: &mut PacketTrial, frame: &[u8], expected: i32) -> Result<f64> {
    let (answer, took) = trial.time(PROGRAM, frame, TIMES)?;
    ensure!(
        answer == expected,
        "it answered {answer} and not {expected}"
    );
    Ok(ns(took))
}

fn ns(took: Duration) -> f64 {
    took.as_secs_f64() * 1e9
}

/// A segment of TCP, in a frame.
pub(crate) fn segment(from: Ipv4Addr, port: u16, flags: u8) -> Vec<u8> {
    let mut frame = [[2; 12].as_slice(), &[0x08, 0x00]].concat();
    frame.extend([0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0]);
    frame.extend(from.octets());
    frame.extend(HOST.octets());
    frame.extend(40_000_u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0x04, 0, 0, 0, 0, 0]);
    frame.extend([0; 6]);
    frame
}
