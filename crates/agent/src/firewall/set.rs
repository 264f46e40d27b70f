//! One set of a firewall: what it holds of ours, and what is to change.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use hayward_model::BanStrength;
use hayward_policy::{AddressFamily, FirewallSet, Output};
use ipnet::IpNet;

use super::{
    call::{CallError, ipset, nft},
    changes::Obeyed,
    listing::{Listing, list},
    standing::{Problem, Standing},
    text::{Change, LONGEST_IPSET, text},
};

/// The bans that hold.
pub(crate) type Bans = BTreeMap<IpNet, Obeyed>;

/// Times that differ by no more are the same.
const SLACK: Duration = Duration::from_secs(5);
/// So many changes are told in one call.
const IN_ONE: usize = 10_000;

/// A set that is kept in agreement with the bans.
#[derive(Debug)]
pub(crate) struct KeptSet {
    pub(crate) output: Output,
    /// Only bans of this strength are entered, where one is named.
    pub(crate) strength: Option<BanStrength>,
    /// By which our elements are known.
    mark: String,
    family: Option<AddressFamily>,
    ours: BTreeMap<IpNet, Option<Instant>>,
    foreign: BTreeSet<IpNet>,
    pub(crate) standing: Standing,
}

impl KeptSet {
    pub(crate) fn new(output: Output, strength: Option<BanStrength>, mark: &str) -> Self {
        let kind = match output.set {
            FirewallSet::Nftables { .. } => "nftables",
            FirewallSet::Ipset { .. } => "ipset",
        };
        Self {
            family: None,
            standing: Standing::new(format!("{kind} {}", output.set)),
            output,
            strength,
            mark: mark.to_owned(),
            ours: BTreeMap::new(),
            foreign: BTreeSet::new(),
        }
    }

    /// Looks at what it holds, and changes what is not as it should be.
    pub(crate) fn agree(&mut self, bans: &Bans) {
        let listed = list(&self.output, &self.mark);
        let agreed = match listed {
            Ok(listing) => {
                self.take_over(listing);
                let nets: BTreeSet<IpNet> = bans.keys().chain(self.ours.keys()).copied().collect();
                self.change(bans, &nets).and_then(|()| self.is_whole(bans))
            }
            Err(problem) => {
                self.family = None;
                Err(problem)
            }
        };
        self.standing.note(agreed);
    }

    /// Others may have entered what keeps a ban out.
    fn is_whole(&self, bans: &Bans) -> Result<(), Problem> {
        let Some(first) = self.left_out(bans) else {
            return Ok(());
        };
        Err(Problem {
            cause: None,
            text: format!(
                "the set `{}` holds elements of others within {first}, which cannot be entered for that: remove them there",
                self.output.set
            ),
        })
    }

    /// Tells what has changed of these sources.
    pub(crate) fn follow(&mut self, bans: &Bans, changed: &[IpNet]) {
        if self.family.is_none() || self.standing.is_wrong() {
            // It is looked at anew soon.
            return;
        }
        // What lies within is entered when what is around it ends, and the other way round.
        let within = |net: &IpNet| {
            let all = *net..=last(*net);
            let bans = bans.range(all.clone()).map(|(net, _)| *net);
            let ours = self.ours.range(all).map(|(net, _)| *net);
            bans.chain(ours).collect::<Vec<_>>()
        };
        let nets = changed.iter().flat_map(|net| {
            let mut nets = within(net);
            nets.push(*net);
            nets
        });
        let nets: BTreeSet<IpNet> = nets.collect();
        if let Err(problem) = self.change(bans, &nets) {
            // Something else has changed it.
            self.standing.count(&problem);
            self.agree(bans);
        }
    }

    /// What is to be told to make a set that holds nothing say this.
    pub(crate) fn fill(&mut self, bans: &Bans, family: AddressFamily) -> String {
        self.take_over(Listing {
            family,
            ours: BTreeMap::new(),
            foreign: BTreeSet::new(),
        });
        self.standing.note(Ok(()));
        let nets: BTreeSet<IpNet> = bans.keys().copied().collect();
        let changes = self.changes(bans, &nets);
        self.note(&changes);
        text(&self.output.set, &changes, &self.mark)
    }

    fn take_over(&mut self, listing: Listing) {
        let now = Instant::now();
        self.family = Some(listing.family);
        self.foreign = listing.foreign;
        let until = |left: Option<Duration>| left.map(|left| now + left);
        let ours = listing.ours.into_iter();
        self.ours = ours.map(|(net, left)| (net, until(left))).collect();
    }

