"""The generated chains: a bundle of trusted certificates, the certificates that a server shows, and the name it is asked for."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from authority import FUTURE, PAST, Certificate

NAME = "lb.kube-cp.com"
CA = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature", "subjectKeyIdentifier=hash"]
SAN = f"subjectAltName=DNS:{NAME},IP:10.10.1.1"
EKU = "extendedKeyUsage=serverAuth"
LEAF = ["basicConstraints=CA:FALSE", SAN, EKU]
PSS = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1")


@dataclass(frozen=True)
class Case:
    """One server and one client."""

    name: str
    trusted: str
    shown: list[Certificate] = field(repr=False)
    server: str = NAME
    # The verdict of all judges, if it was known before.
    expected: bool | None = None


def cases(make):
    """Every case."""
    root = make.issue(make.key("P-256", "-root"), CA)
    leaf_key = make.key("P-256", "-leaf")

    def case(name, trusted, *shown, server=NAME, expected=None):
        bundle = "".join(one if isinstance(one, str) else one.pem for one in trusted)
        return Case(name, bundle, list(shown), server, expected)

    def leaf(issuer=root, extensions=LEAF, key=leaf_key, **options):
        return make.issue(key, extensions, issuer, options.pop("name", "kube-apiserver"), **options)

    def ca(extensions=CA, label="", **options):
        return make.issue(make.key(options.pop("algorithm", "P-256"), "-ca" + label), extensions, **options)

    yield case("plain", [root], leaf())
    yield from of_algorithms(case, ca, leaf, make)
    yield from of_leaves(case, leaf, root, make)
    yield from of_cas(case, ca, leaf, root, make)
    yield from of_intermediates(case, ca, leaf, root)
    yield from of_bundles(case, ca, leaf, root)
    yield from of_the_reported_cluster(case, make)


def of_algorithms(case, ca, leaf, make):
    """Keys and signatures."""
    algorithms = ["P-224", "P-384", "P-521", "secp256k1", "ed25519", "ed448", "rsa:512", "rsa:1024", "rsa:2047", "rsa:2048", "rsa:4096"]
    issuer = ca()
    for algorithm in algorithms:
        label = algorithm.replace(":", "-").lower()
        yield case(f"leaf-{label}", [issuer], leaf(issuer, key=make.key(algorithm)))
        if algorithm != "rsa:512":
            by = ca(algorithm=algorithm)
            yield case(f"ca-{label}", [by], leaf(by))
    both = ca(algorithm="P-521")
    yield case("chain-p-521", [both], leaf(both, key=make.key("P-521")))
    both = ca(algorithm="rsa:1024")
    yield case("chain-rsa-1024", [both], leaf(both, key=make.key("rsa:1024")))
    for algorithm in ["P-256", "P-384", "P-521", "rsa:2048", "rsa:1024"]:
        for digest in ["sha1", "sha224", "sha384", "sha512"]:
            by = ca(algorithm=algorithm)
            label = algorithm.replace(":", "-").lower()
            yield case(f"{label}-with-{digest}", [by], leaf(by, options=("-md", digest)))
    for algorithm in ["rsa:1024", "rsa:2048"]:
        for digest in ["sha256", "sha384"]:
            by = ca(algorithm=algorithm)
            label = algorithm.replace(":", "-")
            yield case(f"{label}-pss-with-{digest}", [by], leaf(by, options=("-md", digest, *PSS)))
    by = ca(algorithm="rsa:2048")
    yield case("rsa-pss-short-salt", [by], leaf(by, options=(*PSS[:3], "rsa_pss_saltlen:20")))
    old = ca(options=("-md", "sha1"))
    yield case("root-self-signed-with-sha1", [old], leaf(old))


def of_leaves(case, leaf, root, make):
    """The server's own certificate."""
    san = lambda names: ["basicConstraints=CA:FALSE", f"subjectAltName={names}", EKU]
    yield case("leaf-expired", [root], leaf(validity=PAST))
    yield case("leaf-not-yet-valid", [root], leaf(validity=FUTURE))
    yield case("leaf-other-name", [root], leaf(extensions=san("DNS:other.kube-cp.com")))
    yield case("leaf-common-name-only", [root], leaf(extensions=["basicConstraints=CA:FALSE", EKU], name=NAME))
    yield case("leaf-wildcard", [root], leaf(extensions=san("DNS:*.kube-cp.com")))
    yield case("leaf-wildcard-too-high", [root], leaf(extensions=san("DNS:*.com")))
    yield case("leaf-wildcard-partial", [root], leaf(extensions=san("DNS:l*.kube-cp.com")))
    yield case("leaf-upper-case-name", [root], leaf(extensions=san("DNS:LB.KUBE-CP.COM")))
    yield case("leaf-address", [root], leaf(), server="10.10.1.1")
    yield case("leaf-other-address", [root], leaf(), server="10.10.1.2")
    yield case("leaf-address-as-dns-name", [root], leaf(extensions=san("DNS:10.10.1.1")), server="10.10.1.1")
    yield case("leaf-ca-true", [root], leaf(extensions=["basicConstraints=critical,CA:TRUE", SAN, EKU]))
    yield case("leaf-without-basic-constraints", [root], leaf(extensions=[SAN, EKU]))
    yield case("leaf-without-extended-key-usage", [root], leaf(extensions=[SAN]))
    yield case("leaf-any-extended-key-usage", [root], leaf(extensions=[SAN, "extendedKeyUsage=anyExtendedKeyUsage"]))
    yield case("leaf-client-auth-only", [root], leaf(extensions=[SAN, "extendedKeyUsage=clientAuth"]))
    yield case("leaf-client-and-server-auth", [root], leaf(extensions=[SAN, "extendedKeyUsage=clientAuth,serverAuth"]))
    yield case("leaf-key-usage-cert-sign-only", [root], leaf(extensions=[SAN, EKU, "keyUsage=critical,keyCertSign"]))
    yield case("leaf-unknown-extension", [root], leaf(extensions=[*LEAF, "1.2.3.4=DER:0500"]))
    yield case("leaf-unknown-critical-extension", [root], leaf(extensions=[*LEAF, "1.2.3.4=critical,DER:0500"]))
    yield case("leaf-of-a-stranger", [root], leaf(make.issue(make.key("P-256", "-stranger"), CA)))
    yield case("leaf-version-1", [root], make.issue(make.key("P-256", "-leaf"), [], root, NAME))
    alone = make.issue(make.key("P-256", "-alone"), ["basicConstraints=critical,CA:TRUE", SAN], None, "kube-apiserver")
    yield case("self-signed-ca-true-as-its-own-ca", [alone], alone)
    alone = make.issue(make.key("P-256", "-alone2"), LEAF, None, "kube-apiserver")
    yield case("self-signed-ca-false-as-its-own-ca", [alone], alone)
    alone = make.issue(make.key("P-256", "-alone3"), LEAF, None, "kube-apiserver", validity=PAST)
    yield case("self-signed-expired-as-its-own-ca", [alone], alone)
    yield case("self-signed-not-trusted", [root], make.issue(make.key("P-256", "-alone4"), LEAF, None, "kube-apiserver"))
    pinned = leaf()
    yield case("pinned-leaf", [pinned], pinned)
    pinned = leaf(extensions=[SAN, "extendedKeyUsage=clientAuth"])
    yield case("pinned-leaf-client-auth-only", [pinned], pinned)


