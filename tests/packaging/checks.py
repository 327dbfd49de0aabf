"""What must be true of the files of a release."""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import time

from stage import NODES, ROOT, SCRATCH, Machine, Nodes, answers, do_as_told, sh, until

CONFIG = "/etc/daymark/daymark.yaml"
EXAMPLE = os.path.join(ROOT, "examples/authoritative-minimal.yaml")
MOST_EXPOSED = 1.5  # The exposure level of systemd-analyze security that a unit may have.


class Checks:
    def __init__(self):
        self.passed = 0

    def check(self, what, condition=True):
        if not condition:
            raise AssertionError(f"not so: {what}")
        self.passed += 1
        print(f"  {what}", flush=True)


def play(files, again, tree, stand_in):
    began, nodes, checks = time.monotonic(), Nodes(), Checks()
    archive_of = glob.glob(f"{files}/daymark-*.tar.gz")[0]
    sh(f"tar xzf {archive_of} --strip-components=1 --directory {SCRATCH} --wildcards '*/daymark'")
    for part in (release, pages, empty_root, image, kubernetes, units, archive, debian, podman):
        print(f"{part.__name__.replace('_', ' ')}:", flush=True)
        part(checks, nodes, files=files, again=again, tree=tree, stand_in=stand_in, binary=f"{SCRATCH}/daymark")
    print(f"packaging: {checks.passed} checks passed in {time.monotonic() - began:.0f} s")


def release(checks, _nodes, files, again, **_):
    names = "-*-linux-x86_64.tar.gz", "_*_amd64.deb", "-*-image.tar", "-*-sbom.json", "-*.tgz"
    checks.check("each file is there once", all(len(glob.glob(f"{files}/daymark{name}")) == 1 for name in names))
    checks.check("the checksums are right", sh("sha256sum --check --quiet SHA256SUMS", cwd=files) == "")
    checks.check("made twice, each file is the same to the byte", read(f"{files}/SHA256SUMS") == read(f"{again}/SHA256SUMS"))
    parts = {part["name"] for part in json.loads(read(glob.glob(f"{files}/*-sbom.json")[0]))["components"]}
    checks.check("the SBOM names what is linked in", {"rustls", "tokio", "hickory-proto"} <= parts)


def pages(checks, _nodes, binary, **_):
    version = sh([binary, "--version"]).split()[1]
    named = {name for path in glob.glob(f"{ROOT}/docs/*.md") for name in re.findall(r"\bdaymark:(\d\S*)", read(path))}
    checks.check(f"the pages name the image of {version} alone", named == {version})
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
    checks.check("the binary asks for no interpreter", "INTERP" not in sh(["readelf", "--program-headers", binary]))
    checks.check("it tells its version in an empty root", "commit" in sh(["chroot", root, "/daymark", "version"]))
    checks.check("it checks a configuration there", "lb.kube-cp.com" in sh(["chroot", root, "/daymark", "check", "-c", CONFIG]))
    with subprocess.Popen(["chroot", root, "/daymark", "run", "-c", CONFIG], stderr=subprocess.DEVNULL) as running:
        nodes.follow()
        running.terminate()
    checks.check("it answers there, and ends as asked", running.returncode == 0)


def image(checks, _nodes, files, **_):
    sh(f"{buildah()} pull oci-archive:{glob.glob(f'{files}/*-image.tar')[0]}")
    root = mounted()
    held = {os.path.relpath(os.path.join(base, name), root) for base, _dirs, names in os.walk(root) for name in names}
    checks.check("it holds the binary and the CA certificates alone",
                 held == {"usr/bin/daymark", "etc/ssl/certs/ca-certificates.crt"})
    owner = os.stat(f"{root}/var/lib/daymark")
    checks.check("the state's directory is the user's", (owner.st_uid, owner.st_gid) == (65532, 65532))


def buildah():
    return f"buildah --storage-driver vfs --root {SCRATCH}/storage --runroot {SCRATCH}/run"


def mounted():
    name = sh(f"{buildah()} images --format '{{{{.ID}}}}'").split()[0]
    return sh(f"{buildah()} mount $({buildah()} from {name})").strip()


def kubernetes(checks, nodes, **_):
    """The image by runc, with what containerd asks of it for a pod: no inheritable and no ambient capability."""
    image_root = mounted()
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        checks.check("port 53 is closed to those without a capability", int(file.read()) > 53)
    for escalation in (True, False):
        running = pod(image_root, ["CAP_NET_BIND_SERVICE"], escalation)
        nodes.follow()
        running.terminate()
        checks.check(f"NET_BIND_SERVICE and allowPrivilegeEscalation: {str(escalation).lower()} answer on port 53",
                     running.wait() == 0)
    refused = pod(image_root, [], False)
    said = refused.communicate()[0]
    checks.check("without NET_BIND_SERVICE it does not start", refused.returncode != 0 and "operation not permitted" in said)


