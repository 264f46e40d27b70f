//! Captures of packets (pcap, pcapng), played to the programs of the guards `outbound` and `pool`.
//!
//! The formats are read here and not by a crate: they are two small ones, of which a few kinds of blocks matter, and an error
//! is to say at which packet and byte it is.

mod addresses;
mod connections;
mod input;
mod link;
mod pcap;
mod pcapng;
mod player;
mod reader;
mod recent;
mod summary;

pub use addresses::{Inside, PRIVATE};
pub use player::{Limits, Player, Seen, any_inside};
pub use reader::{CaptureError, Reader, Record};
pub use summary::{Summary, Unread};
