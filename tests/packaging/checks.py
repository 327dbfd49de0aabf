"""The checks of the files of a release."""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import time

from fixture import NODES, ROOT, SCRATCH, WAIT_TIMEOUT, Clients, Machine, Nodes, answers, page, run_section, sh, until

CONFIG = "/etc/daymark/daymark.yaml"
EXAMPLE = os.path.join(ROOT, "examples/authoritative-minimal.yaml")
UPGRADES = 5  # The containers that take over, one after the other.
MAX_EXPOSURE = 1.5  # The highest allowed exposure level of a unit, by systemd-analyze security.


class Checks:
    def __init__(self):
        self.passed = 0

    def check(self, statement, condition=True):
        """Counts and prints a statement, and fails unless it is true."""
        if not condition:
            raise AssertionError(f"false: {statement}")
        self.passed += 1
        print(f"  {statement}", flush=True)


def run(files, again, tree, fake_cloudflare):
    began = time.monotonic()
    nodes = Nodes()
    checks = Checks()
    archive_file = glob.glob(f"{files}/daymark-*.tar.gz")[0]
    sh(f"tar xzf {archive_file} --strip-components=1 --directory {SCRATCH} --wildcards '*/daymark'")
    for part in (release, pages, empty_root, image, kubernetes, units, archive, debian, podman):
        print(f"{part.__name__.replace('_', ' ')}:", flush=True)
        part(checks, nodes, files=files, again=again, tree=tree, fake_cloudflare=fake_cloudflare, binary=f"{SCRATCH}/daymark")
    print(f"packaging: {checks.passed} checks passed in {time.monotonic() - began:.0f} s")


def release(checks, _nodes, files, again, **_):
    names = "-*-linux-x86_64.tar.gz", "_*_amd64.deb", "-*-image.tar", "-*-sbom.json", "-*.tgz"
    checks.check("each file exists once", all(len(glob.glob(f"{files}/daymark{name}")) == 1 for name in names))
    checks.check("the checksums are right", sh("sha256sum --check --quiet SHA256SUMS", cwd=files) == "")
    checks.check("a second build gives the same bytes", read(f"{files}/SHA256SUMS") == read(f"{again}/SHA256SUMS"))
    parts = {part["name"] for part in json.loads(read(glob.glob(f"{files}/*-sbom.json")[0]))["components"]}
    checks.check("the SBOM names the linked crates", {"rustls", "tokio", "hickory-proto"} <= parts)


def pages(checks, _nodes, binary, **_):
    version = sh([binary, "--version"]).split()[1]
    tags = {name for path in glob.glob(f"{ROOT}/docs/*.md") for name in re.findall(r"\bdaymark:(\d\S*)", read(path))}
    checks.check(f"the pages name only the image of {version}", tags == {version})
    changes = re.findall(r"^## (\S+)", read(f"{ROOT}/CHANGELOG.md"), re.M)
    checks.check("the changelog begins with that version", changes[0] == version)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def configure(root):
    sh(f"install -D -m 644 {SCRATCH}/ca.crt {root}/etc/kubernetes/pki/ca.crt; install -D -m 644 {EXAMPLE} {root}{CONFIG}")


def empty_root(checks, nodes, binary, **_):
    root = f"{SCRATCH}/empty"
    sh(f"mkdir -p {root}/var/lib/daymark; cp {binary} {root}/daymark")
    configure(root)
    checks.check("the binary needs no interpreter", "INTERP" not in sh(["readelf", "--program-headers", binary]))
    checks.check("it prints its version in an empty root", "commit" in sh(["chroot", root, "/daymark", "version"]))
    checks.check("it checks a configuration there", "lb.kube-cp.com" in sh(["chroot", root, "/daymark", "check", "-c", CONFIG]))
    with subprocess.Popen(["chroot", root, "/daymark", "run", "-c", CONFIG], stderr=subprocess.DEVNULL) as running:
        nodes.check_answers()
        running.terminate()
    checks.check("it answers there, and ends by SIGTERM", running.returncode == 0)