    fn change(&mut self, bans: &Bans, nets: &BTreeSet<IpNet>) -> Result<(), Problem> {
        for changes in self.changes(bans, nets).chunks(IN_ONE) {
            let text = text(&self.output.set, changes, &self.mark);
            let told: Result<(), CallError> = match self.output.set {
                FirewallSet::Nftables { .. } => nft(&text),
                FirewallSet::Ipset { .. } => ipset(&text),
            };
            told.map_err(|error| Problem {
                cause: Some(error.cause()),
                text: format!(
                    "bans are not entered in the set `{}`: {error}",
                    self.output.set
                ),
            })?;
            self.note(changes);
        }
        Ok(())
    }

    fn note(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Take(net) => {
                    self.ours.remove(net);
                }
                Change::Put { net, time, .. } => {
                    let until = time.map(|time| Instant::now() + time);
                    self.ours.insert(*net, until);
                }
            }
        }
    }

    /// What is taken out comes first, lest it overlap with what is entered.
    fn changes(&self, bans: &Bans, nets: &BTreeSet<IpNet>) -> Vec<Change> {
        let now = Instant::now();
        let (mut gone, mut put) = (Vec::new(), Vec::new());
        for net in nets {
            let ours = self.ours.get(net);
            match (self.wanted(bans, *net), ours) {
                (None, Some(_)) => gone.push(Change::Take(*net)),
                (Some(wanted), ours) if !ours.is_some_and(|it| self.is_same(*it, wanted, now)) => {
                    put.push(Change::Put {
                        net: *net,
                        time: wanted.map(|until| until.saturating_duration_since(now)),
                        replaces: ours.is_some(),
                    });
                }
                _ => {}
            }
        }
        gone.append(&mut put);
        gone
    }

    /// Until when a source is to be in it, where it is.
    fn wanted(&self, bans: &Bans, net: IpNet) -> Option<Option<Instant>> {
        let ban = self.fitting(bans, net)?;
        if ban.until.is_some_and(|until| until <= Instant::now()) || self.meets_foreign(net) {
            return None;
        }
        // Elements of nftables must not overlap.
        let overlaps =
            self.is_nftables() && around(net).any(|wider| self.fitting(bans, wider).is_some());
        (!overlaps).then_some(ban.until)
    }

    fn fitting<'a>(&self, bans: &'a Bans, net: IpNet) -> Option<&'a Obeyed> {
        let is_ours = match net {
            IpNet::V4(_) => self.family == Some(AddressFamily::Ipv4),
            IpNet::V6(_) => self.family == Some(AddressFamily::Ipv6),
        };
        let ban = bans.get(&net).filter(|_| is_ours)?;
        self.strength
            .is_none_or(|strength| strength == ban.strength)
            .then_some(ban)
    }

    fn meets_foreign(&self, net: IpNet) -> bool {
        if !self.is_nftables() {
            return self.foreign.contains(&net);
        }
        let within = self.foreign.range(net..=last(net)).next().is_some();
        within || around(net).any(|wider| self.foreign.contains(&wider))
    }

    /// The first ban that is not wholly there for what others have put within it.
    fn left_out(&self, bans: &Bans) -> Option<IpNet> {
        if !self.is_nftables() {
            return None;
        }
        let mut foreign = self.foreign.iter();
        foreign.find_map(|foreign| around(*foreign).find(|net| self.fitting(bans, *net).is_some()))
    }

    fn is_same(&self, ours: Option<Instant>, wanted: Option<Instant>, now: Instant) -> bool {
        let longest = Duration::from_secs(LONGEST_IPSET);
        match (ours, wanted) {
            (None, None) => true,
            (Some(ours), Some(wanted)) => {
                let apart = ours.max(wanted) - ours.min(wanted);
                let is_long = !self.is_nftables() && wanted > ours && ours > now + longest / 2;
                apart <= SLACK || is_long
            }
            _ => false,
        }
    }

    fn is_nftables(&self) -> bool {
        matches!(self.output.set, FirewallSet::Nftables { .. })
    }
}

/// The prefixes that hold one, but for itself.
fn around(net: IpNet) -> impl Iterator<Item = IpNet> {
    (0..net.prefix_len())
        .filter_map(move |length| Some(IpNet::new(net.addr(), length).ok()?.trunc()))
}

