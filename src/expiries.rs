//! The ends of the CAs that the probes of each pool trust and of the credentials that they show, and the errors of their files.

use std::collections::BTreeMap;
use std::sync::Arc;

use daymark_api::{ExpiryStatus, PoolStatus};
use daymark_decision::{Moment, PoolName};
use daymark_probe::{Expiries, Expiry, Prober};
use parking_lot::Mutex;

/// The prober of each pool, which knows these ends. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PoolExpiries(Arc<Mutex<BTreeMap<PoolName, Arc<Prober>>>>);

impl PoolExpiries {
    /// Takes the probers of the active configuration.
    pub(crate) fn set(&self, probers: &BTreeMap<PoolName, Arc<Prober>>) {
        self.0.lock().clone_from(probers);
    }

    /// Adds to a pool the ends that its probes know, and the error of their files. `now` is in seconds since the Unix epoch.
    pub(crate) fn add_to(&self, pool: PoolStatus, now: i64) -> PoolStatus {
        let Some(prober) = self.0.lock().get(&pool.name).cloned() else { return pool };
        let Expiries { authorities, credentials } = prober.expiries();
        let status = |expiry: Expiry| ExpiryStatus {
            warning: expiry.warning(now),
            name: expiry.name,
            not_after: Moment::from_unix_seconds(expiry.not_after),
        };
        PoolStatus {
            authorities: authorities.into_iter().map(status).collect(),
            credentials: credentials.map(status),
            probe_file_error: prober.file_error(),
            ..pool
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use daymark_config::Config;

    use super::*;
    use crate::cli::tests::pool_status;

    const POOL: &str = "pools:\n  - {name: lb.example.org, nodes: [{name: cp-1, addresses: [192.0.2.1]}], probe: {ca: ca.crt}}\n\
                        providers: [{type: authoritative, nameservers: [{name: ns1.example.org}]}]\n";

    const END: i64 = 4_102_444_800;
    const DAY: i64 = 86_400;

    /// A file with a certificate that ends at [`END`], and one with its key.
    fn write_certificate(dir: &Path, name: &str) {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(dir.join(format!("{name}.crt")), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// The pools of a configuration whose probes have these settings.
    fn expiries(dir: &Path, probe: &str) -> PoolExpiries {
        let pools = Config::parse(&POOL.replace("{ca: ca.crt}", probe), "daymark.yaml", dir).unwrap().pools;
        let probers = pools.into_iter().map(|pool| (pool.pool.name, Arc::new(Prober::new(pool.probe))));
        let expiries = PoolExpiries::default();
        expiries.set(&probers.collect());
        expiries
    }

    #[test]
    fn a_ca_is_reported_with_its_end_and_its_warning() {
        let dir = tempfile::tempdir().unwrap();
        write_certificate(dir.path(), "ca");
        let expiries = expiries(dir.path(), "{ca: ca.crt}");
        let warning = |now| {
            let pool = expiries.add_to(pool_status(), now);
            assert_eq!(pool.credentials, None);
            let [status] = &pool.authorities[..] else { panic!("one CA") };
            assert_eq!((status.name.as_str(), status.not_after), ("CN=ca", Moment::from_unix_seconds(END)));
            status.warning.clone()
        };
        assert_eq!(warning(END - 30 * DAY), None);
        assert_eq!(
            warning(END - DAY),
            Some(
                "the CA CN=ca expires on 2100-01-01, in 1 day, and from then on clients refuse every node whose certificate it \
                 issued; renew it before then"
                    .to_owned()
            )
        );
        assert!(warning(END + 1).unwrap().starts_with("the CA CN=ca expired on 2100-01-01, so clients"));
    }

    #[test]
    fn a_client_certificate_is_reported_with_its_end_and_is_an_alarm_within_30_days_of_it() {
        let dir = tempfile::tempdir().unwrap();
        write_certificate(dir.path(), "daymark");
        let auth = "{insecure: true, auth: {clientCertificate: {certificate: daymark.crt, key: daymark.key}}}";
        let expiries = expiries(dir.path(), auth);
        let early = expiries.add_to(pool_status(), END - 30 * DAY);
        let name = "CN=daymark".to_owned();
        assert_eq!(
            early.credentials,
            Some(ExpiryStatus { name, not_after: Moment::from_unix_seconds(END), warning: None })
        );
        let late = expiries.add_to(pool_status(), END - 2 * DAY);
        let expected = "lb.example.org: the client certificate CN=daymark expires on 2100-01-01, in 2 days, and from then on \
                        nodes refuse the credentials of the probes; renew it before then";
        assert!(late.alarms().contains(&expected.to_owned()), "{:?}", late.alarms());
    }

    #[test]
    fn a_token_is_reported_with_its_end_and_a_renewed_one_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let token = |claims: &str| format!("e30.{}.c2ln", data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes()));
        fs::write(&file, token(r#"{"exp": 4600}"#)).unwrap();
        let expiries = expiries(dir.path(), "{insecure: true, auth: {tokenFile: token}}");
        let expired = expiries.add_to(pool_status(), END).credentials.unwrap();
        assert_eq!((expired.name, expired.not_after.as_secs()), (file.display().to_string(), 4600));
        let warning = expired.warning.unwrap();
        assert!(warning.contains(" expired at 1970-01-01T01:16:40Z, so nodes refuse"), "{warning}");
        fs::write(&file, token(r#"{"iat": 4102441200, "exp": 4102444800}"#)).unwrap();
        let renewed = expiries.add_to(pool_status(), END - 3600).credentials.unwrap();
        assert_eq!((renewed.not_after, renewed.warning), (Moment::from_unix_seconds(END), None));
        fs::write(&file, "").unwrap();
        let kept = expiries.add_to(pool_status(), END - 3600);
        assert_eq!(kept.credentials.as_ref().unwrap().not_after, renewed.not_after, "the last good version stays");
        let alarms = kept.alarms();
        assert!(alarms.iter().any(|alarm| alarm.contains("a file of `probe` cannot be used any more: ")), "{alarms:?}");
        fs::write(&file, "opaque").unwrap();
        let mended = expiries.add_to(pool_status(), END);
        assert_eq!((mended.credentials, mended.probe_file_error), (None, None));
    }

    #[test]
    fn a_ca_file_that_is_deleted_is_an_alarm_until_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        write_certificate(dir.path(), "ca");
        let ca = dir.path().join("ca.crt");
        let content = fs::read(&ca).unwrap();
        let expiries = expiries(dir.path(), "{ca: ca.crt}");
        assert_eq!(expiries.add_to(pool_status(), END - 60 * DAY).probe_file_error, None);
        fs::remove_file(&ca).unwrap();
        let pool = expiries.add_to(pool_status(), END - 60 * DAY);
        assert!(pool.probe_file_error.unwrap().contains("ca.crt"));
        assert_eq!(pool.authorities.len(), 1, "the last good version stays");
        fs::write(&ca, content).unwrap();
        assert_eq!(expiries.add_to(pool_status(), END - 60 * DAY).probe_file_error, None);
    }
}