def image(checks, _nodes, files, **_):
    sh(f"{buildah()} pull oci-archive:{glob.glob(f'{files}/*-image.tar')[0]}")
    root = mounted()
    files_of_image = {os.path.relpath(os.path.join(base, name), root) for base, _dirs, names in os.walk(root) for name in names}
    checks.check("the image contains only the binary and the CA certificates",
                 files_of_image == {"usr/bin/daymark", "etc/ssl/certs/ca-certificates.crt"})
    owner = os.stat(f"{root}/var/lib/daymark")
    checks.check("the user owns the state directory", (owner.st_uid, owner.st_gid) == (65532, 65532))


def buildah():
    return f"buildah --storage-driver vfs --root {SCRATCH}/storage --runroot {SCRATCH}/run"


def mounted():
    name = sh(f"{buildah()} images --format '{{{{.ID}}}}'").split()[0]
    return sh(f"{buildah()} mount $({buildah()} from {name})").strip()


def kubernetes(checks, nodes, **_):
    """Runs the image by runc as containerd runs a pod: without inheritable and ambient capabilities."""
    image_root = mounted()
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        checks.check("port 53 needs a capability", int(file.read()) > 53)
    for escalation in (True, False):
        running = pod(image_root, ["CAP_NET_BIND_SERVICE"], escalation)
        nodes.check_answers()
        running.terminate()
        checks.check(f"NET_BIND_SERVICE and allowPrivilegeEscalation: {str(escalation).lower()} answer on port 53",
                     running.wait() == 0)
    refused = pod(image_root, [], False)
    output = refused.communicate()[0]
    checks.check("without NET_BIND_SERVICE it does not start", refused.returncode != 0 and "operation not permitted" in output)


