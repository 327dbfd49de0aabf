//! The least that a DNS server can do: `recvmmsg`, one answer for every datagram, `sendmmsg`. `tests/bench/dns` compares with it.
//!
//! `bare_loop ADDRESS` answers each query of one question, without EDNS, with 192.0.2.1, 192.0.2.2 and 192.0.2.3.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::{array, env};

use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

/// As many datagrams as Daymark takes with one system call.
const BATCH: usize = 32;
/// A record of every answer: a pointer to the question, A, IN, a TTL of 5 s, an address.
const fn record(last: u8) -> [u8; 16] {
    [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, last]
}
/// The records of every answer, as many as the other servers give.
const RECORDS: [[u8; 16]; 3] = [record(1), record(2), record(3)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = env::args().nth(1).ok_or("an address is needed, such as 127.0.0.1:5300")?;
    let socket = UdpSocket::bind(address)?;
    let fd = socket.as_raw_fd();
    let mut queries: [Vec<u8>; BATCH] = array::from_fn(|_| vec![0; 4096 + 64]);
    let mut responses: [Vec<u8>; BATCH] = array::from_fn(|_| Vec::with_capacity(1232));
    let mut received = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut sent = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    loop {
        let mut clients = [None; BATCH];
        let mut count = 0;
        {
            let mut slices = queries.each_mut().map(|query| [IoSliceMut::new(query)]);
            for message in recvmmsg(fd, &mut received, &mut slices, MsgFlags::MSG_WAITFORONE, None)? {
                let Some(query) = message.iovs().next().filter(|query| query.len() > 12) else { continue };
                let response = &mut responses[count];
                response.clear();
                response.extend_from_slice(query);
                response[2] |= 0x84;
                response[7] = 3;
                response.extend_from_slice(RECORDS.as_flattened());
                clients[count] = message.address;
                count += 1;
            }
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] = array::from_fn(|index| [IoSlice::new(&responses[index])]);
        let no_control: [ControlMessage<'_>; 0] = [];
        let _ = sendmmsg(fd, &mut sent, &slices[..count], &clients[..count], no_control, MsgFlags::empty());
    }
}
