//! Looks for a chain from a server's certificate to a trusted one, by the rules of Go's `Certificate.Verify`.
//!
//! Every certificate of the chain is judged, the trusted one included. The search is bounded, and without a chain there is no
//! trust.

use rustls::pki_types::ServerName;

use crate::certificate::ParsedCertificate;
use crate::fault::{BrokenRule, ChainFault, IssuerRule, MAX_COMPARISONS, MAX_SHOWN, MAX_SIGNATURES};
use crate::host_name::is_valid_for;
use crate::signature::SignatureFault;

/// The most certificates in a chain.
const MAX_CHAIN: usize = 16;
/// The certificates of one judgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidates<'a> {
    pub(crate) trusted: &'a [ParsedCertificate],
    /// Shown by the server beside its own.
    pub(crate) intermediates: &'a [ParsedCertificate],
    /// The time in seconds since the Unix epoch.
    pub(crate) now: i64,
}

/// A fault of one attempt. The further the attempt came, the better it explains the refusal.
#[derive(Clone, Debug)]
struct Attempt {
    progress: ChainSearch,
    fault: ChainFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ChainSearch {
    /// The signature could not be verified.
    Unverified,
    /// A certificate with a right signature breaks a rule.
    Issued,
}

/// Judges the certificate of a server for a name.
pub(crate) fn verify(
    end: &ParsedCertificate,
    server: &ServerName<'_>,
    candidates: Candidates<'_>,
) -> Result<(), ChainFault> {
    if candidates.intermediates.len() > MAX_SHOWN {
        return Err(BrokenRule::TooManyShown.into());
    }
    check_extensions(end)?;
    if candidates.now < end.not_before {
        return Err(ChainFault::NotYetValid);
    }
    if candidates.now > end.not_after {
        return Err(ChainFault::Expired);
    }
    if !is_valid_for(&end.names, server) {
        return Err(ChainFault::WrongName);
    }
    if !end.may_be_server {
        return Err(BrokenRule::NotForServers.into());
    }
    if candidates.trusted.iter().any(|trusted| trusted.der == end.der) {
        return Ok(());
    }
    let mut search = Search { candidates, signatures: 0, comparisons: 0, best: None };
    if search.extends(&mut vec![end]) {
        return Ok(());
    }
    Err(search.best.map_or(ChainFault::UntrustedCa, |attempt| attempt.fault))
}

struct Search<'a> {
    candidates: Candidates<'a>,
    signatures: usize,
    comparisons: usize,
    best: Option<Attempt>,
}

impl<'a> Search<'a> {
    /// True if the chain can be extended to a trusted certificate. Trusted ones are tried first.
    fn extends(&mut self, chain: &mut Vec<&'a ParsedCertificate>) -> bool {
        let Some(last) = chain.last().copied() else { return false };
        if likeliest_first(last, self.candidates.trusted).into_iter().any(|issuer| self.is_issuer(issuer, true, chain))
        {
            return true;
        }
        for issuer in likeliest_first(last, self.candidates.intermediates) {
            if self.is_issuer(issuer, false, chain) {
                chain.push(issuer);
                if self.extends(chain) {
                    return true;
                }
                chain.pop();
            }
        }
        false
    }

    /// True if the certificate, which has the right name, issued the last one of the chain and may be in it.
    fn is_issuer(&mut self, issuer: &ParsedCertificate, is_trusted: bool, chain: &[&ParsedCertificate]) -> bool {
        let Some(last) = chain.last() else { return false };
        if chain.len() >= MAX_CHAIN || chain.iter().any(|other| other.is_same_entity(issuer)) {
            return false;
        }
        if self.signatures == MAX_SIGNATURES {
            self.note(ChainSearch::Unverified, BrokenRule::TooManySignatures.into());
            return false;
        }
        self.signatures += 1;
        match last.verify_issued_by(issuer) {
            Ok(()) => {}
            Err(SignatureFault::Wrong) => return false,
            Err(SignatureFault::Unsupported(algorithm)) => {
                self.note(ChainSearch::Unverified, BrokenRule::UnsupportedSignature { algorithm }.into());
                return false;
            }
        }
        self.comparisons += comparisons(issuer, chain);
        if self.comparisons > MAX_COMPARISONS {
            self.note(ChainSearch::Unverified, BrokenRule::TooManyComparisons.into());
            return false;
        }
        match judge_issuer(issuer, is_trusted, chain, self.candidates.now) {
            Ok(()) => true,
            Err(fault) => {
                self.note(ChainSearch::Issued, fault);
                false
            }
        }
    }

    fn note(&mut self, progress: ChainSearch, fault: ChainFault) {
        if self.best.as_ref().is_none_or(|best| best.progress < progress) {
            self.best = Some(Attempt { progress, fault });
        }
    }
}

/// The candidates with the name of the issuer of a certificate. As in Go, those with the right identifier of the key come first: of
/// many CAs with one name, such as all that a cluster ever had, only the right one is tried.
fn likeliest_first<'a>(of: &ParsedCertificate, candidates: &'a [ParsedCertificate]) -> Vec<&'a ParsedCertificate> {
    let mut named: Vec<_> = candidates.iter().filter(|candidate| candidate.subject == of.issuer).collect();
    named.sort_by_key(|candidate| of.likelihood_of(candidate));
    named
}

/// The number of comparisons of a name with a constraint that this issuer needs.
fn comparisons(issuer: &ParsedCertificate, chain: &[&ParsedCertificate]) -> usize {
    let names: usize = chain.iter().map(|below| below.names.len()).sum();
    issuer.constraints.as_ref().map_or(0, |constraints| names.saturating_mul(constraints.len()))
}

/// Judges a CA whose signature on the last certificate of the chain is right.
fn judge_issuer(
    issuer: &ParsedCertificate,
    is_trusted: bool,
    chain: &[&ParsedCertificate],
    now: i64,
) -> Result<(), ChainFault> {
    let refused = |rule| ChainFault::from(BrokenRule::Issuer { rule, ca: issuer.name.clone() });
    // A trusted one of version 1 cannot say that it is a CA; being trusted says it.
    if !issuer.may_issue() || (!is_trusted && !issuer.is_marked_as_ca()) {
        return Err(refused(IssuerRule::IsCa));
    }
    check_extensions(issuer)?;
    if now > issuer.not_after {
        return Err(ChainFault::CaExpired { ca: issuer.name.clone(), not_after: issuer.not_after });
    }
    if now < issuer.not_before {
        return Err(refused(IssuerRule::HasBegun));
    }
    // The end certificate is none of the CAs in between.
    if issuer.max_path_length().is_some_and(|most| chain.len() - 1 > most) {
        return Err(refused(IssuerRule::PathLength));
    }
    if let Some(constraints) = &issuer.constraints
        && !chain.iter().flat_map(|below| &below.names).all(|name| constraints.allow(name))
    {
        return Err(refused(IssuerRule::Names));
    }
    if !issuer.may_be_server {
        return Err(refused(IssuerRule::ForServers));
    }
    Ok(())
}

fn check_extensions(certificate: &ParsedCertificate) -> Result<(), ChainFault> {
    let Some(oid) = &certificate.unknown_critical else { return Ok(()) };
    let certificate = certificate.name.clone();
    Err(BrokenRule::UnknownCriticalExtension { oid: oid.clone(), certificate }.into())
}
