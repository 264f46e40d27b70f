//! Journal, log lines and metrics: what happened, written once.
