//! The command `daymark`.

fn main() {}