def pod(image_root, capabilities, escalation):
    bundle = f"{SCRATCH}/bundle"
    shutil.rmtree(bundle, ignore_errors=True)
    os.makedirs(bundle)
    configure(bundle)
    sh(f"mkdir -p {bundle}/state; chown 65532:65532 {bundle}/state")
    mounts = ("/etc/daymark", "/etc/daymark", "ro"), ("/etc/kubernetes", "/etc/kubernetes", "ro"), ("/var/lib/daymark", "/state", "rw")
    bind = [{"destination": to, "source": bundle + source, "type": "bind", "options": ["bind", mode]} for to, source, mode in mounts]
    sets = {name: capabilities for name in ("bounding", "effective", "permitted")}
    spec = {"ociVersion": "1.0.2", "root": {"path": image_root, "readonly": False},
            "process": {"user": {"uid": 65532, "gid": 65532}, "cwd": "/", "capabilities": sets, "env": ["DAYMARK_LOG=warn"],
                        "args": chart_command(), "noNewPrivileges": not escalation},
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *bind]}
    with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
        json.dump(spec, file)
    name = f"daymark-{time.monotonic_ns()}"
    return subprocess.Popen(["runc", "--root", f"{SCRATCH}/runc", "run", "--bundle", bundle, name], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def chart_command():
    """Returns the command of the chart's container, from the golden file of tests/chart."""
    rendered = read(f"{ROOT}/tests/chart/golden/daemonset-with-peers.yaml")
    lists = [re.search(rf"^ +{key}: \[(/usr.*|run.*)\]$", rendered, re.M).group(1).split(", ") for key in ("command", "args")]
    return lists[0] + lists[1]


def units(checks, _nodes, **_):
    for unit in ("daymark.service", "daymark-sync.service"):
        report = sh(["systemd-analyze", "security", "--offline=true", "--no-pager", f"{ROOT}/packaging/debian/{unit}"])
        level = float(report.rsplit("exposure level for", 1)[1].split(":")[1].split()[0])
        checks.check(f"the exposure level of {unit} is {level}, at most {MAX_EXPOSURE}", level <= MAX_EXPOSURE)


def archive(checks, nodes, files, tree, **_):
    machine = Machine(tree, "archive")
    sh(f"cp {files}/* {machine.root}/root/; install -D -m 644 {SCRATCH}/ca.crt {machine.root}/etc/kubernetes/pki/ca.crt")
    try:
        run_section("From the archive", machine.command)
        checks.check("the page leads from the archive to a correct answer")
        nodes.check_answers()
        checks.check("the answer follows the nodes")
        machine.sh("kill $(pidof daymark)")
        until("it ends", lambda: answers() is None)
        run_section("As a service", machine.command)
        nodes.check_answers()
        checks.check("the page leads to a service whose answer follows the nodes")
        status = machine.sh(f"cat /proc/{machine.show('daymark', 'MainPID')}/status; systemctl is-enabled daymark")
        checks.check("the service starts at boot, with one capability and a system call filter",
                     all(line in status for line in ("CapPrm:\t0000000000000400", "Seccomp:\t2", "enabled\n")))
    except AssertionError:
        print(machine.sh("systemctl status daymark || true; journalctl | tail -n 30"))
        raise
    finally:
        machine.end()


def debian(checks, nodes, files, tree, fake_cloudflare, **_):
    machine = Machine(tree, "debian")
    sh(f"cp {files}/*.deb {machine.root}/root/; install -D -m 644 {SCRATCH}/ca.crt {machine.root}/etc/kubernetes/pki/ca.crt")
    try:
        installed(checks, nodes, machine)
        watched(checks, machine)
        persistent(checks, machine)
        without_ipv6(checks, machine)
        by_timer(checks, nodes, machine, fake_cloudflare)
        socket_unit(checks, machine)
        upgraded(checks, machine, glob.glob(f"{files}/*.deb")[0])
        removed(checks, machine)
    except AssertionError:
        print(machine.sh("systemctl status daymark daymark-sync || true; journalctl | tail -n 30"))
        raise
    finally:
        machine.end()


def installed(checks, nodes, machine):
    machine.sh("apt-get install -y ./daymark_*_amd64.deb")
    state = machine.sh("systemctl is-enabled daymark; systemctl is-active daymark || true; "
                       "systemctl is-enabled daymark-sync.timer daymark-dns.socket || true")
    checks.check("without a configuration the service is enabled but does not run, and timer and socket are disabled",
                 state.split() == ["enabled", "inactive", "disabled", "disabled"])
    run_section("From the Debian package", machine.command)
    checks.check("the page leads from the Debian package to a correct answer")
    nodes.check_answers()
    checks.check("the answer follows the nodes")
    pid = machine.show("daymark", "MainPID")
    status = machine.sh(f"cat /proc/{pid}/status; stat -c %U /proc/{pid}")
    checks.check("it runs as the user daymark with one capability and a system call filter",
                 all(line in status for line in ("CapPrm:\t0000000000000400", "Seccomp:\t2", "NoNewPrivs:\t1", "daymark\n")))
    machine.sh("systemctl reload daymark; systemctl is-active daymark")
    checks.check("a reload keeps the process",
                 machine.show("daymark", "MainPID") == pid)
    machine.sh("zcat /usr/share/man/man1/daymark-run.1.gz | grep -q SYNOPSIS; "
               "bash -n /usr/share/bash-completion/completions/daymark; test -s /usr/share/zsh/vendor-completions/_daymark; test -s /usr/share/fish/vendor_completions.d/daymark.fish")
    checks.check("man pages and completions are installed")
    verified = machine.sh("systemd-analyze verify --man=no /lib/systemd/system/daymark{,-sync}.service "
                          "/lib/systemd/system/daymark-{sync.timer,dns.socket}")
    checks.check(f"systemd reports no errors in the units: {verified!r}", verified == "")


DROP_IN = "/etc/systemd/system/daymark.service.d/test.conf"


def changed(machine, *lines):
    """Restarts the service with these lines in its unit."""
    machine.put(DROP_IN, "\n".join(["[Service]", *lines, ""]))
    machine.sh("systemctl daemon-reload; systemctl restart daymark")


def unchanged(machine):
    machine.sh(f"rm -r {os.path.dirname(DROP_IN)}; systemctl daemon-reload; systemctl restart daymark")


def watched(checks, machine):
    changed(machine, "WatchdogSec=1s")
    pid = machine.show("daymark", "MainPID")
    machine.sh(f"kill -STOP {pid}")
    until("a hanging process is replaced", lambda: machine.show("daymark", "MainPID") not in (pid, "0"))
    until("the new one answers", lambda: answers() == list(NODES))
    checks.check("a hanging process is killed, and a new one answers",
                 machine.show("daymark", "NRestarts") == "1" and "Watchdog timeout" in machine.sh("journalctl -u daymark"))
    unchanged(machine)


def persistent(checks, machine):
    machine.sh("systemctl stop daymark")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 53))
        machine.sh("systemctl start --no-block daymark")
        until("it has tried twice", lambda: int(machine.show("daymark", "NRestarts")) >= 2)
    until("it answers", lambda: answers() == list(NODES))
    checks.check("a service whose port is in use retries until it is free")


