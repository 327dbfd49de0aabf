//! A fake apiserver, the CA file of its authority, and probe settings that lead to it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use daymark_decision::{Observation, Thresholds};
use daymark_fake_apiserver::{Behaviour, FakeApiserver, FakeAuthority};
use daymark_probe::{ProbeSettings, Prober, Trust};
use tempfile::TempDir;

pub(crate) const NAME: &str = "lb.kube-cp.com";
/// A time limit that only a failing test reaches.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A fake apiserver and the settings to probe it.
pub(crate) struct Fixture {
    pub(crate) authority: FakeAuthority,
    pub(crate) apiserver: FakeApiserver,
    pub(crate) settings: ProbeSettings,
    pub(crate) directory: TempDir,
}

impl Fixture {
    /// A ready fake with a certificate for [`NAME`], and settings that wait [`LONG`].
    pub(crate) fn new() -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into(), NAME)
    }

    /// The same on another address and with another server name.
    pub(crate) fn on(address: IpAddr, name: &str) -> Self {
        Self::by(FakeAuthority::new("kubernetes").unwrap(), address, name)
    }

    /// The same with a certificate of this CA.
    pub(crate) fn by(authority: FakeAuthority, address: IpAddr, name: &str) -> Self {
        let names = [name, "kubernetes", "10.96.0.1", "fd00::1"];
        let apiserver = FakeApiserver::start(SocketAddr::new(address, 0), &authority, &names).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.crt");
        fs::write(&ca, authority.pem()).unwrap();
        let settings = ProbeSettings {
            pool: NAME.to_owned(),
            port: apiserver.address().port(),
            path: "/readyz".to_owned(),
            server_name: name.to_owned(),
            interval: Duration::from_millis(20),
            connect_timeout: LONG,
            tls_timeout: LONG,
            timeout: LONG,
            confirm_interval: LONG,
            late_after: LONG,
            fresh_every: NonZeroU32::MAX,
            thresholds: thresholds(1, 1),
            trust: Trust::File(ca),
            auth: None,
        };
        Self { authority, apiserver, settings, directory }
    }

    pub(crate) async fn with(behaviour: Behaviour) -> Self {
        let fixture = Self::new();
        fixture.apiserver.set(behaviour).await.unwrap();
        fixture
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.apiserver.address().ip()
    }

    pub(crate) fn prober(&self) -> Prober {
        Prober::new(self.settings.clone())
    }

    pub(crate) async fn probe(&self) -> Observation {
        self.prober().probe_once(self.address()).await
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, contents).unwrap();
        path
    }
}

pub(crate) fn thresholds(rise: u32, fall: u32) -> Thresholds {
    let count = |n| NonZeroU32::new(n).unwrap();
    Thresholds { rise: count(rise), fall: count(fall) }
}
