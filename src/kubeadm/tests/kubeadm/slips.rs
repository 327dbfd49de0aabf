//! Each kind of slip in a file by itself, with its line and its mend.

use daymark_kubeadm::{KubeadmFile, MAX_FILE_BYTES};

use crate::support::{ARTICLE, cluster, slips_of};

#[test]
fn all_slips_of_the_published_file_are_found_at_once() {
    assert_eq!(
        slips_of(ARTICLE),
        [
            "error: line 4, column 26: `stable` and the key `etcd` run together on one line; begin a new line before `etcd:`",
            "error: line 8, column 14: networking.podSubnet: \"10.244.0.0/162\" has no prefix from /0 to /32; write ADDRESS/PREFIX, \
             such as 10.244.0.0/16",
            "error: line 10, column 23: `\"k8s_cp.example.com` has no closing quote; end it with \", on the same line",
            "error: line 10, column 23: controlPlaneEndpoint: \"k8s_cp.example.com\" has an underscore, which the name of a host may \
             not have; write \"k8s-cp.example.com\", in the DNS as well",
            "error: line 10, column 42: `\"k8s_cp.example.com` and the key `apiServer` run together on one line; begin a new line \
             before `apiServer:`",
        ]
    );
}

#[test]
fn the_published_file_is_read_as_it_was_meant() {
    let cluster = KubeadmFile::read(ARTICLE).cluster.unwrap();
    assert_eq!(cluster.kubernetes_version.unwrap().value, "stable");
    assert_eq!(cluster.control_plane_endpoint.unwrap().value, "k8s_cp.example.com");
    assert_eq!((cluster.apiserver_sans.position.line, cluster.apiserver_sans.entries.unwrap().len()), (11, 2));
}

#[test]
fn any_two_keys_on_a_line_are_reported_and_both_are_read() {
    let text = cluster("networking:\n  dnsDomain: cluster.localpodSubnet: 10.244.0.0/33\n");
    assert_eq!(
        slips_of(&text),
        [
            "error: line 5, column 27: `cluster.local` and the key `podSubnet` run together on one line; begin a new line before \
             `podSubnet:`",
            "error: line 5, column 38: networking.podSubnet: \"10.244.0.0/33\" has no prefix from /0 to /32; write ADDRESS/PREFIX, \
             such as 10.244.0.0/3",
        ]
    );
    let text = cluster("apiServer:\n  certSANs:\n  - api.example.comnetworking:\n  podSubnet: x\n");
    assert_eq!(
        slips_of(&text)[0],
        "error: line 6, column 20: `api.example.com` and the key `networking` run together on one line; begin a new line before \
         `networking:`"
    );
    assert_eq!(
        slips_of(&cluster("apiServer: certSANs:\n")),
        [
            "error: line 4, column 12: `apiServer` and the key `certSANs` run together on one line; begin a new line before `certSANs:`"
        ]
    );
}

#[test]
fn a_missing_quote_is_reported_where_its_value_begins() {
    assert_eq!(
        slips_of(&cluster("clusterName: \"prod\nkubernetesVersion: \"v1.34.1\"\n")),
        ["error: line 4, column 14: `\"prod` has no closing quote; end it with \", on the same line"]
    );
    assert_eq!(
        slips_of(&cluster("clusterName: prod'\n")),
        [
            "error: line 4, column 14: `prod'` ends with a quote and begins without one; begin it with ', or remove the quote at its end"
        ]
    );
    assert_eq!(
        slips_of(&cluster("clusterName: \"prod\ncertificatesDir: /etc/kubernetes/pki\n")),
        ["error: line 4, column 14: `\"prod` has no closing quote; end it with \", on the same line"],
        "this one is valid YAML, and not what was meant"
    );
}

#[test]
fn tabs_are_reported_once() {
    assert_eq!(
        slips_of(&cluster("networking:\n\tpodSubnet: 10.244.0.0/16\n\tserviceSubnet: 10.96.0.0/12\n")),
        [
            "error: line 5, column 1: the line is indented by a tab, and so is another one; YAML is indented by spaces alone, so write spaces"
        ]
    );
}

#[test]
fn other_faults_of_yaml_are_reported_with_their_line() {
    let slips = slips_of(&cluster("networking:\n  podSubnet: a\n serviceSubnet: b\n"));
    assert_eq!(slips.len(), 1);
    assert!(
        slips[0].starts_with("error: line 6, column 2: the document is not valid YAML from here: "),
        "{}",
        slips[0]
    );
    let slips = slips_of("apiVersion: [\n");
    assert!(slips[0].contains("is not valid YAML"), "{}", slips[0]);
}

#[test]
fn a_broken_document_does_not_hide_the_others() {
    let text = format!("a: [\n---\n{}", cluster("clusterName: prod'\n"));
    let lines: Vec<u64> = KubeadmFile::read(&text).slips.iter().map(|slip| slip.position.line).collect();
    assert_eq!(lines, [1, 6]);
}

