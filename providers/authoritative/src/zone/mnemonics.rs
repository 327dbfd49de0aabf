//! The words for numbers in the data of DNSSEC and CERT records.

/// A word and its number.
pub(super) struct Mnemonic {
    pub(super) word: &'static str,
    pub(super) number: u16,
}

const fn mnemonic(word: &'static str, number: u16) -> Mnemonic {
    Mnemonic { word, number }
}

/// The algorithms of DNSSEC (RFC 8624 and the registry of IANA).
pub(super) const ALGORITHMS: &[Mnemonic] = &[
    mnemonic("RSAMD5", 1),
    mnemonic("DH", 2),
    mnemonic("DSA", 3),
    mnemonic("RSASHA1", 5),
    mnemonic("NSEC3DSA", 6),
    mnemonic("NSEC3RSASHA1", 7),
    mnemonic("RSASHA256", 8),
    mnemonic("RSASHA512", 10),
    mnemonic("ECCGOST", 12),
    mnemonic("ECDSAP256SHA256", 13),
    mnemonic("ECDSAP384SHA384", 14),
    mnemonic("ED25519", 15),
    mnemonic("ED448", 16),
    mnemonic("INDIRECT", 252),
    mnemonic("PRIVATEDNS", 253),
    mnemonic("PRIVATEOID", 254),
];

/// The digests of DS records.
pub(super) const DIGESTS: &[Mnemonic] = &[
    mnemonic("SHA-1", 1),
    mnemonic("SHA1", 1),
    mnemonic("SHA-256", 2),
    mnemonic("SHA256", 2),
    mnemonic("GOST", 3),
    mnemonic("SHA-384", 4),
    mnemonic("SHA384", 4),
];

/// The types of certificates (RFC 4398, section 2.1).
pub(super) const CERTIFICATES: &[Mnemonic] = &[
    mnemonic("PKIX", 1),
    mnemonic("SPKI", 2),
    mnemonic("PGP", 3),
    mnemonic("IPKIX", 4),
    mnemonic("ISPKI", 5),
    mnemonic("IPGP", 6),
    mnemonic("ACPKIX", 7),
    mnemonic("IACPKIX", 8),
    mnemonic("URI", 253),
    mnemonic("OID", 254),
];
