//! The rules of a chain: every certificate is judged, the trusted one included.

#![expect(clippy::unwrap_used, reason = "a panic in a helper of tests is a failing test")]

use std::net::{IpAddr, Ipv4Addr};

use daymark_certificates::{
    Authorities, BrokenRule, CaBundle, CertificateFault, ChainFault, IssuerRule, ServerVerifier,
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
    date_time_ymd,
};
use rustls::pki_types::ServerName;

const NAME: &str = "lb.kube-cp.com";
/// 2027-01-15.
const NOW: i64 = 1_800_000_000;

/// A CA with its key.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn root(change: impl FnOnce(&mut CertificateParams)) -> Ca {
    let mut params = ca_params("kubernetes");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Ca { issuer: Issuer::new(params, key), certificate }
}

impl Ca {
    fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = leaf_params();
        change(&mut params);
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap()
    }
}

fn judge_for(name: &str, trusted: &[&Certificate], shown: &[&Certificate]) -> Result<(), ChainFault> {
    let authorities = Authorities::from_der(trusted.iter().map(|certificate| &**certificate.der()));
    let shown: Vec<&[u8]> = shown.iter().map(|certificate| &**certificate.der()).collect();
    ServerVerifier::new(authorities).judge(&shown, &ServerName::try_from(name).unwrap(), NOW)
}

fn judge(trusted: &[&Certificate], shown: &[&Certificate]) -> Result<(), ChainFault> {
    judge_for(NAME, trusted, shown)
}

/// The verdict on a leaf, after a change of the CA that issued it.
fn with_root(change: impl FnOnce(&mut CertificateParams)) -> Result<(), ChainFault> {
    let root = root(change);
    judge(&[&root.certificate], &[&root.leaf(|_| {})])
}

/// The verdict on a leaf after a change of it.
fn with_leaf(change: impl FnOnce(&mut CertificateParams)) -> Result<(), ChainFault> {
    let root = root(|_| {});
    judge(&[&root.certificate], &[&root.leaf(change)])
}

fn broken(rule: BrokenRule) -> Result<(), ChainFault> {
    Err(ChainFault::Broken(rule))
}

fn broken_by(ca: &str, rule: IssuerRule) -> Result<(), ChainFault> {
    broken(BrokenRule::Issuer { rule, ca: ca.to_owned() })
}

#[test]
fn a_leaf_of_a_trusted_ca_is_accepted() {
    assert_eq!(with_root(|_| {}), Ok(()));
    assert_eq!(judge_for("kube-cp.com", &[], &[&root(|_| {}).leaf(|_| {})]), Err(ChainFault::WrongName));
    assert_eq!(judge(&[], &[&root(|_| {}).leaf(|_| {})]), Err(ChainFault::UntrustedCa));
}

#[test]
fn a_leaf_of_an_expired_ca_is_refused_and_the_ca_is_named() {
    let expired = with_root(|ca| ca.not_after = date_time_ymd(2026, 1, 1));
    assert_eq!(expired, Err(ChainFault::CaExpired { ca: "CN=kubernetes".to_owned(), not_after: 1_767_225_600 }));
    let future = with_root(|ca| ca.not_before = date_time_ymd(2030, 1, 1));
    assert_eq!(future, broken_by("CN=kubernetes", IssuerRule::HasBegun));
}

#[test]
fn another_ca_of_the_same_name_and_key_that_is_valid_serves_instead() {
    let mut params = ca_params("kubernetes");
    let key = KeyPair::generate().unwrap();
    let renewed = params.self_signed(&key).unwrap();
    params.not_after = date_time_ymd(2026, 1, 1);
    let expired = params.self_signed(&key).unwrap();
    let leaf = leaf_params().signed_by(&KeyPair::generate().unwrap(), &Issuer::new(params, key)).unwrap();
    assert_eq!(judge(&[&expired, &renewed], &[&leaf]), Ok(()));
    assert!(matches!(judge(&[&expired, &root(|_| {}).certificate], &[&leaf]), Err(ChainFault::CaExpired { .. })));
}

