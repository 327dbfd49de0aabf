//! The manifests that `daymark manifest` prints.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{daymark, finish, output};

/// Writes a configuration of two hosts with this provider and a CA outside its directory.
fn write(dir: &Path, provider: &str) -> String {
    let home = dir.join("etc");
    let pki = dir.join("pki");
    fs::create_dir(&home).unwrap();
    fs::create_dir(&pki).unwrap();
    let ca = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
    fs::write(pki.join("ca.crt"), ca.cert.pem()).unwrap();
    fs::write(home.join("token"), "secret").unwrap();
    output(&["keygen", "--out", home.join("gossip.key").to_str().unwrap()]);
    let file = home.join("daymark.yaml");
    let text = format!(
        "pools:
  - name: lb.kube-cp.com
    nodes: [{{name: cp-1, addresses: [192.0.2.1]}}]
    probe: {{ca: ../pki/ca.crt}}
providers: [{provider}]
peers:
  self: cp-1
  members: [{{name: cp-1, address: 192.0.2.1}}, {{name: cp-2, address: 192.0.2.2}}]
  keyFile: gossip.key
admin: {{listen: '[::]:9400'}}
stateDir: {}
",
        dir.join("state").display()
    );
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_static_pod_mounts_only_the_paths_that_the_configuration_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "{type: cloudflare, mode: records, zone: kube-cp.com, tokenFile: token}");
    let text = output(&["manifest", "static-pod", "-c", &file, "--image", "registry.example/daymark:7"]);
    assert!(text.contains("# Each host has the name of its node, so the nodes must be called cp-1, cp-2.\n"), "{text}");
    let ca = dir.path().join("pki/ca.crt");
    assert!(text.contains(&format!("# The Pod reads these files once, when it starts: {}.", ca.display())), "{text}");
    let pod: Value = serde_saphyr::from_str(&text).unwrap();
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/daymark:7");
    assert_eq!(container["args"][2], file.as_str());
    assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName");
    assert_eq!(container["livenessProbe"]["httpGet"]["host"], "127.0.0.1");
    assert_eq!(container["livenessProbe"]["httpGet"]["port"], 9400);
    let context = &container["securityContext"];
    assert_eq!((&context["runAsUser"], &context["runAsNonRoot"]), (&65532.into(), &true.into()));
    assert_eq!(container["resources"]["limits"]["memory"], "128Mi");
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 10);
    let install = format!("#   install -d -o 65532 -g 65532 -m 750 {}\n", dir.path().join("state").display());
    assert!(text.contains(&install), "{text}");
    let volumes = pod["spec"]["volumes"].as_array().unwrap().iter();
    let paths: Vec<_> = volumes.map(|volume| (&volume["hostPath"]["path"], &volume["hostPath"]["type"])).collect();
    let path = |name: &str| Value::from(dir.path().join(name).to_str().unwrap());
    let home = path("etc");
    let ca = path("pki/ca.crt");
    let state = path("state");
    assert_eq!(paths, [(&home, &"Directory".into()), (&ca, &"File".into()), (&state, &"DirectoryOrCreate".into())]);
    let mounts = container["volumeMounts"].as_array().unwrap();
    let writable: Vec<_> =
        mounts.iter().filter(|mount| mount["readOnly"] == false).map(|mount| &mount["mountPath"]).collect();
    assert_eq!(writable, [&state]);
}

#[test]
fn a_configuration_that_cannot_run_as_a_static_pod_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "{type: cloudflare, mode: records, zone: kube-cp.com, tokenFile: token}");
    let refused = finish(&mut daymark(&["manifest", "static-pod", "-c", &file, "--image", "bad image"]));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(refused.stderr.contains("\"bad image\" is not the name of an image"), "{}", refused.stderr);
    let text = fs::read_to_string(&file).unwrap();
    for state in ["/", "/usr", "/usr/bin"] {
        fs::write(
            &file,
            text.replace(&format!("stateDir: {}", dir.path().join("state").display()), &format!("stateDir: {state}")),
        )
        .unwrap();
        let refused = finish(&mut daymark(&["manifest", "static-pod", "-c", &file]));
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
        assert!(refused.stderr.contains(&format!("{state} cannot be mounted")), "{}", refused.stderr);
    }
}

#[test]
fn a_name_that_kubernetes_would_refuse_is_refused() {
    for names in [["--name", "A b"], ["--namespace", "x/y"], ["--name=-a", "--token"], ["--name", ""]] {
        let refused = finish(&mut daymark(&[&["manifest", "rbac", "-c", "daymark.yaml"], &names[..]].concat()));
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
        assert!(refused.stderr.contains("lower-case letters, digits and inner hyphens"), "{}", refused.stderr);
    }
}

#[test]
fn a_token_that_a_static_pod_cannot_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "{type: cloudflare, mode: records, zone: kube-cp.com, tokenVariable: TOKEN}");
    let refused = finish(&mut daymark(&["manifest", "static-pod", "-c", &file]));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(
        refused.stderr.contains("providers[0].tokenVariable: a static Pod takes no variable"),
        "{}",
        refused.stderr
    );
}