def pod(image_root, capabilities, escalation):
    bundle = f"{SCRATCH}/bundle"
    shutil.rmtree(bundle, ignore_errors=True)
    os.makedirs(bundle)
    configure(bundle)
    sh(f"mkdir -p {bundle}/state; chown 65532:65532 {bundle}/state")
    places = ("/etc/daymark", "/etc/daymark", "ro"), ("/etc/kubernetes", "/etc/kubernetes", "ro"), ("/var/lib/daymark", "/state", "rw")
    bind = [{"destination": to, "source": bundle + source, "type": "bind", "options": ["bind", mode]} for to, source, mode in places]
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
    """What the chart runs in the image, as tests/chart found it."""
    rendered = read(f"{ROOT}/tests/chart/golden/daemonset-with-peers.yaml")
    lists = [re.search(rf"^ +{key}: \[(/usr.*|run.*)\]$", rendered, re.M).group(1).split(", ") for key in ("command", "args")]
    return lists[0] + lists[1]


def units(checks, _nodes, **_):
    for unit in ("daymark.service", "daymark-sync.service"):
        told = sh(["systemd-analyze", "security", "--offline=true", "--no-pager", f"{ROOT}/packaging/debian/{unit}"])
        level = float(told.rsplit("exposure level for", 1)[1].split(":")[1].split()[0])
        checks.check(f"the exposure level of {unit} is {level}, of {MOST_EXPOSED} at the most", level <= MOST_EXPOSED)


def archive(checks, nodes, files, tree, **_):
    machine = Machine(tree, "archive")
    sh(f"cp {files}/* {machine.root}/root/; install -D -m 644 {SCRATCH}/ca.crt {machine.root}/etc/kubernetes/pki/ca.crt")
    try:
        do_as_told("From the archive", machine.command)
        checks.check("the page leads from the archive to a right answer")
        nodes.follow()
        checks.check("and the answer follows the nodes")
        machine.sh("kill $(pidof daymark)")
        until("it ends", lambda: answers() is None)
        do_as_told("As a service", machine.command)
        nodes.follow()
        checks.check("the page leads to a service, and its answer follows the nodes")
        status = machine.sh(f"cat /proc/{machine.show('daymark', 'MainPID')}/status; systemctl is-enabled daymark")
        checks.check("the service begins with the system, with one capability and a system call filter",
                     all(line in status for line in ("CapPrm:\t0000000000000400", "Seccomp:\t2", "enabled\n")))
    except AssertionError:
        print(machine.sh("systemctl status daymark || true; journalctl | tail -n 30"))
        raise
    finally:
        machine.end()


def debian(checks, nodes, files, tree, stand_in, **_):
    machine = Machine(tree, "debian")
    sh(f"cp {files}/*.deb {machine.root}/root/; install -D -m 644 {SCRATCH}/ca.crt {machine.root}/etc/kubernetes/pki/ca.crt")
    try:
        installed(checks, nodes, machine)
        watched(checks, machine)
        persistent(checks, machine)
        without_ipv6(checks, machine)
        by_timer(checks, nodes, machine, stand_in)
        held(checks, machine)
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
    checks.check("without a configuration the service is enabled and does not run, nor do the timer and the socket",
                 state.split() == ["enabled", "inactive", "disabled", "disabled"])
    do_as_told("From the Debian package", machine.command)
    checks.check("the page leads from the Debian package to a right answer")
    nodes.follow()
    checks.check("and the answer follows the nodes")
    pid = machine.show("daymark", "MainPID")
    status = machine.sh(f"cat /proc/{pid}/status; stat -c %U /proc/{pid}")
    checks.check("it is the user daymark with one capability and a system call filter",
                 all(line in status for line in ("CapPrm:\t0000000000000400", "Seccomp:\t2", "NoNewPrivs:\t1", "daymark\n")))
    machine.sh("systemctl reload daymark; systemctl is-active daymark")
    checks.check("it reloads as the same process",
                 machine.show("daymark", "MainPID") == pid)
    machine.sh("zcat /usr/share/man/man1/daymark-run.1.gz | grep -q SYNOPSIS; "
               "bash -n /usr/share/bash-completion/completions/daymark; test -s /usr/share/zsh/vendor-completions/_daymark; test -s /usr/share/fish/vendor_completions.d/daymark.fish")
    checks.check("man pages and completions are there")
    verified = machine.sh("systemd-analyze verify --man=no /lib/systemd/system/daymark{,-sync}.service "
                          "/lib/systemd/system/daymark-{sync.timer,dns.socket}")
    checks.check(f"systemd finds nothing wrong with the units: {verified!r}", verified == "")


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
    until("a process that hangs is replaced", lambda: machine.show("daymark", "MainPID") not in (pid, "0"))
    until("the new one answers", lambda: answers() == list(NODES))
    checks.check("a process that hangs is killed, and another one answers",
                 machine.show("daymark", "NRestarts") == "1" and "Watchdog timeout" in machine.sh("journalctl -u daymark"))
    unchanged(machine)


