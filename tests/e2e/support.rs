//! Processes that end with their test, waiting for conditions, and a client of the admin API.

pub(crate) mod dns;
pub(crate) mod nodes;
pub(crate) mod services;
pub(crate) mod sockets;
pub(crate) mod zone;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::NamedTempFile;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_daymark");
pub(crate) const POOL: &str = "lb.kube-cp.com";
/// A time limit that only a failing test reaches.
pub(crate) const LONG: Duration = Duration::from_mins(1);
/// The pause between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until `look` returns something.
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(LONG, what, look)
}

/// Waits until `look` returns something, and no longer than `limit`.
pub(crate) fn until_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(since.elapsed() < limit, "waited in vain until {what}");
        std::thread::sleep(LOOK);
    }
}

/// Ends the threads that watch a flag, also if the test fails.
pub(crate) struct EndOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A process that is killed when the test ends.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?} starts: {error}")))
    }

    /// Sends a signal, by its name such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status().unwrap();
        assert!(status.success(), "signal {name} can be sent");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the process has ended", || self.0.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The exit code and the output of a finished command.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Finished {
    let stdout = NamedTempFile::new().unwrap();
    let stderr = NamedTempFile::new().unwrap();
    let to = stdout.reopen().unwrap();
    let errors_to = stderr.reopen().unwrap();
    let mut process = Process::spawn(command.stdout(to).stderr(errors_to));
    let code = process.wait().code();
    let read = |file: &NamedTempFile| fs::read_to_string(file.path()).unwrap();
    Finished { code, stdout: read(&stdout), stderr: read(&stderr) }
}

/// Makes a command of `daymark` with these arguments.
pub(crate) fn daymark(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    for variable in ["DAYMARK_LOG", "DAYMARK_API", "DAYMARK_TOKEN_FILE", "DAYMARK_SELF"] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command of `daymark` that must succeed, and returns its output.
pub(crate) fn output(arguments: &[&str]) -> String {
    let Finished { code, stdout, stderr } = finish(&mut daymark(arguments));
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    stdout
}

/// A running Daymark, killed when the test ends. Its log is printed if the test fails.
pub(crate) struct Daymark {
    pub(crate) process: Process,
    log: NamedTempFile,
    pub(crate) dns: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Daymark {
    pub(crate) fn run(config: &Path) -> Self {
        Self::start(&mut daymark(&["run", "-c", config.to_str().unwrap()]))
    }

    /// Starts Daymark by a command, and waits until it logs its addresses.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut running = Self::start_without_dns(command);
        running.dns = running.address_after("DNS is served on ");
        running
    }

    /// The same for a configuration without a DNS server.
    pub(crate) fn start_without_dns(command: &mut Command) -> Self {
        let mut running = Self::spawn(command);
        running.admin = running.address_after("the admin API listens on ");
        running
    }

    /// Starts Daymark by a command, and waits for nothing.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let log = NamedTempFile::new().unwrap();
        let process = Process::spawn(command.stdout(Stdio::null()).stderr(log.reopen().unwrap()));
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { process, log, dns: nowhere, admin: nowhere }
    }

    pub(crate) fn address_after(&mut self, words: &str) -> SocketAddr {
        until(words, || {
            assert_eq!(self.process.0.try_wait().unwrap(), None, "it runs; its log is {}", self.log());
            let log = self.log();
            let (_, rest) = log.split_once(words)?;
            let end = rest.find(['\n', ',', '"'])?;
            Some(rest[..end].parse().unwrap())
        })
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// Waits for a text in the log.
    pub(crate) fn logs(&self, words: &str) {
        until(words, || self.log().contains(words).then_some(()));
    }

    pub(crate) fn api(&self) -> String {
        self.admin.to_string()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http(self.admin, "GET", path, None, "")
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let (code, body) = self.get(path);
        assert_eq!(code, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The status of the only pool.
    pub(crate) fn pool(&self) -> Value {
        self.json("/api/v1/status")["pools"][0].clone()
    }

    /// Waits until exactly these addresses, on this basis, are published.
    pub(crate) fn answers(&self, addresses: &[IpAddr], basis: &str) {
        let expected: BTreeSet<IpAddr> = addresses.iter().copied().collect();
        until(&format!("the answer is {addresses:?} because {basis}"), || {
            let status = self.json("/api/v1/status");
            let pool = &status["pools"][0];
            let is_right = addresses_in(&pool["addresses"]) == expected && pool["basis"] == basis;
            (is_right && is_published(&status)).then_some(())
        });
    }

    /// Kills the process by SIGKILL, and returns the log.
    pub(crate) fn kill(mut self) -> String {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
        self.log()
    }
}

impl Drop for Daymark {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of Daymark:\n{}", self.log());
        }
    }
}

/// True if the providers of a status have published its answers.
pub(crate) fn is_published(status: &Value) -> bool {
    let newest = status["pools"].as_array().unwrap().iter().filter_map(|pool| pool["generation"].as_u64()).max();
    status["providers"].as_array().unwrap().iter().all(|provider| provider["published"].as_u64() >= newest)
}

/// Reads a list of addresses from JSON.
pub(crate) fn addresses_in(list: &Value) -> BTreeSet<IpAddr> {
    list.as_array().unwrap().iter().map(|address| address.as_str().unwrap().parse().unwrap()).collect()
}

/// Sends one request to the admin API; returns the status code and the body.
pub(crate) fn http(to: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
    http_to_host(to, &to.to_string(), method, path, token, body)
}

/// Sends one request with this `Host` header.
pub(crate) fn http_to_host(
    to: SocketAddr,
    host: &str,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect_timeout(&to, LONG).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let secret = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{secret}");
    stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer of HTTP, not {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
