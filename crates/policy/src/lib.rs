//! Settings, validated into a policy, and the verdicts that follow from it.
