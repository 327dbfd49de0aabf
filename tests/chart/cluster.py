"""A fake cluster API with one Secret: the part of the API that helm's `lookup` needs."""

import base64
import contextlib
import http.server
import json
import threading

# The supported kinds, by group and version.
KINDS = {
    "v1": ["ConfigMap", "Secret", "Service", "ServiceAccount", "Pod"],
    "apps/v1": ["StatefulSet"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
}


def group(group_version):
    version = {"groupVersion": group_version, "version": "v1"}
    return {"name": group_version.split("/")[0], "versions": [version], "preferredVersion": version}


def resources(group_version):
    kinds = [{"name": ("networkpolicies" if kind == "NetworkPolicy" else f"{kind.lower()}s"), "singularName": "",
             "namespaced": True, "kind": kind, "verbs": ["get"]} for kind in KINDS[group_version]]
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": kinds}


@contextlib.contextmanager
def cluster_with(namespace, name, data):
    """Yields the text of a kubeconfig for a cluster in which the Secret `name` has these texts."""
    # Marked as helm marks the objects of a release, here of the release `dm`.
    metadata = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "dm", "meta.helm.sh/release-namespace": namespace}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata,
              "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}}
    answers = {
        "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(version) for version in KINDS if "/" in version]},
        f"/api/v1/namespaces/{namespace}/secrets/{name}": secret,
    } | {("/apis/" if "/" in version else "/api/") + version: resources(version) for version in KINDS}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers.get(self.path.split("?")[0])
            body = json.dumps(answer or {"kind": "Status", "code": 404, "reason": "NotFound"}).encode()
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": ""}}]})
        server.shutdown()
