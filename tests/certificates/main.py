"""Compares the verdicts of Daymark, OpenSSL and Go on generated chains. They are equal, or in the list of docs/certificates.md."""

import argparse
import re
import ssl
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from socket import create_server

from authority import Maker, openssl
from cases import CA, LEAF, Case, cases

DOCS = Path(__file__).resolve().parents[2] / "docs" / "certificates.md"
JUDGES = ["daymark", "openssl", "go-old", "go-new"]
ROW = re.compile(r"\| `([a-z0-9-]+)`((?: \| (?:yes|no)){4}) \|")
MIN_CASES = 60
# The chains whose server finds no signature that TLS has for its key.
NO_HANDSHAKE = ["leaf-p-224", "leaf-secp256k1", "leaf-rsa-512"]
CONFIG = """pools:
  - name: lb.kube-cp.com
    port: {port}
    nodes: [{{name: cp-1, addresses: [127.0.0.1]}}]
    probe: {{{trust}, serverName: "{server}"}}
providers: [{{type: authoritative, nameservers: [{{name: ns1.kube-cp.com}}]}}]
"""


@dataclass(frozen=True)
class Files:
    """The files of one case, and the port of its server."""

    case: object
    ca: Path
    shown: Path
    port: int


def serve(listener, shown, key, clients=None):
    """Answers every request on a listener with `ok`, as an apiserver with these certificates.

    With `clients`, the file of a CA, each client must show a certificate of it. The returned list receives these, as DER.
    """
    seen = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(shown, key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)

    def answer(connection):
        try:
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.settimeout(10)
                seen.append(tls.getpeercert(binary_form=True))
                request = b""
                while b"\r\n\r\n" not in request:
                    more = tls.recv(4096)
                    if not more:
                        return
                    request += more
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        except OSError:
            pass

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return seen


def prepare(directory, case):
    """Writes the files of a case and starts its server."""
    ca = directory / f"{case.name}.ca.pem"
    shown = directory / f"{case.name}.shown.pem"
    ca.write_text(case.trusted)
    shown.write_text("".join(certificate.pem for certificate in case.shown))
    listener = create_server(("127.0.0.1", 0))
    serve(listener, shown, case.shown[0].key)
    return Files(case, ca, shown, listener.getsockname()[1])