def persistent(checks, machine):
    machine.sh("systemctl stop daymark")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 53))
        machine.sh("systemctl start --no-block daymark")
        until("it has tried twice", lambda: int(machine.show("daymark", "NRestarts")) >= 2)
    until("it answers", lambda: answers() == list(NODES))
    checks.check("a service whose port is taken tries again until it is free")


def without_ipv6(checks, machine):
    """As on a kernel without it: a socket of this family is refused in the same way."""
    changed(machine, "RestrictAddressFamilies=", "RestrictAddressFamilies=AF_INET AF_UNIX")
    until("it answers", lambda: answers() == list(NODES))
    said = "cannot listen on [::]:53 by udp: this host has no IPv6; the address is left out"
    checks.check("without IPv6 the default serves by IPv4, and says so", said in machine.sh("journalctl -u daymark"))
    unchanged(machine)


def by_timer(checks, nodes, machine, stand_in):
    served = read(machine.root + CONFIG)
    cloudflare = subprocess.Popen([stand_in, "--bare"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
    """One pass at a time, to a fake of Cloudflare."""
    said = dict(cloudflare.stdout.readline().split(maxsplit=1) for _ in range(3))

    def records():
        print("records", file=cloudflare.stdin, flush=True)
        return sorted(record["content"] for record in json.loads(cloudflare.stdout.readline()))

    pools = read(machine.root + CONFIG).split("providers:")[0]
    machine.put(CONFIG, f"{pools}providers:\n  - {{type: cloudflare, mode: records, zone: kube-cp.com, "
                        f"tokenVariable: CLOUDFLARE_API_TOKEN, api: '{said['api'].strip()}'}}\n")
    machine.put("/etc/default/daymark", f"CLOUDFLARE_API_TOKEN={said['token']}")
    nodes.stop(NODES[1])
    machine.sh("systemctl disable --now daymark; systemctl enable --now daymark-sync.timer")
    until("a pass has written", lambda: records() == [NODES[0], NODES[2]])
    until("the next one is due", lambda: machine.show("daymark-sync.timer", "SubState") == "waiting")
    checks.check("the timer makes a pass, which writes the healthy nodes, and then the next one",
                 machine.show("daymark-sync", "Result") == "success" and machine.show("daymark-sync", "ActiveState") == "inactive")
    machine.sh("systemctl disable --now daymark-sync.timer")
    nodes.start(NODES[1])
    machine.sh("systemctl start daymark-sync")
    checks.check("a pass by hand writes what has changed", records() == list(NODES))
    machine.put("/etc/default/daymark", "")
    failed = machine.sh("systemctl start daymark-sync || systemctl show --property ExecMainStatus --value daymark-sync")
    checks.check("one without a token fails, and says so",
                 failed.splitlines()[-1] == "2" and "CLOUDFLARE_API_TOKEN" in machine.sh("journalctl -u daymark-sync"))


def held(checks, machine):
    """Port 53 by the socket unit, which stays enabled from here on, for a service without any capability."""
    do_as_told("Port 53 held by systemd", machine.command)
    machine.put("/etc/held", "")
    changed(machine, "AmbientCapabilities=", "CapabilityBoundingSet=", "Sockets=daymark-dns.socket",
            "ExecStartPre=/bin/sh -c 'while ! test -e /etc/held; do sleep 0.1; done'")
    until("it answers", lambda: answers() == list(NODES))
    status = machine.sh(f"cat /proc/{machine.show('daymark', 'MainPID')}/status")
    checks.check("with the socket unit the service answers without a capability",
                 all(f"Cap{kind}:\t0000000000000000" in status for kind in ("Prm", "Bnd", "Amb")))
    for ending in ("systemctl restart --no-block daymark", "systemctl kill --signal KILL daymark"):
        pid = machine.show("daymark", "MainPID")
        machine.sh(f"rm /etc/held; {ending}")
        until("it has ended", lambda pid=pid: machine.show("daymark", "MainPID") != pid)
        waiting = subprocess.Popen(["dig", "+short", "+time=30", "+tries=1", "@127.0.0.1", "lb.kube-cp.com"], text=True,
                                   stdout=subprocess.PIPE)
        until("the query waits", lambda: any(waits for _inode, waits in sockets()))
        machine.put("/etc/held", "")
        checks.check(f"a query waits for the next process: {ending}", sorted(waiting.communicate()[0].split()) == list(NODES))
    machine.sh("systemctl stop daymark-dns.socket daymark")
    checks.check("both end by one command", answers() is None and not sockets())
    machine.sh("systemctl start daymark")
    checks.check("and the service begins with its sockets", answers() == list(NODES))
    right = read(machine.root + CONFIG)
    machine.put(CONFIG, "wrong")
    machine.sh("! systemctl restart daymark")
    until("it has tried twice", lambda: int(machine.show("daymark", "NRestarts")) >= 2)
    machine.put(CONFIG, right)
    until("it answers", lambda: answers() == list(NODES))
    checks.check("once a wrong configuration is mended, it starts by itself")


def sockets():
    """The UDP sockets of port 53: the inode of each, and whether datagrams wait in it."""
    lines = [line.split() for name in ("udp", "udp6") for line in read(f"/proc/net/{name}").splitlines()[1:]]
    return sorted((line[9], not line[4].endswith(":00000000")) for line in lines if line[1].endswith(":0035"))


def newer(package):
    """The package as a later version of it may be: each of its configuration files and its unit have another line."""
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
    mine, before, bound = f"cat {CONFIG} /etc/default/daymark /var/lib/daymark/admin.token", serial(), sockets()
    kept = machine.sh(mine)
    machine.sh("dpkg --install --force-confold newer.deb; systemctl is-active daymark daymark-dns.socket")
    checks.check("the configuration and the token survive an upgrade", machine.sh(mine) == kept)
    machine.sh("tail -n 1 /etc/default/daymark.dpkg-dist /etc/daymark/example.yaml | grep -c '^# newer$' | grep -x 2")
    checks.check("what the newer one says is beside what was changed, and in the place of what was not")
    checks.check("the newer unit runs the newer binary",
                 machine.show("daymark", "Description").endswith("(newer)")
                 and machine.sh(f"test /proc/{machine.show('daymark', 'MainPID')}/exe -ef /usr/bin/daymark") == "")
    checks.check("the first answer is without the drained node, and no older than the last one",
                 answers() == list(NODES[:2]) and serial() >= before)
    checks.check("why it is drained is known", "a new disk" in machine.sh("daymark explain kube-cp-3"))
    checks.check("the sockets are the same", [inode for inode, _ in sockets()] == [inode for inode, _ in bound])
    machine.sh("daymark undrain kube-cp-3")
    until("the node is answered again", lambda: answers() == list(NODES))
    unchanged(machine)
    machine.sh("systemctl disable --now daymark-dns.socket daymark; dpkg --install newer.deb")
    state = machine.sh("systemctl is-enabled daymark daymark-dns.socket || true; systemctl is-active daymark || true")
    checks.check("what is disabled stays so, and is not started", state.split() == ["disabled", "disabled", "inactive"])
    machine.sh("systemctl enable --now daymark-dns.socket; systemctl enable --now daymark")
    until("it answers again", lambda: answers() == list(NODES))


def serial():
    return int(sh("dig +short @127.0.0.1 lb.kube-cp.com SOA").split()[2])


def removed(checks, machine):
    machine.sh("dpkg --remove daymark")
    checks.check("a removed one does not answer, and holds no port", answers() is None and not sockets())
    machine.sh(f"test -e {CONFIG}; test -e /etc/default/daymark; test -e /var/lib/daymark/state.json; ! test -e /usr/bin/daymark")
    checks.check("its configuration and state stay")
    machine.sh("dpkg --purge daymark")
    left = machine.sh("find / -xdev -path '*daymark*' -not -path '/root/*' -not -path '/tmp/*' -not -path '/var/log/*' || true")
    checks.check(f"after a purge nothing is left: {left!r}", left == "")


def podman(checks, nodes, files, **_):
    """As the page says, on this system; its /etc and its cgroups are changed for this mount namespace alone."""
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
    do_as_told("From the image", lambda command: ["bash", "-c", f"cd {SCRATCH}/etc/home; {command}"])
    checks.check("the page leads from the image to a right answer")
    nodes.follow()
    checks.check("and the answer follows the nodes")
    sh("podman rm --force --time 5 daymark")
