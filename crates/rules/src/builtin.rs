//! The list that ships with the binary.

/// Name and text of each built-in file.
pub const BUILTIN: [(&str, &str); 2] = [
    (
        "builtin/executables.yaml",
        include_str!("../builtin/executables.yaml"),
    ),
    (
        "builtin/strings.yaml",
        include_str!("../builtin/strings.yaml"),
    ),
];

/// The harmless string of the rule `builtin/test`, for trying a live system.
pub const TEST_STRING: &str = "hayward-test-5f2c9b1e";
