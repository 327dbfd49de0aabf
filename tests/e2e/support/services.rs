//! Small services on loopback: a URL to ping, and a proxy with TLS in front of a fake.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::LONG;

/// A request of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpRequest {
    /// The method and the target, such as `POST /ping`.
    pub(crate) line: String,
    /// The lines of the header.
    header: Vec<String>,
    pub(crate) body: String,
}

impl HttpRequest {
    /// Reads one request.
    fn read(stream: impl Read) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let length =
            lines.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let line = lines.first()?.trim_end_matches(" HTTP/1.1").to_owned();
        Some(Self { line, header: lines.split_off(1), body: String::from_utf8(body).ok()? })
    }
}

/// Accepts connections on a loopback address, each on a thread of its own, until the test process ends.
fn serve(handle: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(LONG));
            let handle = handle.clone();
            thread::spawn(move || handle(stream));
        }
    });
    address
}

/// A service that takes pings.
pub(crate) struct PingService {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<HttpRequest>>>,
}

impl PingService {
    /// Answers each ping with this status, such as `200 OK`.
    pub(crate) fn start(status: &'static str) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let address = serve(move |mut stream| {
            if let Some(request) = HttpRequest::read(&stream) {
                seen.lock().unwrap().push(request);
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<HttpRequest> {
        self.requests.lock().unwrap().clone()
    }
}

/// A proxy for HTTPS that ends TLS itself, as the host of every request, and passes the requests on in plain HTTP.
pub(crate) struct TlsProxy {
    pub(crate) address: SocketAddr,
    /// The certificate that a client must trust.
    pub(crate) certificate: String,
    connects: Arc<Mutex<Vec<String>>>,
}

impl TlsProxy {
    /// Has a certificate for this host, and passes requests on to an address.
    pub(crate) fn start(host: &str, to: SocketAddr) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([host.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let tls = Arc::new(tls);
        let connects = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&connects);
        let address = serve(move |mut stream| {
            let Some(connect) = HttpRequest::read(&stream) else { return };
            seen.lock().unwrap().push(connect.line);
            if write!(stream, "HTTP/1.1 200 OK\r\n\r\n").is_err() {
                return;
            }
            let connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let Some(request) = HttpRequest::read(&mut stream) else { return };
            let _ = stream.write_all(&pass_on(&request, to));
            stream.conn.send_close_notify();
            let _ = stream.flush();
        });
        Self { address, certificate: cert.pem(), connects }
    }

    /// The first lines of the requests for a tunnel so far.
    pub(crate) fn connects(&self) -> Vec<String> {
        self.connects.lock().unwrap().clone()
    }
}

/// Sends a request as the only one of a connection, and returns the response.
fn pass_on(HttpRequest { line, header, body }: &HttpRequest, to: SocketAddr) -> Vec<u8> {
    let mut upstream = TcpStream::connect(to).unwrap();
    let header: String = header.iter().map(|line| format!("{line}\r\n")).collect();
    write!(upstream, "{line} HTTP/1.1\r\nConnection: close\r\n{header}\r\n{body}").unwrap();
    let mut response = Vec::new();
    upstream.read_to_end(&mut response).unwrap();
    response
}
