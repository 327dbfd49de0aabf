//! The way to the admin API of a running host.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use daymark_api::Problem;
use daymark_files::Token;
use daymark_resolver::SystemResolver;
use http_body_util::{BodyExt, Full};
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use super::{Failure, block_on};

use daymark_files::error_chain;

/// How long an exchange may take; the API itself gives up on a stuck part sooner.
const PATIENCE: Duration = Duration::from_secs(15);
/// Where a host keeps the token that it made, unless told otherwise.
const TOKEN_FILE: &str = "/var/lib/daymark/admin.token";

/// Where the admin API is.
#[derive(Debug, Args)]
pub(super) struct Api {
    /// Where the admin API listens
    #[arg(
        long = "api", value_name = "HOST:PORT", env = "DAYMARK_API", default_value = "127.0.0.1:9353",
        value_parser = host_and_port
    )]
    address: String,
}

fn host_and_port(text: &str) -> Result<String, String> {
    match parts(text) {
        Some((host, _)) if !host.is_empty() && !text.contains('/') => Ok(text.to_owned()),
        _ => Err("HOST:PORT is wanted, such as 127.0.0.1:9353".to_owned()),
    }
}

/// The host, without the brackets of an IPv6 address, and the port.
fn parts(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

/// What writing to the admin API needs.
#[derive(Debug, Args)]
pub(super) struct Secret {
    /// The file with the admin token
    #[arg(long, value_name = "FILE", env = "DAYMARK_TOKEN_FILE", default_value = TOKEN_FILE)]
    token_file: PathBuf,
}

impl Secret {
    fn header(&self) -> Result<HeaderValue, Failure> {
        let token = Token::read(&self.token_file)
            .map_err(|error| Failure::Run(format!("the admin token: {error}; name its file with --token-file")))?;
        Ok(token.header().clone())
    }
}

impl Api {
    /// Where the admin API is.
    #[cfg(feature = "demo")]
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Reads a value.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let body = self.send(Request::get(path), Bytes::new())?;
        serde_json::from_slice(&body).map_err(|error| Failure::Run(format!("{} answers oddly: {error}", self.address)))
    }

    /// Writes a value, with the secret where one is needed.
    pub(super) fn write(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        secret: Option<&Secret>,
    ) -> Result<(), Failure> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(secret) = secret {
            request = request.header(header::AUTHORIZATION, secret.header()?);
        }
        self.send(request, body).map(|_| ())
    }

    fn send(&self, request: http::request::Builder, body: Bytes) -> Result<Bytes, Failure> {
        let request = request.header(header::HOST, &self.address).body(Full::new(body));
        let request = request.map_err(|error| Failure::Usage(error.to_string()))?;
        let exchange = async { tokio::time::timeout(PATIENCE, exchange(&self.address, request)).await };
        let (status, body) = block_on(async {
            match exchange.await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => {
                    let cause = error_chain(&*error);
                    Err(Failure::Run(format!("no Daymark answers at {}: {cause}; name it with --api", self.address)))
                }
                Err(_) => Err(Failure::Run(format!("{} does not answer in time", self.address))),
            }
        })?;
        if status.is_success() {
            return Ok(body);
        }
        let said = serde_json::from_slice(&body).map(|problem: Problem| problem.error);
        Err(Failure::Run(said.unwrap_or_else(|_| format!("{} answers {status}", self.address))))
    }
}

/// A name as one segment of a path. Also `.` and `..` are names here, so more is encoded than RFC 3986 asks for.
pub(super) fn segment(name: &str) -> impl Display {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A connection to the first address of the host that takes one.
async fn connect(address: &str) -> Result<TcpStream, Fault> {
    let (host, port) = parts(address).ok_or("it is no HOST:PORT")?;
    let found = SystemResolver::new().addresses(host).await;
    let found = found.map_err(|error| format!("the name {host} leads nowhere: {}", error_chain(&error)))?;
    let addresses: Vec<SocketAddr> = found.into_iter().map(|address| (address, port).into()).collect();
    Ok(TcpStream::connect(&addresses[..]).await?)
}

async fn exchange(address: &str, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Fault> {
    let stream = connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok::<_, Fault>((status, response.into_body().collect().await?.to_bytes()))
    };
    // The connection has to be driven while the answer is awaited, and ends with it.
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_api_is_is_a_host_and_a_port() {
        for right in ["127.0.0.1:9353", "[::1]:9353", "dns-1.example.net:9353"] {
            assert_eq!(host_and_port(right).as_deref(), Ok(right));
        }
        for wrong in ["http://127.0.0.1:9353", "127.0.0.1", "127.0.0.1:9353/", "dns-1:admin", ":9353", ""] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }
}
