//! Counts the crashes of this process: every panic, in whatever task or thread. It does not know which part has crashed.

use std::panic::PanicHookInfo;

use parking_lot::Mutex;

static CRASHES: Mutex<Crashes> = Mutex::new(Crashes { count: 0, last: None });

/// The crashes since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crashes {
    /// Their number.
    pub count: u64,
    /// The message and the place of the last one, in one line.
    pub last: Option<String>,
}

impl Crashes {
    /// The alarm, as a sentence. It lasts as long as the process.
    pub fn alarm(&self) -> Option<String> {
        let last = self.last.as_ref()?;
        Some(format!(
            "{} parts of Daymark have crashed since the start, the last one: {last}; this is a bug, so please report it; crashed \
             parts are started again, and a restart of Daymark ends this alarm",
            self.count
        ))
    }
}

/// The crashes since the start.
pub fn crashes() -> Crashes {
    CRASHES.lock().clone()
}

/// Counts a crash.
pub(crate) fn record(message: &str) {
    let mut crashes = CRASHES.lock();
    crashes.count += 1;
    crashes.last = Some(message.to_owned());
}

/// Counts every panic from now on, and logs it by `log`.
pub(crate) fn watch(log: impl Fn(&str) + Send + Sync + 'static, one_line: fn(&str) -> String) {
    std::panic::set_hook(Box::new(move |crash: &PanicHookInfo<'_>| {
        let message = one_line(&crash.to_string());
        record(&message);
        log(&message);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_an_alarm_with_its_message() {
        assert_eq!(Crashes::default().alarm(), None);
        let crashes = Crashes { count: 2, last: Some("panicked at src/x.rs:1:1: oh".to_owned()) };
        let alarm = crashes.alarm().unwrap();
        assert!(
            alarm.starts_with("2 parts of Daymark have crashed since the start, the last one: panicked at "),
            "{alarm}"
        );
    }
}