#[test]
fn two_keys_that_are_no_texts_are_no_duplicates() {
    assert_eq!(slips_of(&cluster("scheduler: {1: a, 2: b, true: c, false: d}\n")), Vec::<String>::new());
}

#[test]
fn a_key_twice_and_a_document_twice_are_reported_with_the_first_line() {
    assert_eq!(
        slips_of(&cluster("networking:\n  podSubnet: 10.1.0.0/16\nnetworking:\n  podSubnet: 10.2.0.0/16\n")),
        ["error: line 6, column 1: `networking` is given twice, first on line 4; once is allowed, so merge both"]
    );
    assert_eq!(
        slips_of(&cluster("scheduler: {a: 1, a: 2}\n")),
        ["error: line 4, column 19: `a` is given twice, first on line 4; once is allowed, so merge both"]
    );
    assert_eq!(
        slips_of(&format!("{}---\n{}", cluster(""), cluster(""))),
        [
            "error: line 5, column 1: the file has a second ClusterConfiguration, after the one on line 1; kubeadm allows one, so merge both"
        ]
    );
}

#[test]
fn a_value_of_another_type_is_reported_and_left_out() {
    let text =
        cluster("kubernetesVersion: 1.30\napiServer:\n  certSANs: api.example.com\nnetworking: []\nscheduler: 1\n");
    assert_eq!(
        slips_of(&text),
        [
            "error: line 4, column 20: kubernetesVersion: is a number; a text in quotes is allowed",
            "error: line 6, column 13: apiServer.certSANs: is a text; a list with a hyphen before each entry is allowed",
            "error: line 7, column 13: networking: is a list; a mapping is allowed",
            "error: line 8, column 12: scheduler: is a number; a mapping is allowed",
        ]
    );
    let text = format!(
        "{}---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint:\n  bindPort: 65536\n",
        cluster("")
    );
    assert_eq!(
        slips_of(&text),
        ["error: line 8, column 13: localAPIEndpoint.bindPort: is a number; a port from 1 to 65535 is allowed"]
    );
    assert_eq!(slips_of("- a\n")[0], "error: line 1, column 1: the document: is a list; a mapping is allowed");
}

#[test]
fn a_document_without_its_type_is_reported() {
    assert_eq!(
        slips_of("controlPlaneEndpoint: api.example.com:6443\n"),
        [
            "error: line 1, column 1: the document has no `kind`; each document needs `apiVersion` and `kind`, such as ClusterConfiguration"
        ]
    );
    assert_eq!(
        slips_of("kind: ClusterConfiguration\ncontrolPlaneEndpoint: api.example.com:6443\n"),
        [
            "error: line 1, column 1: the document has no `apiVersion`; each document needs `apiVersion` and `kind`, such as ClusterConfiguration"
        ]
    );
}

#[test]
fn a_file_without_a_cluster_is_reported() {
    let missing = "error: line 1, column 1: the file has no ClusterConfiguration; add a document with `kind: ClusterConfiguration` and \
                   `controlPlaneEndpoint`";
    assert_eq!(slips_of(""), [missing]);
    assert_eq!(slips_of("apiVersion: v1\nkind: Config\n"), [missing]);
}

#[test]
fn a_text_beyond_the_bound_is_not_read() {
    assert_eq!(
        slips_of(&"#".repeat(MAX_FILE_BYTES + 1)),
        ["error: line 1, column 1: the file is too large; at most 1024 KiB are allowed"]
    );
}

#[test]
fn an_unknown_version_of_the_api_is_reported() {
    assert_eq!(
        slips_of(&cluster("").replace("v1beta4", "v1alpha3")),
        ["error: line 1, column 13: apiVersion: \"kubeadm.k8s.io/v1alpha3\" is unknown; kubeadm.k8s.io/v1beta1 to \
             kubeadm.k8s.io/v1beta4 are allowed"]
    );
}

fn endpoint(text: &str) -> Vec<String> {
    slips_of(&cluster("").replace("api.example.com:6443", text))
}

#[test]
fn an_endpoint_that_is_no_whole_name_is_reported() {
    assert_eq!(
        endpoint("k8s_api.example.com:6443"),
        [
            "error: line 3, column 23: controlPlaneEndpoint: \"k8s_api.example.com\" has an underscore, which the name of a host may \
             not have; write \"k8s-api.example.com\", in the DNS as well"
        ]
    );
    assert_eq!(
        endpoint("cluster-endpoint:6443"),
        [
            "warning: line 3, column 23: controlPlaneEndpoint: \"cluster-endpoint\" is a single label, which only the search list of \
             each client completes; write the whole name, such as cluster-endpoint.example.com"
        ]
    );
    for text in ["192.0.2.1:6443", "192.0.2.1"] {
        assert_eq!(
            endpoint(text),
            [
                "error: line 3, column 23: controlPlaneEndpoint: 192.0.2.1 is an address, which cannot move to another node; write \
                 the name of the pool, because certificates and kubeconfigs keep what is here"
            ]
        );
    }
    assert!(endpoint("\"[2001:db8::1]:6443\"")[0].contains("2001:db8::1 is an address"));
    assert!(endpoint("https://api.example.com:6443")[0].contains("NAME:PORT is allowed, and NAME is a DNS name"));
    assert_eq!(
        endpoint("api.example.com:66443"),
        [
            "error: line 3, column 23: controlPlaneEndpoint: \"api.example.com:66443\" has no port from 1 to 65535 after its colon; write NAME:PORT"
        ]
    );
}

