//! The log of a running Daymark: whole sentences, to standard error. The fields beside the message are for programs.

use std::fmt::Debug;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing::error;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::os::log_writer::{FlushGuard, LogWriter};

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A sentence with its time
    #[default]
    Text,
    /// An object with every field
    Json,
}

/// Logs from this level on, until what this gives is dropped. `DAYMARK_LOG` may give another level, such as `debug` or
/// `daymark=trace`.
pub(super) fn start(format: Format, level: &str) -> Option<FlushGuard> {
    let filter = EnvFilter::try_from_env("DAYMARK_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // Without a thread there is no runtime either, and its error is reported.
    let writer = LogWriter::start(io::stderr()).ok()?;
    let guard = writer.flush_guard();
    // A crash is logged as everything is: by whole lines, and without waiting for their reader.
    std::panic::set_hook(Box::new(|crash| error!("{}", one_line(&crash.to_string()))));
    let make_writer = move || writer.clone();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(make_writer).with_target(false);
    // A line that cannot be written is lost. Reporting the loss on standard error would panic if that is the fault.
    let builder = builder.log_internal_errors(false);
    // A second call finds a logger already there, which is as good.
    let _ = match format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Text => builder.with_ansi(io::stderr().is_terminal()).fmt_fields(debug_fn(write_message)).try_init(),
    };
    Some(guard)
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

/// Writes the message alone: it says everything.
fn write_message(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    if field.name() == "message" { write!(writer, "{value:?}") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_crash_is_one_line() {
        assert_eq!(super::one_line("panicked at a.rs:1:2:\nit broke\n"), "panicked at a.rs:1:2: it broke");
    }
}
