//! Whose process it is: from a cgroup id to a workload.