def without_ipv6(checks, machine):
    """Denies sockets of the IPv6 family, as a kernel without IPv6 does."""
    changed(machine, "RestrictAddressFamilies=", "RestrictAddressFamilies=AF_INET AF_UNIX")
    until("it answers", lambda: answers() == list(NODES))
    message = "cannot listen on [::]:53 by udp: this host has no IPv6; the address is left out"
    checks.check("without IPv6 the default serves by IPv4, and the log says so", message in machine.sh("journalctl -u daymark"))
    unchanged(machine)


def by_timer(checks, nodes, machine, fake_cloudflare):
    served = read(machine.root + CONFIG)
    cloudflare = subprocess.Popen([fake_cloudflare, "--bare"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        passes(checks, nodes, machine, cloudflare)
    finally:
        cloudflare.kill()
        cloudflare.wait()
    machine.put(CONFIG, served)
    machine.put("/etc/default/daymark", read(f"{ROOT}/packaging/debian/default"))
    machine.sh("systemctl enable --now daymark")
    until("it answers again", lambda: answers() == list(NODES))


def passes(checks, nodes, machine, cloudflare):
    """Runs one pass at a time, against the fake of Cloudflare."""
    printed = dict(cloudflare.stdout.readline().split(maxsplit=1) for _ in range(3))

    def records():
        print("records", file=cloudflare.stdin, flush=True)
        return sorted(record["content"] for record in json.loads(cloudflare.stdout.readline()))

    pools = read(machine.root + CONFIG).split("providers:")[0]
    machine.put(CONFIG, f"{pools}providers:\n  - {{type: cloudflare, mode: records, zone: kube-cp.com, "
                        f"tokenVariable: CLOUDFLARE_API_TOKEN, api: '{printed['api'].strip()}'}}\n")
    machine.put("/etc/default/daymark", f"CLOUDFLARE_API_TOKEN={printed['token']}")
    nodes.stop(NODES[1])
    machine.sh("systemctl disable --now daymark; systemctl enable --now daymark-sync.timer")
    until("a pass has written", lambda: records() == [NODES[0], NODES[2]])
    until("the next one is due", lambda: machine.show("daymark-sync.timer", "SubState") == "waiting")
    checks.check("the timer starts a pass, which writes the healthy nodes, and then waits for the next one",
                 machine.show("daymark-sync", "Result") == "success" and machine.show("daymark-sync", "ActiveState") == "inactive")
    machine.sh("systemctl disable --now daymark-sync.timer")
    nodes.start(NODES[1])
    machine.sh("systemctl start daymark-sync")
    checks.check("a manual pass writes the change", records() == list(NODES))
    machine.put("/etc/default/daymark", "")
    failed = machine.sh("systemctl start daymark-sync || systemctl show --property ExecMainStatus --value daymark-sync")
    checks.check("a pass without a token fails, and the log says so",
                 failed.splitlines()[-1] == "2" and "CLOUDFLARE_API_TOKEN" in machine.sh("journalctl -u daymark-sync"))


def socket_unit(checks, machine):
    """Port 53 from the socket unit, for a service without any capability. The unit stays enabled from here on."""
    run_section("Port 53 held by systemd", machine.command)
    machine.put("/etc/start-allowed", "")
    changed(machine, "AmbientCapabilities=", "CapabilityBoundingSet=", "Sockets=daymark-dns.socket",
            "ExecStartPre=/bin/sh -c 'while ! test -e /etc/start-allowed; do sleep 0.1; done'")
    until("it answers", lambda: answers() == list(NODES))
    status = machine.sh(f"cat /proc/{machine.show('daymark', 'MainPID')}/status")
    checks.check("with the socket unit the service answers without a capability",
                 all(f"Cap{kind}:\t0000000000000000" in status for kind in ("Prm", "Bnd", "Amb")))
    for ending in ("systemctl restart --no-block daymark", "systemctl kill --signal KILL daymark"):
        pid = machine.show("daymark", "MainPID")
        machine.sh(f"rm /etc/start-allowed; {ending}")
        until("it has ended", lambda pid=pid: machine.show("daymark", "MainPID") != pid)
        query = subprocess.Popen(["dig", "+short", "+time=30", "+tries=1", "@127.0.0.1", "lb.kube-cp.com"], text=True,
                                   stdout=subprocess.PIPE)
        until("the query waits", lambda: any(waits for _inode, waits in sockets()))
        machine.put("/etc/start-allowed", "")
        checks.check(f"a query waits for the next process: {ending}", sorted(query.communicate()[0].split()) == list(NODES))
    machine.sh("systemctl stop daymark-dns.socket daymark")
    checks.check("one command stops both", answers() is None and not sockets())
    machine.sh("systemctl start daymark")
    checks.check("the service starts with its sockets", answers() == list(NODES))
    correct = read(machine.root + CONFIG)
    machine.put(CONFIG, "wrong")
    machine.sh("systemctl restart daymark")
    checks.check("with a wrong configuration a restart goes on with the last good one", answers() == list(NODES))
    machine.sh("systemctl stop daymark; rm /var/lib/daymark/configuration.json; ! systemctl start daymark")
    until("it has tried twice", lambda: int(machine.show("daymark", "NRestarts")) >= 2)
    machine.put(CONFIG, correct)
    until("it answers", lambda: answers() == list(NODES))
    checks.check("once a wrong configuration is corrected, the service starts by itself")


def sockets():
    """Returns the inode of each UDP socket of port 53, and whether datagrams wait in it."""
    lines = [line.split() for name in ("udp", "udp6") for line in read(f"/proc/net/{name}").splitlines()[1:]]
    return sorted((line[9], not line[4].endswith(":00000000")) for line in lines if line[1].endswith(":0035"))


def newer(package):
    """Builds a later version of the package: each of its configuration files and its unit have another line."""
    tree = f"{SCRATCH}/newer"
    sh(f"dpkg-deb --raw-extract {package} {tree}; sed -i 's/^Version: .*/Version: 99.0.0/' {tree}/DEBIAN/control; "
       f"sed -i 's/^Description=.*/& (newer)/' {tree}/usr/lib/systemd/system/daymark.service; "
       f"for file in $(cat {tree}/DEBIAN/conffiles); do echo '# newer' >>{tree}/$file; done; "
       f"dpkg-deb --build -Znone {tree} {tree}.deb")
    return f"{tree}.deb"


def upgraded(checks, machine, package):
    sh(f"mv {newer(package)} {machine.root}/root/newer.deb")
    machine.sh("echo DAYMARK_LOG=debug >>/etc/default/daymark")
    machine.sh("daymark drain kube-cp-3 --reason 'a new disk'")
    until("the drained node is not answered", lambda: answers() == list(NODES[:2]))
    print_files = f"cat {CONFIG} /etc/default/daymark /var/lib/daymark/admin.token"
    files_before = machine.sh(print_files)
    serial_before = serial()
    sockets_before = sockets()
    machine.sh("dpkg --install --force-confold newer.deb; systemctl is-active daymark daymark-dns.socket")
    checks.check("the configuration and the token survive an upgrade", machine.sh(print_files) == files_before)
    machine.sh("tail -n 1 /etc/default/daymark.dpkg-dist /etc/daymark/example.yaml | grep -c '^# newer$' | grep -x 2")
    checks.check("a new default stands beside a changed file, and replaces an unchanged one")
    checks.check("the newer unit runs the newer binary",
                 machine.show("daymark", "Description").endswith("(newer)")
                 and machine.sh(f"test /proc/{machine.show('daymark', 'MainPID')}/exe -ef /usr/bin/daymark") == "")
    checks.check("the first answer lacks the drained node, and is not older than the last one",
                 answers() == list(NODES[:2]) and serial() >= serial_before)
    checks.check("the reason of the drain survives", "a new disk" in machine.sh("daymark explain kube-cp-3"))
    checks.check("the sockets are the same", [inode for inode, _ in sockets()] == [inode for inode, _ in sockets_before])
    machine.sh("daymark undrain kube-cp-3")
    until("the node is answered again", lambda: answers() == list(NODES))
    unchanged(machine)
    machine.sh("systemctl disable --now daymark-dns.socket daymark; dpkg --install newer.deb")
    state = machine.sh("systemctl is-enabled daymark daymark-dns.socket || true; systemctl is-active daymark || true")
    checks.check("a disabled unit stays disabled, and is not started", state.split() == ["disabled", "disabled", "inactive"])
    machine.sh("systemctl enable --now daymark-dns.socket; systemctl enable --now daymark")
    until("it answers again", lambda: answers() == list(NODES))


def serial():
    return int(sh("dig +short @127.0.0.1 lb.kube-cp.com SOA").split()[2])


def removed(checks, machine):
    machine.sh("dpkg --remove daymark")
    checks.check("after the removal nothing answers, and no port is in use", answers() is None and not sockets())
    machine.sh(f"test -e {CONFIG}; test -e /etc/default/daymark; test -e /var/lib/daymark/state.json; ! test -e /usr/bin/daymark")
    checks.check("its configuration and state stay")
    machine.sh("dpkg --purge daymark")
    remaining = machine.sh("find / -xdev -path '*daymark*' -not -path '/root/*' -not -path '/tmp/*' -not -path '/var/log/*' || true")
    checks.check(f"a purge removes all files: {remaining!r}", remaining == "")


def podman(checks, nodes, files, **_):
    """Runs the section of the page on this system. Its /etc and its cgroups change only in this mount namespace."""
    sh(f"mkdir -p {SCRATCH}/etc/upper {SCRATCH}/etc/work {SCRATCH}/etc/home; cp {files}/*-image.tar {SCRATCH}/etc/home/; "
       f"mount -t overlay overlay /etc -o lowerdir=/etc,upperdir={SCRATCH}/etc/upper,workdir={SCRATCH}/etc/work; "
       "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    configure("")
    with open(f"{SCRATCH}/containers.conf", "w", encoding="ascii") as file:
        file.write('[containers]\ncgroups = "disabled"\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
                   '[engine]\nruntime = "crun"\nevents_logger = "none"\n')
    with open(f"{SCRATCH}/storage.conf", "w", encoding="ascii") as file:
        file.write(f'[storage]\ndriver = "vfs"\ngraphroot = "{SCRATCH}/podman"\nrunroot = "{SCRATCH}/podman-run"\n')
    os.environ.update(CONTAINERS_CONF=f"{SCRATCH}/containers.conf", CONTAINERS_STORAGE_CONF=f"{SCRATCH}/storage.conf")
    run_section("From the image", lambda command: ["bash", "-c", f"cd {SCRATCH}/etc/home; {command}"])
    checks.check("the page leads from the image to a correct answer")
    nodes.check_answers()
    checks.check("the answer follows the nodes")
    try:
        containers_take_over(checks, nodes)
    except AssertionError:
        print(sh("podman ps --all; for name in $(podman ps --all --format '{{.Names}}'); do podman logs --tail 20 $name; done"))
        raise
    finally:
        sh("podman rm --all --force --time 5")


def containers_take_over(checks, nodes):
    """Lets one container after the other take over: each has the options of the page, and its arguments for an upgrade."""
    (upgrade,) = re.findall(r"^ *# (podman run .* run --take-over .*)$", read(f"{ROOT}/docs/install.md"), re.M)
    nodes.stop(NODES[1])
    ready = [NODES[0], NODES[2]]
    until("the ended node is not answered", lambda: answers() == ready)
    with Clients(ready) as clients:
        former = "daymark"
        for number in range(UPGRADES):
            clients.go_on()
            name = f"daymark-{number}"
            sh(upgrade.replace("--name daymark-new ", f"--name {name} "))
            code = sh(f"timeout {WAIT_TIMEOUT} podman wait {former}").strip()
            checks.check(f"the container {name} takes over, and the former one ends with code {code}", code == "0")
            former = name
        clients.go_on()
    checks.check(f"{len(clients.faults)} of {clients.answered + len(clients.faults)} queries were lost, or had a dead node in the "
                 f"answer: {clients.faults[:3]}", not clients.faults)
    nodes.start(NODES[1])
    until("the node is answered again", lambda: answers() == list(NODES))
    checks.check("the last container's answer follows the nodes")
