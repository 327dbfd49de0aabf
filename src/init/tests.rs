use super::*;

fn setup(publishing: Publishing) -> NewSetup {
    NewSetup {
        pool: "lb.kube-cp.com".parse().unwrap(),
        nodes: ["kube-cp-1=10.10.1.1", "kube-cp-2=10.10.1.2,2001:db8::2"].map(|node| node.parse().unwrap()).into(),
        ca: "/etc/kubernetes/pki/ca.crt".into(),
        publishing,
    }
}

fn hosts(text: &str) -> NewSetup {
    let hosts: HostList = text.parse().unwrap();
    setup(Publishing::Hosts(hosts.0))
}

#[test]
fn hosts_may_have_several_addresses() {
    let hosts: HostList = "dns-1=192.0.2.11,2001:db8::11,dns-2=192.0.2.12".parse().unwrap();
    let expected = ["dns-1=192.0.2.11,2001:db8::11", "dns-2=192.0.2.12"].map(|host| host.parse().unwrap());
    assert_eq!(hosts.0, expected);
}

#[test]
fn a_wrong_text_is_refused_with_what_is_allowed() {
    let node = |text: &str| text.parse::<NamedAddresses>().unwrap_err().to_string();
    assert_eq!(
        node("kube-cp-1"),
        "\"kube-cp-1\" has no address; NAME=ADDRESS[,ADDRESS] is needed, such as kube-cp-1=10.10.1.1"
    );
    assert_eq!(node("kube-cp-1=10.10.1.300"), "kube-cp-1: \"10.10.1.300\" is not an IP address");
    assert_eq!(node("cp: x=1.2.3.4"), "\"cp: x\" is not a name; letters, digits, hyphens and dots are allowed");
    let pool = |text: &str| text.parse::<PoolEndpoint>().unwrap_err().to_string();
    assert_eq!(pool("lb.kube-cp.com:0"), "\"0\" is not a port; a whole number from 1 to 65535 is allowed");
    assert_eq!(pool("lb"), "\"lb\" has a single label; a name in a zone is needed, such as lb.kube-cp.com");
}

#[test]
fn the_delegation_has_the_nameservers_and_the_addresses_of_those_in_the_parent_zone() {
    let lines = hosts("dns-1=192.0.2.11,2001:db8::11,ns.example.net=192.0.2.12").zone_file_lines();
    assert_eq!(
        lines,
        "lb.kube-cp.com. 3600 IN NS dns-1.kube-cp.com.\nlb.kube-cp.com. 3600 IN NS ns.example.net.\n\
         dns-1.kube-cp.com. 3600 IN A 192.0.2.11\ndns-1.kube-cp.com. 3600 IN AAAA 2001:db8::11\n"
    );
    assert_eq!(
        hosts("dns-1=192.0.2.11").form_rows(),
        "NAME   TYPE  VALUE\nlb     NS    dns-1.kube-cp.com\ndns-1  A     192.0.2.11\n"
    );
}

#[test]
fn one_host_needs_no_peers_and_no_key() {
    let one = hosts("dns-1=192.0.2.11");
    assert!(!one.needs_key() && !one.configuration().contains("peers"));
    assert!(!one.next_steps(None).contains("7946"));
    assert!(hosts("dns-1=192.0.2.11,dns-2=192.0.2.12").configuration().contains("keyFile: gossip.key"));
}

#[test]
fn the_steps_are_numbered_and_name_the_hosts() {
    let steps = hosts("dns-1=192.0.2.11,dns-2=2001:db8::12").next_steps(None);
    for line in [
        "1. Check the configuration:\n     daymark check -c daymark.yaml\n",
        "     scp daymark.yaml gossip.key root@192.0.2.11:/etc/daymark/\n     scp daymark.yaml gossip.key root@[2001:db8::12]:/etc/daymark/\n",
        "     echo DAYMARK_SELF=dns-2 >> /etc/default/daymark   # on dns-2\n",
        "       stub-addr: 2001:db8::12\n",
        "6. For a new cluster: ",
        "kubeadm init --control-plane-endpoint lb.kube-cp.com:6443 --upload-certs",
    ] {
        assert!(steps.contains(line), "{line:?} is missing in\n{steps}");
    }
}

#[test]
fn a_file_of_kubeadm_gives_the_endpoint_and_the_first_node() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: lb.kube-cp.com:6443\n---\n\
                apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.10.1.1}\n\
                nodeRegistration: {name: kube-cp-1}\n";
    let source = ClusterSource::read(text, "/etc".as_ref()).unwrap();
    assert_eq!(source.pool, Some("lb.kube-cp.com".parse().unwrap()));
    assert_eq!(source.nodes, ["kube-cp-1=10.10.1.1".parse().unwrap()]);
    let written = source.kubeadm_file(&hosts("dns-1=192.0.2.11")).unwrap();
    assert!(
        written.contains("controlPlaneEndpoint: \"lb.kube-cp.com:6443\"") && written.contains("2001:db8::2"),
        "{written}"
    );
}

#[test]
fn a_kubeconfig_gives_the_endpoint_only_if_it_is_a_name() {
    let kubeconfig = |server: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: k\n  cluster:\n    server: {server}\n    certificate-authority: ca.crt\n\
             contexts:\n- name: k\n  context: {{cluster: k, user: u}}\ncurrent-context: k\n"
        );
        ClusterSource::read(&text, "/etc/kubernetes".as_ref()).unwrap()
    };
    let named = kubeconfig("https://lb.kube-cp.com:6443");
    assert_eq!(named.pool, Some("lb.kube-cp.com".parse().unwrap()));
    assert_eq!(named.ca, Some(SourceCa::File("/etc/kubernetes/ca.crt".into())));
    assert_eq!(kubeconfig("https://10.10.1.1:6443").pool, None);
}
