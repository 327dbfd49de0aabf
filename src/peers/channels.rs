//! The channels between the transport and the driver, which run as two tasks.

use std::net::SocketAddr;

use daymark_api::PeerMismatch;
use daymark_decision::HostName;
use daymark_gossip::{Message, Transmit};
use tokio::sync::mpsc;

/// The most messages that wait to be sent. The gossip sends again what does not fit.
const MAX_OUTBOUND: usize = 1024;
/// The most inputs that wait for the driver.
const MAX_INBOUND: usize = 1024;

/// An input from the transport to the driver.
#[derive(Debug)]
pub enum PeerInput {
    /// A message has arrived.
    Message {
        /// The message, opened.
        message: Box<Message>,
        /// The address from which it came.
        from: SocketAddr,
    },
    /// A datagram or a lookup shows a mismatch with a host.
    Mismatch {
        /// The host.
        host: HostName,
        /// The mismatch.
        mismatch: PeerMismatch,
    },
}

/// A message from the driver to the transport.
#[derive(Debug)]
pub struct OutboundMessage {
    /// The message and its addressee.
    pub transmit: Transmit,
    /// The address from which the host sent last. It may differ from its configured addresses.
    pub last_source: Option<SocketAddr>,
    /// The host has answered a message that was sent within the last two seconds.
    pub is_answering: bool,
}

/// The driver's ends of the channels.
#[derive(Debug)]
pub struct DriverChannels {
    pub(crate) inbound: mpsc::Receiver<PeerInput>,
    pub(crate) outbound: mpsc::Sender<OutboundMessage>,
}

/// The transport's ends of the channels.
#[derive(Debug)]
pub struct TransportChannels {
    pub(super) inbound: mpsc::Sender<PeerInput>,
    pub(super) outbound: mpsc::Receiver<OutboundMessage>,
}

/// The two ends of the channels.
#[derive(Debug)]
pub struct ChannelEnds {
    /// The end of the driver.
    pub driver: DriverChannels,
    /// The end of the transport.
    pub transport: TransportChannels,
}

/// Makes the channels between the driver and the transport.
pub fn channels() -> ChannelEnds {
    let (inbound, to_driver) = mpsc::channel(MAX_INBOUND);
    let (outbound, to_transport) = mpsc::channel(MAX_OUTBOUND);
    let driver = DriverChannels { inbound: to_driver, outbound };
    ChannelEnds { driver, transport: TransportChannels { inbound, outbound: to_transport } }
}
