"""Makes keys and certificates with OpenSSL, each of them once."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

# Both are far from today, so that no verdict depends on the day.
START = "20200101000000Z"
END = "20991231000000Z"
PAST = ("20160101000000Z", "20260101000000Z")
FUTURE = ("20980101000000Z", "20991231000000Z")

CONFIG = """[ca]
default_ca = c
[c]
database = {directory}/index
new_certs_dir = {directory}
serial = {directory}/serial
unique_subject = no
policy = p
[p]
commonName = optional
[req]
distinguished_name = dn
[dn]
"""


def openssl(*arguments):
    """Runs one command of openssl."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


@dataclass(frozen=True)
class Certificate:
    """A certificate with the file of its key."""

    pem: str
    path: Path
    key: Path


class Maker:
    """Makes certificates below a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.count = 0
        self.config = directory / "openssl.cnf"
        self.config.write_text(CONFIG.format(directory=directory))

    def key(self, algorithm, label=""):
        """The key of an algorithm (`P-256`, `rsa:2048`, `ed25519`); another one for each label."""
        path = self.directory / f"{algorithm.replace(':', '')}{label}.key"
        if not path.exists():
            if algorithm.startswith("rsa"):
                options = ["-algorithm", algorithm.split(":")[0].upper().replace("RSAPSS", "RSA-PSS")]
                options += ["-pkeyopt", f"rsa_keygen_bits:{algorithm.split(':')[1]}"]
            elif algorithm.startswith("ed"):
                options = ["-algorithm", algorithm]
            else:
                options = ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{algorithm}"]
            openssl("genpkey", "-quiet", *options, "-out", path)
        return path

    def issue(self, key, extensions, issuer=None, name="kubernetes", validity=(START, END), options=()):
        """A certificate for a key; without an issuer, a self-signed one. Without extensions, it is of version 1."""
        self.count += 1
        base = self.directory / f"{self.count:03}"
        request, out, extfile = base.with_suffix(".csr"), base.with_suffix(".crt"), base.with_suffix(".ext")
        subject = f"/CN={name}" if name else "/"
        openssl("req", "-new", "-config", self.config, "-key", key, "-subj", subject, "-out", request)
        if not extensions:
            signer = ["-signkey", key] if issuer is None else ["-CA", issuer.path, "-CAkey", issuer.key]
            openssl("x509", "-req", "-in", request, *signer, "-days", "9000", "-set_serial", self.count, "-out", out)
            return Certificate(out.read_text(), out, key)
        extfile.write_text("\n".join(extensions) + "\n")
        (self.directory / "index").write_text("")
        (self.directory / "serial").write_text(f"{self.count:04X}\n")
        signer = ["-selfsign", "-keyfile", key] if issuer is None else ["-cert", issuer.path, "-keyfile", issuer.key]
        digest = [] if "-md" in options or key_is_edwards(issuer.key if issuer else key) else ["-md", "sha256"]
        openssl(
            "ca", "-batch", "-notext", "-config", self.config, *signer, "-in", request, "-out", out,
            "-startdate", validity[0], "-enddate", validity[1], "-extfile", extfile, *digest, *options,
        )
        return Certificate(out.read_text(), out, key)


def key_is_edwards(path):
    """True for a key whose signatures have a digest of their own."""
    return path.name.startswith("ed")