#[test]
fn a_leaf_outside_its_own_validity_is_told_apart() {
    assert_eq!(with_leaf(|leaf| leaf.not_after = date_time_ymd(2026, 1, 1)), Err(ChainFault::Expired));
    assert_eq!(with_leaf(|leaf| leaf.not_before = date_time_ymd(2030, 1, 1)), Err(ChainFault::NotYetValid));
}

#[test]
fn an_issuer_must_be_a_ca_that_may_sign_certificates() {
    let rule = broken_by("CN=kubernetes", IssuerRule::IsCa);
    assert_eq!(with_root(|ca| ca.is_ca = IsCa::NoCa), rule);
    assert_eq!(with_root(|ca| ca.is_ca = IsCa::ExplicitNoCa), rule);
    assert_eq!(with_root(|ca| ca.key_usages = vec![KeyUsagePurpose::DigitalSignature]), rule);
    assert_eq!(with_root(|ca| ca.key_usages.clear()), Ok(()));
}

#[test]
fn a_leaf_of_a_leaf_is_refused() {
    let root = root(|_| {});
    let leaf = root.intermediate("leaf", |params| params.is_ca = IsCa::ExplicitNoCa);
    let below = leaf.leaf(|_| {});
    let rule = broken_by("CN=leaf", IssuerRule::IsCa);
    assert_eq!(judge(&[&root.certificate], &[&below, &leaf.certificate]), rule);
}

#[test]
fn intermediates_lead_to_the_trusted_ca_in_any_order() {
    let root = root(|_| {});
    let first = root.intermediate("first", |_| {});
    let second = first.intermediate("second", |_| {});
    let leaf = second.leaf(|_| {});
    assert_eq!(judge(&[&root.certificate], &[&leaf, &second.certificate, &first.certificate]), Ok(()));
    assert_eq!(judge(&[&root.certificate], &[&leaf, &first.certificate, &second.certificate]), Ok(()));
    assert_eq!(judge(&[&root.certificate], &[&leaf, &second.certificate]), Err(ChainFault::UntrustedCa));
    // As for Go, any certificate of the file is trusted, and not the self-signed ones alone.
    assert_eq!(judge(&[&second.certificate], &[&leaf]), Ok(()));
}

#[test]
fn a_path_length_bounds_the_cas_below_it() {
    let limited = |most| move |ca: &mut CertificateParams| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(most));
    let verdict = |root: &Ca| {
        let between = root.intermediate("between", |_| {});
        judge(&[&root.certificate], &[&between.leaf(|_| {}), &between.certificate])
    };
    assert_eq!(verdict(&root(limited(1))), Ok(()));
    assert_eq!(verdict(&root(limited(0))), broken_by("CN=kubernetes", IssuerRule::PathLength));
    assert_eq!(with_root(limited(0)), Ok(()));
}

#[test]
fn an_expired_intermediate_is_refused() {
    let root = root(|_| {});
    let between = root.intermediate("between", |ca| ca.not_after = date_time_ymd(2026, 1, 1));
    let verdict = judge(&[&root.certificate], &[&between.leaf(|_| {}), &between.certificate]);
    assert!(matches!(&verdict, Err(ChainFault::CaExpired { ca, .. }) if ca == "CN=between"), "{verdict:?}");
}

#[test]
fn the_extended_key_usage_of_every_certificate_allows_servers() {
    assert_eq!(with_leaf(|leaf| leaf.extended_key_usages.clear()), Ok(()));
    assert_eq!(with_leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]), Ok(()));
    assert_eq!(
        with_leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        broken(BrokenRule::NotForServers)
    );
    assert_eq!(with_root(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]), Ok(()));
    assert_eq!(
        with_root(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        broken_by("CN=kubernetes", IssuerRule::ForServers)
    );
}

