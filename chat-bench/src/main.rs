//! Load and replay.

fn main() {}
