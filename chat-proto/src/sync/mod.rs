//! The client sync machine.
