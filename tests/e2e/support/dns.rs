//! DNS queries by `dig` and `kdig`, and by a small client if there are many.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{POOL, finish, until};

pub(crate) const A: u16 = 1;
pub(crate) const AAAA: u16 = 28;
/// The time after which a query counts as lost.
const REPLY_TIMEOUT: Duration = Duration::from_secs(20);

/// A DNS response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u8,
    /// The addresses in the order of the response.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Sends one query by UDP and waits for the response.
pub(crate) fn ask(server: SocketAddr, name: &str, rtype: u16) -> io::Result<Reply> {
    Asked::send(server, name, rtype)?.reply()
}

/// A query by UDP that has no response yet.
pub(crate) struct Asked {
    socket: UdpSocket,
    /// The bytes of the query.
    length: usize,
}

impl Asked {
    pub(crate) fn send(server: SocketAddr, name: &str, rtype: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(REPLY_TIMEOUT))?;
        let query = query(name, rtype);
        socket.send(&query)?;
        Ok(Self { socket, length: query.len() })
    }

    /// Waits for the response.
    pub(crate) fn reply(self) -> io::Result<Reply> {
        let mut response = vec![0; 4096];
        let length = self.socket.recv(&mut response)?;
        read(&response[..length], self.length).ok_or_else(nonsense)
    }
}

/// A query by TCP, in a connection of its own, that has no response yet.
pub(crate) struct AskedByTcp {
    stream: TcpStream,
    /// The bytes of the query.
    length: usize,
}

impl AskedByTcp {
    pub(crate) fn send(server: SocketAddr, name: &str, rtype: u16) -> io::Result<Self> {
        let query = query(name, rtype);
        let framed = [&u16::try_from(query.len()).unwrap().to_be_bytes(), query.as_slice()].concat();
        let mut stream = TcpStream::connect_timeout(&server, REPLY_TIMEOUT)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.write_all(&framed)?;
        Ok(Self { stream, length: query.len() })
    }

    /// Waits for the response.
    pub(crate) fn reply(mut self) -> io::Result<Reply> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length)?;
        let mut response = vec![0; u16::from_be_bytes(length).into()];
        self.stream.read_exact(&mut response)?;
        read(&response, self.length).ok_or_else(nonsense)
    }
}

fn nonsense() -> io::Error {
    io::Error::other("a response that makes no sense")
}

/// The bytes of a query with one question, which asks for recursion. Each query has a new socket, so its ID may be constant.
fn query(name: &str, rtype: u16) -> Vec<u8> {
    let mut query = vec![0x0d, 0x0d, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend_from_slice(&rtype.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    query
}

/// Clients that ask for the pool, each one query after the other, until they are dropped: most by UDP, one by TCP.
pub(crate) struct Clients {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Starts them. They fail if a query has no answer, or one with other addresses.
    pub(crate) fn start(server: SocketAddr, expected: &BTreeSet<IpAddr>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let start = |ask: fn(SocketAddr) -> io::Result<Reply>| {
            let is_over = Arc::clone(&is_over);
            let answered = Arc::clone(&answered);
            let expected = expected.clone();
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let Reply { code, addresses } = ask(server).expect("every query is answered");
                    assert_eq!((code, addresses.into_iter().collect()), (0, expected.clone()));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let by_udp = |server| ask(server, POOL, A);
        let by_tcp = |server| AskedByTcp::send(server, POOL, A)?.reply();
        let threads = vec![start(by_udp), start(by_udp), start(by_udp), start(by_tcp)];
        Self { is_over, answered, threads }
    }

    /// Waits until some more queries are answered.
    pub(crate) fn go_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        until("queries are answered", || (self.answered.load(Ordering::Relaxed) > before + 100).then_some(()));
    }

    /// Ends them, and fails if one of them has failed.
    pub(crate) fn end(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in mem::take(&mut self.threads) {
            thread.join().expect("a client has got each answer");
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Queries the addresses of the pool once by UDP.
pub(crate) fn look_up(server: SocketAddr) -> BTreeSet<IpAddr> {
    let reply = ask(server, POOL, A).unwrap();
    assert_eq!(reply.code, 0);
    reply.addresses.into_iter().collect()
}

/// Reads a response whose question ends at `at`.
fn read(response: &[u8], mut at: usize) -> Option<Reply> {
    let number = |at: usize| Some(u16::from_be_bytes([*response.get(at)?, *response.get(at + 1)?]));
    let mut addresses = Vec::new();
    for _ in 0..number(6)? {
        // A compressed name is a pointer, or labels that end in one or in the root.
        loop {
            match *response.get(at)? {
                0 => break at += 1,
                0xc0.. => break at += 2,
                length => at += 1 + usize::from(length),
            }
        }
        let rtype = number(at)?;
        let length = usize::from(number(at + 8)?);
        let data = response.get(at + 10..at + 10 + length)?;
        match rtype {
            A => addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
            AAAA => addresses.push(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
            _ => {}
        }
        at += 10 + length;
    }
    Some(Reply { code: response.get(3)? & 0xf, addresses })
}

/// The lines that `dig +short` or `kdig +short` prints.
pub(crate) fn short(tool: &str, server: SocketAddr, arguments: &[&str]) -> Vec<String> {
    lines(tool, server, &[arguments, &["+short"]].concat())
}

/// The lines that a tool prints.
pub(crate) fn lines(tool: &str, server: SocketAddr, arguments: &[&str]) -> Vec<String> {
    let at = format!("@{}", server.ip());
    let port = server.port().to_string();
    let mut command = Command::new(tool);
    // A configuration file of the user could add options.
    command.env("HOME", "/nonexistent").args([&at, "-p", &port]).args(arguments);
    let done = finish(&mut command);
    assert_eq!(done.code, Some(0), "{tool} {arguments:?}: {}{}", done.stdout, done.stderr);
    done.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Asserts that every tool gets exactly these addresses, by UDP and by TCP.
pub(crate) fn all_find(server: SocketAddr, addresses: &[IpAddr]) {
    let expected: BTreeSet<String> = addresses.iter().map(ToString::to_string).collect();
    for tool in ["dig", "kdig"] {
        for transport in ["+notcp", "+tcp"] {
            let found: BTreeSet<String> = short(tool, server, &[POOL, "A", transport]).into_iter().collect();
            assert_eq!(found, expected, "{tool} {transport}");
        }
    }
}

/// The serial of the zone.
pub(crate) fn serial(server: SocketAddr) -> u32 {
    let soa = short("dig", server, &[POOL, "SOA"]);
    soa[0].split(' ').nth(2).unwrap().parse().unwrap()
}
