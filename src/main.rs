//! The command `daymark`: arguments, then the command, then the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    daymark::main()
}