#[test]
fn name_constraints_of_the_trusted_ca_hold() {
    let constrained = |permitted: GeneralSubtree| {
        move |ca: &mut CertificateParams| {
            let permitted_subtrees = vec![permitted];
            ca.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        }
    };
    let rule = broken_by("CN=kubernetes", IssuerRule::Names);
    assert_eq!(with_root(constrained(GeneralSubtree::DnsName("kube-cp.com".to_owned()))), Ok(()));
    assert_eq!(with_root(constrained(GeneralSubtree::DnsName("example.org".to_owned()))), rule);
    let range = || CidrSubnet::from_addr_prefix(IpAddr::V4(Ipv4Addr::new(10, 10, 0, 0)), 16);
    assert_eq!(with_root(constrained(GeneralSubtree::IpAddress(range()))), Ok(()), "a leaf without addresses");
    let root = root(constrained(GeneralSubtree::IpAddress(range())));
    let leaf = |address: &str| root.leaf(|leaf| *leaf = with_address(address));
    assert_eq!(judge_for("10.10.1.1", &[&root.certificate], &[&leaf("10.10.1.1")]), Ok(()));
    assert_eq!(judge_for("10.11.1.1", &[&root.certificate], &[&leaf("10.11.1.1")]), rule);
}

fn with_address(address: &str) -> CertificateParams {
    let mut params = CertificateParams::new([address.to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params
}

#[test]
fn a_constraint_of_a_type_that_is_not_compared_is_a_critical_extension_that_is_not_understood() {
    let constrain = |ca: &mut CertificateParams| {
        let permitted_subtrees = vec![GeneralSubtree::DirectoryName(DistinguishedName::new())];
        ca.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    };
    let bundle = CaBundle::parse(root(constrain).certificate.pem().as_bytes());
    assert!(bundle.authorities.is_empty());
    assert_eq!(bundle.unusable[0].fault.to_string(), "its critical extension 2.5.29.30 is not understood");
}

#[test]
fn a_critical_extension_that_is_not_understood_is_refused() {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    assert_eq!(with_leaf(|leaf| leaf.custom_extensions = vec![extension.clone()]), Ok(()));
    extension.set_criticality(true);
    let rule =
        BrokenRule::UnknownCriticalExtension { oid: "1.2.3.4".to_owned(), certificate: "CN=kube-apiserver".to_owned() };
    assert_eq!(with_leaf(|leaf| leaf.custom_extensions = vec![extension]), broken(rule));
}

/// A leaf with the pool's name and another name, of this tag and these bytes (RFC 5280, section 4.2.1.6).
fn with_name(tag: u8, content: &[u8]) -> Result<(), ChainFault> {
    let entry = |tag: u8, content: &[u8]| [&[0x80 | tag, u8::try_from(content.len()).unwrap()], content].concat();
    let names = [entry(2, NAME.as_bytes()), entry(tag, content)].concat();
    let sequence = [&[0x30, u8::try_from(names.len()).unwrap()], &names[..]].concat();
    with_leaf(|leaf| {
        leaf.subject_alt_names = Vec::new();
        leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], sequence)];
    })
}

#[test]
fn a_certificate_with_a_malformed_name_is_refused_whatever_its_other_names_are() {
    for (tag, content) in [(7, &[192, 0, 2, 1][..]), (7, &[0; 16]), (2, b"other.example"), (1, b"a@example.org")] {
        assert_eq!(with_name(tag, content), Ok(()), "{tag} {content:?}");
    }
    for (tag, content) in
        [(7, &[192, 0, 2, 1, 0][..]), (7, &[]), (2, "\u{fc}.example".as_bytes()), (6, b"\xff"), (1, b"\xe4@a")]
    {
        let rule = BrokenRule::Unreadable(CertificateFault::MalformedName);
        assert_eq!(with_name(tag, content), broken(rule), "{tag} {content:?}");
    }
}

