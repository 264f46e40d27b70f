//! Rule files, from text to the tables that the kernel matches with.
