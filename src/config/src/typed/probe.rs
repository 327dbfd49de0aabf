//! The probe of a pool: durations in their order, trust and credentials.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use daymark_certificates::{CaBundle, CertificateFileError, ClientIdentity};
use daymark_decision::Thresholds;
use daymark_files::Token;

use super::{Checker, Setting, files};
use crate::findings::Location;
use crate::key::{Key, Located};
use crate::raw::{self, RawAuth, RawProbe};
use crate::values::{FilePath, RequestPath, ServerName, Text, Whole};
use daymark_probe::{Auth, Expiry, ProbeSettings, Trust};

impl Checker<'_> {
    /// The probe of a pool with this name and port.
    pub(super) fn probe(&mut self, probe: Key<RawProbe>, pool: Location, pool_name: &str, port: u16) -> ProbeSettings {
        let location = probe.location().unwrap_or(pool);
        let is_readable = !matches!(probe, Key::Faulty);
        let raw = probe.or(RawProbe::default());
        let interval = Setting::new("interval", raw.interval, raw::INTERVAL);
        let connect_timeout = Setting::new("connectTimeout", raw.connect_timeout, raw::CONNECT_TIMEOUT);
        let timeout = Setting::new("timeout", raw.timeout, raw::TIMEOUT);
        let confirm_interval = Setting::new("confirmInterval", raw.confirm_interval, raw::CONFIRM_INTERVAL);
        let tls_timeout = Setting::new("tlsTimeout", raw.tls_timeout, raw::TLS_TIMEOUT.min(timeout.value));
        let late_after = Setting::new("lateAfter", raw.late_after, raw::LATE_AFTER.min(timeout.value));
        for part in [&connect_timeout, &tls_timeout, &late_after] {
            self.in_order(part, &timeout);
        }
        self.in_order(&confirm_interval, &interval);
        ProbeSettings {
            pool: pool_name.to_owned(),
            port,
            path: raw.path.or(Text(RequestPath(raw::PATH.to_owned()))).0.0,
            server_name: raw.server_name.or(Text(ServerName(pool_name.to_owned()))).0.0,
            interval: interval.value,
            connect_timeout: connect_timeout.value,
            tls_timeout: tls_timeout.value,
            timeout: timeout.value,
            confirm_interval: confirm_interval.value,
            late_after: late_after.value,
            fresh_every: count(raw.fresh_every.or(Whole(raw::FRESH_EVERY)).0),
            thresholds: Thresholds {
                rise: count(raw.rise.or(Whole(raw::RISE)).0),
                fall: count(raw.fall.or(Whole(raw::FALL)).0),
            },
            trust: if is_readable { self.trust(raw.ca, raw.insecure, location) } else { Trust::System },
            auth: self.auth(raw.auth),
        }
    }

    fn trust(&mut self, ca: Key<Text<FilePath>>, insecure: Key<bool>, probe: Location) -> Trust {
        let unset = matches!((&ca, &insecure), (Key::Absent, Key::Absent | Key::Present(Located { value: false, .. })));
        let insecure = insecure.present().unwrap_or(Located { value: false, location: probe });
        let ca_location = ca.location().unwrap_or(probe);
        let path = self.file(ca, files::ca);
        match (path, insecure.value) {
            (Some(_), true) => {
                let message = "`insecure: true` and `ca` exclude each other; one of the two is allowed";
                self.findings.error(insecure.location, message);
                Trust::Nothing
            }
            (None, true) => {
                let message = "every certificate is accepted, so a node with a wrong one, or an impostor, counts as \
                               ready";
                self.findings.warn(insecure.location, message);
                Trust::Nothing
            }
            (Some(path), false) => {
                self.warn_of_authorities(&path, ca_location);
                Trust::File(path)
            }
            (None, false) => {
                if unset {
                    let message = "`ca` is not set, so only the CAs of the system are trusted; kubeadm's CA is seldom \
                                   one of them";
                    self.findings.warn(probe, message);
                }
                Trust::System
            }
        }
    }

    /// Warns of the certificates of a CA file that cannot be used, and of those that expire.
    fn warn_of_authorities(&mut self, path: &Path, location: Location) {
        if self.source.is_alone() {
            return;
        }
        if daymark_files::is_missing(path) {
            let message = format!(
                "{} does not exist yet, so no node can be probed, and all are answered until the file appears; `kubeadm init phase \
                 certs ca` makes it",
                path.display()
            );
            self.findings.warn(location, message);
            return;
        }
        // An unusable file was found with the file itself.
        let Ok(CaBundle { authorities, unusable }) = CaBundle::read(path) else { return };
        for unusable in unusable {
            self.findings.warn(location, format!("{}: {unusable}; the others are used", path.display()));
        }
        for warning in Expiry::of_authorities(&authorities).iter().filter_map(|expiry| expiry.warning(now())) {
            self.findings.warn(location, format!("{}: {warning}", path.display()));
        }
    }

    fn auth(&mut self, auth: Key<RawAuth>) -> Option<Auth> {
        let Located { value: raw, location } = auth.present()?;
        let message = match (&raw.client_certificate, &raw.token_file) {
            (Key::Absent, Key::Absent) => "has no credentials; one of clientCertificate, tokenFile is needed",
            (Key::Absent, _) => return self.token(raw.token_file),
            (_, Key::Absent) => {
                return self.client_certificate(raw.client_certificate.present()?);
            }
            _ => "clientCertificate and tokenFile exclude each other; one of the two is allowed",
        };
        self.findings.error(location, message);
        None
    }

    fn token(&mut self, file: Key<Text<FilePath>>) -> Option<Auth> {
        let location = file.location();
        let path = self.secret_file(file, files::token)?;
        // An unusable file was found with the file itself.
        if !self.source.is_alone()
            && let Some(location) = location
            && let Ok(token) = Token::read(&path)
        {
            if let Some(claim) = token.malformed_claim() {
                let file = path.display();
                let message = format!(
                    "the claim `{claim}` of the token in {file} is not a number, so nodes refuse it; use another token"
                );
                self.findings.warn(location, message);
            }
            if let Some(warning) = Expiry::of_token(&token, &path).and_then(|expiry| expiry.warning(now())) {
                self.findings.warn(location, warning);
            }
        }
        Some(Auth::TokenFile(path))
    }

    fn client_certificate(&mut self, written: Located<raw::RawClientCertificate>) -> Option<Auth> {
        let Located { value: raw, location } = written;
        let certificate_location = raw.certificate.location();
        let key_location = raw.key.location();
        let certificate = self.required_file(raw.certificate, "certificate", location, files::chain);
        let key = self.required_file(raw.key, "key", location, files::key);
        let certificate = certificate?;
        let key = key?;
        self.warn_of_open_secret(&key, key_location.unwrap_or(location));
        if !self.source.is_alone() {
            match ClientIdentity::read(&certificate, &key) {
                Ok(identity) => {
                    let location = certificate_location.unwrap_or(location);
                    for unusable in &identity.unusable {
                        let message = format!("{}: {unusable}; the others are used", certificate.display());
                        self.findings.warn(location, message);
                    }
                    if let Some(warning) =
                        Expiry::of_client_certificate(&identity).and_then(|expiry| expiry.warning(now()))
                    {
                        let message = format!("{}: {warning}", certificate.display());
                        self.findings.warn(location, message);
                    }
                }
                Err(error @ CertificateFileError::ClientIdentity { .. }) => {
                    self.findings.error(key_location.unwrap_or(location), error.to_string());
                }
                // Any other error was found with the file itself.
                Err(_) => {}
            }
        }
        Some(Auth::ClientCertificate { certificate, key })
    }
}

/// The present time, in seconds since the Unix epoch.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// The kinds of the keys keep it above zero.
fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
