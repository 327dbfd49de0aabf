//! The client of the admin API of a running host.

use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use daymark_api::Problem;
use daymark_files::{FileError, Token};
use daymark_resolver::ResolveError;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use super::Failure;
use crate::admin_client::{chain, http_client, innermost, is_host_and_port, on_one_line, parsed};

/// The time-out of a request. The API itself gives up on a stuck task sooner.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The default path of the token that a host makes.
const TOKEN_FILE: &str = "/var/lib/daymark/admin.token";

/// The address of the admin API.
#[derive(Debug, Args)]
pub(super) struct Api {
    /// Address of the admin API
    #[arg(
        long = "api", value_name = "HOST:PORT", env = "DAYMARK_API", default_value = "127.0.0.1:9353",
        value_parser = host_and_port
    )]
    address: String,
}

/// The error of a text that is no address of the admin API.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("HOST:PORT is needed, such as 127.0.0.1:9353")]
struct NotHostAndPort;

fn host_and_port(text: &str) -> Result<String, NotHostAndPort> {
    if is_host_and_port(text) { Ok(text.to_owned()) } else { Err(NotHostAndPort) }
}

/// The file of the admin token.
#[derive(Debug, Args)]
pub(super) struct TokenFile {
    /// File of the admin token
    #[arg(id = "token_file", long = "token-file", value_name = "FILE", env = "DAYMARK_TOKEN_FILE", default_value = TOKEN_FILE)]
    path: PathBuf,
}

impl TokenFile {
    fn read(&self) -> Result<Token, Failure> {
        let read = Token::read(&self.path);
        read.map_err(|error| match error {
            FileError::Missing(path) => {
                let path = path.display();
                Failure::Run(format!("the admin token file {path} does not exist; name another with --token-file"))
            }
            error => Failure::Run(format!("the admin token cannot be read: {error}")),
        })
    }
}

impl Api {
    /// The address as HOST:PORT.
    #[cfg(feature = "demo")]
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Makes the client for all requests of a command.
    pub(super) fn client(&self) -> Result<ApiClient<'_>, Failure> {
        let http = http_client(REQUEST_TIMEOUT).map_err(|error| Failure::Run(error.to_string()))?;
        Ok(ApiClient { http, address: &self.address })
    }
}

/// A client of the admin API of one host.
pub(super) struct ApiClient<'a> {
    http: reqwest::Client,
    address: &'a str,
}

impl ApiClient<'_> {
    /// Reads a value.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let body = self.send(self.request(Method::GET, path), None).await?;
        self.parsed(&body)
    }

    /// Sends a request that changes something, with the admin token, and reads the answer.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        token_file: &TokenFile,
    ) -> Result<T, Failure> {
        let request = self.request(method, path).bearer_auth(token_file.read()?.as_str()).body(body);
        let body = self.send(request, Some(token_file)).await?;
        self.parsed(&body)
    }

    /// Sends a request that needs no token, and ignores the answer.
    #[cfg(feature = "demo")]
    pub(super) async fn put(&self, path: &str, body: String) -> Result<(), Failure> {
        let request = self.request(Method::PUT, path).body(body);
        self.send(request, None).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    async fn send(&self, request: RequestBuilder, token_file: Option<&TokenFile>) -> Result<Vec<u8>, Failure> {
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.failed(&error))?.to_vec();
        match (status, token_file) {
            (status, _) if status.is_success() => Ok(body),
            (StatusCode::UNAUTHORIZED, Some(token_file)) => {
                Err(Failure::Run(format!("the admin token in {} was refused", token_file.path.display())))
            }
            _ => {
                let problem = serde_json::from_slice(&body).map(|problem: Problem| problem.error);
                let problem = problem.map(|problem| on_one_line(&problem));
                Err(Failure::Run(problem.unwrap_or_else(|_| format!("{} answers {status}", self.address))))
            }
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Failure {
        let address = self.address;
        if error.is_timeout() {
            return Failure::Run(format!("{address} does not answer in time"));
        }
        Failure::Run(format!("no Daymark answers at {address}: {}; name its address with --api", self.cause(error)))
    }

    /// The innermost error, as a sentence about the address if its name does not resolve.
    fn cause(&self, error: &reqwest::Error) -> String {
        if chain(error).any(<dyn Error>::is::<ResolveError>) {
            let host = self.address.rsplit_once(':').map_or(self.address, |(host, _)| host);
            return format!("the name {host} does not resolve");
        }
        innermost(error)
    }

    fn parsed<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Failure> {
        parsed(body).map_err(|error| Failure::Run(format!("{} does not answer like Daymark: {error}", self.address)))
    }
}

/// A name as one segment of a path (RFC 3986, section 3.3). Every character that is no letter or digit is encoded. No name is `.` or
/// `..`, which a URL could not hold.
pub(super) fn segment(name: &str) -> impl Display {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_api_is_a_host_and_a_port() {
        for right in ["127.0.0.1:9353", "[::1]:9353", "dns-1.example.net:9353"] {
            assert_eq!(host_and_port(right).as_deref(), Ok(right));
        }
        for wrong in ["http://127.0.0.1:9353", "127.0.0.1", "127.0.0.1:9353/", "dns-1:admin", ":9353", ""] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }
}