#[test]
fn a_trusted_leaf_is_a_chain_of_one_whether_or_not_it_is_a_ca() {
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let pinned = root(|_| {}).leaf(|leaf| leaf.is_ca = is_ca);
        assert_eq!(judge(&[&pinned], &[&pinned]), Ok(()), "{is_ca:?}");
    }
    let expired = root(|_| {}).leaf(|leaf| leaf.not_after = date_time_ymd(2026, 1, 1));
    assert_eq!(judge(&[&expired], &[&expired]), Err(ChainFault::Expired));
    assert_eq!(with_leaf(|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), Ok(()));
}

#[test]
fn a_chain_of_cas_that_issue_each_other_ends() {
    // 20 CAs of one name, each of which any other may have issued.
    let cas: Vec<Ca> = (0..20).map(|_| root(|_| {})).collect();
    let leaf = cas[0].leaf(|_| {});
    let shown: Vec<&Certificate> = std::iter::once(&leaf).chain(cas.iter().map(|ca| &ca.certificate)).collect();
    let trusted = root(|params| params.distinguished_name.push(DnType::CommonName, "other"));
    assert_eq!(judge(&[&trusted.certificate], &shown), Err(ChainFault::UntrustedCa));
    let many: Vec<&Certificate> = std::iter::repeat_n(&leaf, 66).collect();
    assert_eq!(judge(&[&trusted.certificate], &many), broken(BrokenRule::TooManyShown));
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let root = root(|_| {});
    let server = ServerName::try_from(NAME).unwrap();
    let verifier = ServerVerifier::new(Authorities::from_der([&**root.certificate.der()]));
    let leaf = root.leaf(|_| {});
    let whole: &[u8] = leaf.der();
    for shown in [&[][..], &whole[..whole.len() - 1], &[whole, &[0]].concat()] {
        let rule = BrokenRule::Unreadable(CertificateFault::NotX509);
        assert_eq!(verifier.judge(&[shown], &server, NOW), broken(rule));
    }
    assert_eq!(verifier.judge(&[], &server, NOW), Err(ChainFault::UntrustedCa));
}

/// CAs of one name, as a cluster has them that was set up anew again and again, and a leaf of one of them.
fn of_many(count: usize, issuer: usize, change: fn(&mut CertificateParams)) -> Result<(), ChainFault> {
    let cas: Vec<Ca> = (0..count).map(|_| root(change)).collect();
    let leaf = cas[issuer].leaf(change);
    judge(&cas.iter().map(|ca| &ca.certificate).collect::<Vec<_>>(), &[&leaf])
}

#[test]
fn of_three_hundred_cas_with_one_name_the_right_one_is_found_by_its_key_as_in_go() {
    for issuer in [0, 150, 299] {
        assert_eq!(of_many(300, issuer, |params| params.use_authority_key_identifier_extension = true), Ok(()));
    }
}

#[test]
fn cas_with_one_name_and_without_key_identifiers_are_tried_up_to_a_bound_as_in_go() {
    let without = |params: &mut CertificateParams| {
        params.use_authority_key_identifier_extension = false;
        params.key_identifier_method = KeyIdMethod::PreSpecified(Vec::new());
    };
    assert_eq!(of_many(101, 99, without), Ok(()));
    assert_eq!(of_many(101, 100, without), Err(BrokenRule::TooManySignatures.into()));
}

#[test]
fn a_repeated_ca_counts_once() {
    let repeated = root(|_| {});
    let right = root(|_| {});
    let mut pem = repeated.certificate.pem().repeat(300);
    pem.push_str(&right.certificate.pem());
    let bundle = CaBundle::parse(pem.as_bytes());
    assert_eq!(bundle.authorities.iter().count(), 2);
    let leaf = right.leaf(|_| {});
    let name = ServerName::try_from(NAME).unwrap();
    assert_eq!(ServerVerifier::new(bundle.authorities).judge(&[leaf.der()], &name, NOW), Ok(()));
}