def run(*command):
    """The output of a command that succeeds; `None` for one that fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else None


def by_daymark(binary, files, trust):
    config = files.ca.with_suffix(f".{trust.split(':')[0]}.yaml")
    config.write_text(CONFIG.format(port=files.port, trust=trust, server=files.case.server))
    found = run(binary, "probe", "--config", config, "--output", "json")
    return found is not None and '"kind": "ready"' in found


def by_openssl(files):
    is_address = files.case.server[0].isdigit()
    name = ["-verify_ip" if is_address else "-verify_hostname", files.case.server]
    untrusted = ["-untrusted", files.shown] if len(files.case.shown) > 1 else []
    trust = ["-no-CApath", "-no-CAstore", "-CAfile", files.ca]
    return run("openssl", "verify", "-purpose", "sslserver", *trust, *name, *untrusted, files.shown) is not None


def by_go(kubectl, files, credentials=("--token", "t")):
    server = ["--server", f"https://127.0.0.1:{files.port}", "--certificate-authority", files.ca]
    # Without credentials kubectl would ask for a name and a password.
    name = ["--tls-server-name", files.case.server, "--kubeconfig", "/dev/null", *credentials, "--request-timeout", "10s"]
    return run(kubectl, *server, *name, "get", "--raw", "/readyz") == "ok"


def documented():
    """The verdicts of the list, by case."""
    rows = ROW.findall(DOCS.read_text())
    return {name: [word == "yes" for word in re.findall("yes|no", verdicts)] for name, verdicts in rows}


def compare(verdicts, listed):
    """The sentences about cases whose verdicts are neither equal nor in the list."""
    for name in sorted(set(listed) - set(verdicts)):
        yield f"{name} is in the list, and there is no such case"
    for name, found in verdicts.items():
        shown = ", ".join(f"{judge} {'yes' if verdict else 'no'}" for judge, verdict in zip(JUDGES, found))
        if name in listed and len(set(found)) == 1:
            yield f"{name} is in the list, and all are equal: {shown}"
        elif name in listed and listed[name] != found:
            yield f"{name} is in the list with other verdicts: {shown}"
        elif name not in listed and len(set(found)) > 1:
            yield f"{name} is not in the list: {shown}"


def faults_of_clients(tools, maker):
    """Shows client certificates of versions 1 and 3 to a server that demands and verifies them, and compares what it saw."""
    ca = maker.issue(maker.key("P-256", "-clients"), CA)
    server = maker.issue(maker.key("P-256", "-server"), LEAF, ca, "kube-apiserver")
    for algorithm in ["P-256", "rsa:2048"]:
        for version, extensions in [(1, []), (3, ["extendedKeyUsage=clientAuth"])]:
            name = f"a client certificate of version {version} with {algorithm}"
            client = maker.issue(maker.key(algorithm, "-client"), extensions, ca, "daymark")
            if f"Version: {version} " not in openssl("x509", "-in", client.path, "-noout", "-text"):
                yield f"{name} is of another version"
            listener = create_server(("127.0.0.1", 0))
            seen = serve(listener, server.path, server.key, ca.path)
            files = Files(Case(name, ca.pem, [server]), ca.path, server.path, listener.getsockname()[1])
            pair = f"auth: {{clientCertificate: {{certificate: {client.path}, key: {client.key}}}}}"
            credentials = ("--client-certificate", client.path, "--client-key", client.key)
            judges = {
                "daymark": lambda: by_daymark(tools.daymark, files, f"ca: {ca.path}, {pair}"),
                "go-old": lambda: by_go(tools.go_old, files, credentials),
                "go-new": lambda: by_go(tools.go_new, files, credentials),
            }
            for judge, is_answered in judges.items():
                seen.clear()
                if not is_answered():
                    yield f"{name}: {judge} gets no answer with it"
                elif set(seen) != {ssl.PEM_cert_to_DER_cert(client.pem)}:
                    yield f"{name}: the server sees another certificate of {judge}"
            if by_daymark(tools.daymark, files, f"ca: {ca.path}"):
                yield f"{name}: the server demands none"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for tool in ["daymark", "go-old", "go-new"]:
        parser.add_argument(f"--{tool}", required=True, type=Path)
    tools = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        maker = Maker(directory)
        all_files = [prepare(directory, case) for case in cases(maker)]

        refused_insecurely = []

        def judge(files):
            old, new = by_go(tools.go_old, files), by_go(tools.go_new, files)
            if not by_daymark(tools.daymark, files, "insecure: true"):
                refused_insecurely.append(files.case.name)
            return files.case.name, [by_daymark(tools.daymark, files, f"ca: {files.ca}"), by_openssl(files), old, new]

        with ThreadPoolExecutor(4) as pool:
            verdicts = dict(pool.map(judge, all_files))
        faults = list(faults_of_clients(tools, maker))
    faults += compare(verdicts, documented())
    for case in (files.case for files in all_files):
        if case.expected is not None and set(verdicts[case.name]) != {case.expected}:
            faults.append(f"{case.name}: {verdicts[case.name]}, and {case.expected} is right for every judge")
    faults += [f"{name} is refused with insecure" for name in refused_insecurely if name not in NO_HANDSHAKE]
    if len(verdicts) != len(all_files) or len(verdicts) < MIN_CASES:
        faults.append(f"{len(verdicts)} verdicts on {len(all_files)} cases, and at least {MIN_CASES} are needed")
    accepted = sum(found[0] for found in verdicts.values())
    print("\n".join(faults))
    print(f"certificates: {len(verdicts)} chains, {accepted} accepted, {len(documented())} differences, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