#[test]
fn a_missing_endpoint_is_reported_at_the_document() {
    assert_eq!(
        slips_of("# c\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"),
        [
            "error: line 2, column 1: controlPlaneEndpoint is missing, so every client would use the address of the first node; add \
             `controlPlaneEndpoint: NAME:PORT`, with the name and the port of the pool"
        ]
    );
}

fn networking(pods: &str, services: &str) -> Vec<String> {
    slips_of(&cluster(&format!("networking:\n  podSubnet: \"{pods}\"\n  serviceSubnet: \"{services}\"\n")))
}

#[test]
fn a_subnet_that_is_no_cidr_is_reported() {
    let fault = |pods| networking(pods, "10.96.0.0/12").pop().unwrap();
    let message = |rest| format!("error: line 5, column 14: networking.podSubnet: {rest}");
    assert_eq!(
        fault("10.244.0.0/162"),
        message("\"10.244.0.0/162\" has no prefix from /0 to /32; write ADDRESS/PREFIX, such as 10.244.0.0/16")
    );
    assert_eq!(
        fault("10.244.0.0"),
        message("\"10.244.0.0\" has no prefix; write ADDRESS/PREFIX, such as 10.244.0.0/16")
    );
    assert_eq!(
        fault("10.244.0/16"),
        message("\"10.244.0/16\" does not begin with an IP address; write ADDRESS/PREFIX, such as 10.244.0.0/16")
    );
    assert_eq!(
        fault("10.244.0.0/16,2001:db8::/560"),
        message("\"2001:db8::/560\" has no prefix from /0 to /128; write ADDRESS/PREFIX, such as 2001:db8::/56")
    );
    assert_eq!(
        fault("10.244.0.0/é"),
        message("\"10.244.0.0/é\" has no prefix from /0 to /32; write ADDRESS/PREFIX, such as 10.244.0.0/16")
    );
}

#[test]
fn subnets_that_share_addresses_are_reported_at_the_second() {
    assert_eq!(
        networking("10.96.0.0/16", "10.96.0.0/12"),
        [
            "error: line 6, column 18: networking: serviceSubnet 10.96.0.0/12 and podSubnet 10.96.0.0/16 overlap; take ranges that share no address"
        ]
    );
    assert_eq!(
        networking("10.244.0.0/16,2001:db8::/32", "10.96.0.0/12,2001:db8:1::/112"),
        [
            "error: line 6, column 18: networking: serviceSubnet 2001:db8:1::/112 and podSubnet 2001:db8::/32 overlap; take ranges that share no address"
        ]
    );
    assert_eq!(networking("10.244.0.0/16,2001:db8::/48", "10.96.0.0/12,2001:db8:1::/112"), [] as [String; 0]);
}

#[test]
fn an_entry_that_can_be_in_no_certificate_is_reported() {
    assert_eq!(
        slips_of(&cluster(
            "apiServer:\n  certSANs:\n  - api.example.com\n  - https://api.example.com\n  - \"10.0.0.1:6443\"\n"
        )),
        [
            "error: line 7, column 5: apiServer.certSANs: \"https://api.example.com\" can be in no certificate; a DNS name, `*.` before a \
             DNS name, or an IP address is allowed",
            "error: line 8, column 5: apiServer.certSANs: \"10.0.0.1:6443\" can be in no certificate; a DNS name, `*.` before a DNS name, \
             or an IP address is allowed",
        ]
    );
}

#[test]
fn arguments_in_the_form_of_another_version_are_reported() {
    let text =
        cluster("apiServer:\n  extraArgs:\n    a: b\netcd:\n  local:\n    extraArgs:\n    - name: a\n      value: b\n");
    assert_eq!(
        slips_of(&text),
        [
            "error: line 5, column 3: apiServer.extraArgs: is a mapping, and v1beta4 needs a list: write each argument as `- name: NAME` \
             with `value: VALUE` below"
        ]
    );
    assert_eq!(
        slips_of(&text.replace("v1beta4", "v1beta3")),
        [
            "error: line 9, column 5: etcd.local.extraArgs: is a list, and v1beta3 needs a mapping: write each argument as `NAME: VALUE`"
        ]
    );
}