def of_cas(case, ca, leaf, root, make):
    """The CA in the bundle."""
    def root_with(name, extensions=CA, **options):
        by = ca(extensions, **options)
        return case(name, [by], leaf(by))

    constrained = lambda constraints: [*CA, f"nameConstraints=critical,{constraints}"]
    yield root_with("root-expired", validity=PAST)
    yield root_with("root-not-yet-valid", validity=FUTURE)
    yield root_with("root-ca-false", ["basicConstraints=critical,CA:FALSE"])
    yield root_with("root-without-basic-constraints", ["subjectKeyIdentifier=hash"])
    yield root_with("root-without-key-usage", ["basicConstraints=critical,CA:TRUE"])
    yield root_with("root-without-cert-sign", ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature"])
    yield root_with("root-path-length-0", ["basicConstraints=critical,CA:TRUE,pathlen:0"])
    yield root_with("root-server-auth", [*CA, EKU])
    yield root_with("root-client-auth-only", [*CA, "extendedKeyUsage=clientAuth"])
    yield root_with("root-any-extended-key-usage", [*CA, "extendedKeyUsage=anyExtendedKeyUsage"])
    yield root_with("root-unknown-critical-extension", [*CA, "1.2.3.4=critical,DER:0500"])
    yield root_with("root-version-1", [])
    yield root_with("root-permits-the-name", constrained("permitted;DNS:kube-cp.com"))
    yield root_with("root-permits-another-name", constrained("permitted;DNS:example.org"))
    yield root_with("root-excludes-the-name", constrained("excluded;DNS:kube-cp.com"))
    yield root_with("root-permits-another-range", constrained("permitted;IP:10.11.0.0/255.255.0.0"))
    yield root_with("root-permits-the-range", constrained("permitted;IP:10.10.0.0/255.255.0.0"))
    yield root_with("root-permits-mail-only", constrained("permitted;email:example.org"))
    by = ca(constrained("excluded;DNS:lb.kube-cp.com"), "-w")
    wildcard = ["basicConstraints=CA:FALSE", "subjectAltName=DNS:*.kube-cp.com", EKU]
    yield case("root-excludes-a-name-of-the-wildcard", [by], leaf(by, wildcard))


def of_intermediates(case, ca, leaf, root):
    """CAs between the bundle and the server."""
    def between_with(name, extensions=CA, above=root, **options):
        between = ca(extensions, "-between", issuer=above, name="between", **options)
        return case(name, [above], leaf(between), between)

    yield between_with("between")
    yield between_with("between-expired", validity=PAST)
    yield between_with("between-ca-false", ["basicConstraints=critical,CA:FALSE"])
    yield between_with("between-without-cert-sign", ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature"])
    yield between_with("between-client-auth-only", [*CA, "extendedKeyUsage=clientAuth"])
    yield between_with("between-version-1", [])
    yield between_with("between-below-path-length-0", above=ca(["basicConstraints=critical,CA:TRUE,pathlen:0"], "-p0"))
    yield between_with("between-below-path-length-1", above=ca(["basicConstraints=critical,CA:TRUE,pathlen:1"], "-p1"))
    between = ca(CA, "-b1", issuer=root, name="between")
    yield case("between-missing", [root], leaf(between))
    yield case("between-trusted-and-its-root-not", [between], leaf(between))
    below = ca(CA, "-b2", issuer=between, name="below")
    yield case("two-between", [root], leaf(below), below, between)
    yield case("two-between-in-the-wrong-order", [root], leaf(below), between, below)
    yield case("between-and-its-root", [root], leaf(between), between, root)


def of_bundles(case, ca, leaf, root):
    """Several certificates in the bundle."""
    expired = ca(CA, "-old", validity=PAST)
    other = ca(CA, "-other")
    renewed = ca(CA, "-old")
    torn = root.pem[: len(root.pem) // 2] + "\n"
    garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    yield case("bundle-of-two", [other, root], leaf())
    yield case("bundle-leaf-of-the-expired", [expired, other], leaf(expired))
    yield case("bundle-leaf-of-the-valid", [expired, other], leaf(other))
    yield case("bundle-expired-and-renewed-with-one-key", [expired, renewed], leaf(renewed))
    yield case("bundle-garbage-first", [garbage, root], leaf())
    yield case("bundle-garbage-last", [root, garbage], leaf())
    yield case("bundle-torn-first", [torn, other, root], leaf())
    yield case("bundle-torn-last", [root, torn], leaf())
    yield case("bundle-of-strangers", [other, expired], leaf())


def of_the_reported_cluster(case, make):
    """A cluster whose CA has expired and was renewed under the same name, as it was reported: one node has each certificate."""
    directory = make.directory / "expired-ca"
    directory.mkdir()
    subprocess.run([Path(__file__).parent / "expired-ca"], cwd=directory, check=True)
    trusted = (directory / "ca.crt").read_text()
    for name, is_accepted in [("old", False), ("new", True)]:
        shown = directory / f"{name}.crt"
        node = Certificate(shown.read_text(), shown, directory / f"{name}.key")
        yield case(f"reported-{name}", [trusted], node, expected=is_accepted)