/// Of the prefixes within one, the last in their order.
fn last(net: IpNet) -> IpNet {
    net.broadcast().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    fn bans(all: &[(&str, u64)]) -> Bans {
        let ban = |(text, seconds): &(&str, u64)| {
            let time = (*seconds > 0).then(|| Duration::from_secs(*seconds));
            (net(text), Obeyed::new(time, BanStrength::Full))
        };
        all.iter().map(ban).collect()
    }

    fn kept(set: FirewallSet, ours: &[(&str, u64)], foreign: &[&str]) -> KeptSet {
        let mut kept = KeptSet::new(Output { set, family: None }, None, "hayward");
        let left = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        kept.take_over(Listing {
            family: AddressFamily::Ipv4,
            ours: ours
                .iter()
                .map(|(text, it)| (net(text), left(*it)))
                .collect(),
            foreign: foreign.iter().map(|text| net(text)).collect(),
        });
        kept
    }

    fn nftables() -> FirewallSet {
        FirewallSet::nftables("inet f s").expect("a set")
    }

    /// What changes, in words.
    fn changed(kept: &KeptSet, bans: &Bans) -> Vec<String> {
        let nets = bans.keys().chain(kept.ours.keys()).copied().collect();
        let changes = kept.changes(bans, &nets).into_iter();
        let words = changes.map(|change| match change {
            Change::Take(net) => format!("- {net}"),
            Change::Put {
                net,
                replaces: true,
                ..
            } => format!("= {net}"),
            Change::Put { net, .. } => format!("+ {net}"),
        });
        words.collect()
    }

    #[test]
    fn what_agrees_stays_and_all_else_is_brought_into_agreement() {
        let held = [
            ("192.0.2.1/32", 100),
            ("192.0.2.2/32", 100),
            ("192.0.2.3/32", 0),
            ("192.0.2.4/32", 9),
        ];
        let kept = kept(nftables(), &held, &[]);
        let bans = bans(&[
            ("192.0.2.1/32", 103),
            ("192.0.2.2/32", 200),
            ("192.0.2.3/32", 50),
            ("192.0.2.5/32", 0),
            ("2001:db8::/64", 50),
        ]);
        assert_eq!(
            changed(&kept, &bans),
            [
                "- 192.0.2.4/32",
                "= 192.0.2.2/32",
                "= 192.0.2.3/32",
                "+ 192.0.2.5/32"
            ]
        );
    }

    #[test]
    fn of_bans_that_overlap_nftables_has_the_widest_and_ipset_has_all() {
        let bans = bans(&[("192.0.2.0/24", 50), ("192.0.2.1/32", 90)]);
        let set = kept(nftables(), &[("192.0.2.1/32", 90)], &[]);
        assert_eq!(changed(&set, &bans), ["- 192.0.2.1/32", "+ 192.0.2.0/24"]);
        let set = kept(FirewallSet::ipset("b").expect("a set"), &[], &[]);
        assert_eq!(changed(&set, &bans), ["+ 192.0.2.0/24", "+ 192.0.2.1/32"]);
        // When the wider one ends, the other comes in its place.
        let only = super::tests::bans(&[("192.0.2.1/32", 90)]);
        let set = kept(nftables(), &[("192.0.2.0/24", 1)], &[]);
        assert_eq!(changed(&set, &only), ["- 192.0.2.0/24", "+ 192.0.2.1/32"]);
    }

    #[test]
    fn what_others_have_put_there_is_left_alone() {
        let bans = bans(&[("192.0.2.0/24", 50), ("198.51.100.7/32", 90)]);
        let set = kept(
            nftables(),
            &[],
            &["192.0.2.9/32", "198.51.100.0/24", "203.0.113.1/32"],
        );
        assert_eq!(changed(&set, &bans), [""; 0]);
        assert_eq!(set.left_out(&bans), Some(net("192.0.2.0/24")));
        let set = kept(
            FirewallSet::ipset("b").expect("a set"),
            &[],
            &["198.51.100.7/32"],
        );
        assert_eq!(changed(&set, &bans), ["+ 192.0.2.0/24"]);
    }

    #[test]
    fn a_time_that_ipset_cannot_count_is_renewed_at_half_of_it() {
        let year = 365 * 24 * 3600;
        let bans = bans(&[("192.0.2.1/32", year)]);
        let ipset = || FirewallSet::ipset("b").expect("a set");
        let set = kept(ipset(), &[("192.0.2.1/32", LONGEST_IPSET - 60)], &[]);
        assert_eq!(changed(&set, &bans), [""; 0]);
        let set = kept(ipset(), &[("192.0.2.1/32", LONGEST_IPSET / 3)], &[]);
        assert_eq!(changed(&set, &bans), ["= 192.0.2.1/32"]);
    }

    #[test]
    fn a_set_of_one_strength_holds_no_others() {
        let mut set = kept(nftables(), &[], &[]);
        set.strength = Some(BanStrength::Soft);
        assert_eq!(changed(&set, &bans(&[("192.0.2.1/32", 9)])), [""; 0]);
    }
}
