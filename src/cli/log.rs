//! The log of a running Daymark: whole sentences, to standard error. The fields beside the message are for programs.

use std::fmt::Debug;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use daymark_decision::{escaped, escaped_json, quoted};
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing::{error, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::os::crashes;
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

/// The environment variable that sets the level.
const VARIABLE: &str = "DAYMARK_LOG";

/// Logs from this level on, until what this gives is dropped. `DAYMARK_LOG` may give another level, such as `debug` or
/// `info,daymark_probe=trace`. One that is not understood is a warning, and changes nothing.
pub(super) fn start(format: Format, level: LevelFilter) -> Option<FlushGuard> {
    let text = std::env::var_os(VARIABLE).unwrap_or_default();
    let filter = filter(&text.to_string_lossy(), level);
    // Without a thread there is no runtime either, and its error is reported.
    let writer = LogWriter::start(io::stderr()).ok()?;
    let guard = writer.flush_guard();
    // A crash is logged as everything is: by whole lines, and without waiting for their reader.
    crashes::watch(|message| error!("{message}"), one_line);
    let make_writer = move || LineWriter { writer: writer.clone(), format };
    let layer = tracing_subscriber::fmt::layer().with_writer(make_writer).with_target(false);
    // A line that cannot be written is lost. Reporting the loss on standard error would panic if that is the fault.
    let layer = layer.log_internal_errors(false);
    let layer = match format {
        Format::Json => layer.json().flatten_event(true).boxed(),
        Format::Text => layer.with_ansi(io::stderr().is_terminal()).fmt_fields(debug_fn(write_message)).boxed(),
    };
    let targets = filter.clone().unwrap_or_else(|_| silenced().with_default(level));
    // A second call finds a logger already there, which is as good.
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
    if let Err(error) = filter {
        warn!("{error}; the level stays {level}");
    }
    Some(guard)
}

/// Silences the catalog of hickory-server. It logs each query with the DO flag at level info, and SERVFAIL as an error.
fn silenced() -> Targets {
    Targets::new().with_target("hickory_server", LevelFilter::OFF)
}

/// The error of a part of [`VARIABLE`] that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{VARIABLE}: {} is no level; off, error, warn, info, debug and trace are allowed, alone or as TARGET=LEVEL",
    quoted(.0)
)]
struct UnknownLevel(String);

/// Reads levels, separated by commas: `LEVEL` for everything, or `TARGET=LEVEL` for one crate or module.
///
/// # Errors
///
/// Fails if a part is not understood.
fn filter(text: &str, default: LevelFilter) -> Result<Targets, UnknownLevel> {
    let mut all = default;
    let mut targets = silenced();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (target, name) =
            part.split_once('=').map_or((None, part), |(target, name)| (Some(target.trim()), name.trim()));
        let level = level(name).ok_or_else(|| UnknownLevel(name.to_owned()))?;
        match target {
            Some(target) => targets = targets.with_target(target, level),
            None => all = level,
        }
    }
    Ok(targets.with_default(all))
}

/// The level of a name in any letter case, or of a number from 0 for `off` to 5 for `trace`.
fn level(name: &str) -> Option<LevelFilter> {
    match name.to_ascii_lowercase().as_str() {
        "warning" => Some(LevelFilter::WARN),
        "err" => Some(LevelFilter::ERROR),
        "none" => Some(LevelFilter::OFF),
        "" => None,
        other => other.parse().ok(),
    }
}

/// Writes lines of the log without hidden characters.
struct LineWriter {
    writer: LogWriter,
    format: Format,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.format {
            // The message of a text is escaped where it is written, because the line has colours of its own.
            Format::Text => self.writer.write_all(line)?,
            Format::Json => self.writer.write_all(escaped_json(&String::from_utf8_lossy(line)).as_bytes())?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

/// Writes the message alone, on one line: it says everything.
fn write_message(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    if field.name() == "message" { writer.write_str(&escaped(&format!("{value:?}"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_usual_spellings_of_a_level_are_understood() {
        let default = LevelFilter::INFO;
        for (text, level) in [
            ("", default),
            (" , ", default),
            ("warning", LevelFilter::WARN),
            ("WARN", LevelFilter::WARN),
            ("Error", LevelFilter::ERROR),
            ("err", LevelFilter::ERROR),
            ("off", LevelFilter::OFF),
            ("5", LevelFilter::TRACE),
            (" debug ", LevelFilter::DEBUG),
        ] {
            assert_eq!(filter(text, default), Ok(silenced().with_default(level)), "{text:?}");
        }
        let of_target = |level| silenced().with_target("daymark_probe", LevelFilter::TRACE).with_default(level);
        assert_eq!(filter("warning, daymark_probe = trace", default), Ok(of_target(LevelFilter::WARN)));
        assert_eq!(filter("daymark_probe=trace", default), Ok(of_target(default)));
    }

    #[test]
    fn the_library_that_answers_dns_is_silent_unless_it_is_named() {
        let would_log = |text, target| filter(text, LevelFilter::INFO).unwrap().would_enable(target, &Level::ERROR);
        assert!(!would_log("", "hickory_server::zone_handler::catalog"));
        assert!(!would_log("debug", "hickory_server::zone_handler::catalog"));
        assert!(would_log("hickory_server=warn", "hickory_server::zone_handler::catalog"));
        assert!(would_log("", "daymark_authoritative"));
    }

    #[test]
    fn a_level_that_is_not_understood_is_named_with_those_that_are_allowed() {
        for (text, word) in
            [("verbose", "verbose"), ("info,daymark=loud", "loud"), ("daymark=", ""), ("daymark", "daymark")]
        {
            let message = format!(
                "DAYMARK_LOG: \"{word}\" is no level; off, error, warn, info, debug and trace are allowed, alone or as TARGET=LEVEL"
            );
            assert_eq!(filter(text, LevelFilter::INFO).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_crash_is_one_line() {
        assert_eq!(one_line("panicked at a.rs:1:2:\nit broke\n"), "panicked at a.rs:1:2: it broke");
    }
}
