//! The CAs that the probes of each pool trust, read when someone asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use daymark_api::AuthorityStatus;
use daymark_config::PoolConfig;
use daymark_decision::PoolName;
use daymark_probe::Trust;
use parking_lot::Mutex;

/// The trust of the probes of each pool. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TrustedAuthorities(Arc<Mutex<BTreeMap<PoolName, Trust>>>);

impl TrustedAuthorities {
    /// Takes the pools of the active configuration.
    pub(crate) fn set(&self, pools: &[PoolConfig]) {
        *self.0.lock() = pools.iter().map(|pool| (pool.pool.name.clone(), pool.probe.trust.clone())).collect();
    }

    /// The CAs of a pool's file as it is now. `now` is in seconds since the Unix epoch.
    pub(super) fn of(&self, pool: &PoolName, now: i64) -> Vec<AuthorityStatus> {
        let trust = self.0.lock().get(pool).cloned();
        let authorities = trust.map(|trust| trust.authorities()).unwrap_or_default();
        let status = |authority: daymark_probe::Authority| AuthorityStatus {
            warning: authority.end_warning(now),
            name: authority.name,
            not_after: authority.not_after,
        };
        authorities.into_iter().map(status).collect()
    }
}

#[cfg(test)]
mod tests {
    use daymark_config::Config;

    use super::*;

    const POOL: &str = "pools:\n  - {name: lb.example.org, nodes: [{name: cp-1, addresses: [192.0.2.1]}], probe: {ca: ca.crt}}\n\
                        providers: [{type: authoritative, nameservers: [{name: ns1.example.org}]}]\n";

    #[test]
    fn a_ca_is_told_with_its_end_and_its_warning() {
        let dir = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "kubernetes");
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let ca = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.crt"), ca.pem()).unwrap();
        let pools = Config::parse(POOL, "daymark.yaml", dir.path()).unwrap().pools;
        let authorities = TrustedAuthorities::default();
        authorities.set(&pools);
        let not_after = 4_102_444_800;
        let warning = |now| {
            let [status] = &authorities.of(&pools[0].pool.name, now)[..] else { panic!("one CA") };
            assert_eq!((status.name.as_str(), status.not_after), ("CN=kubernetes", not_after));
            status.warning.clone()
        };
        assert_eq!(warning(not_after - 30 * 86_400), None);
        assert_eq!(
            warning(not_after - 86_400),
            Some(
                "the CA CN=kubernetes expires on 2100-01-01, in 1 day, and from then on clients refuse every node \
                 whose certificate it issued; renew it before then"
                    .to_owned()
            )
        );
        assert!(warning(not_after + 1).unwrap().starts_with("the CA CN=kubernetes expired on 2100-01-01, so clients"));
    }
}
