//! Actions on processes and workloads.
