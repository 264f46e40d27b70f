//! The kernel side: programs, tables, events.
