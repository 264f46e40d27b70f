//! What other agents' dashboards and alerts expect, for operators who move from them.

pub mod cryptnono;
pub mod scanblocker;
