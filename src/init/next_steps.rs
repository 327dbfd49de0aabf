//! The steps after the files are written, with the exact lines of this setup.

use std::path::Path;

use super::{CA_NAME, CONFIG_NAME, KEY_NAME, NamedAddresses, NewSetup, Publishing};

/// One step: its title, and the lines that it needs.
struct Step {
    title: String,
    lines: String,
}

impl Step {
    fn new(title: impl Into<String>, lines: impl Into<String>) -> Self {
        Self { title: title.into(), lines: lines.into() }
    }
}

impl NewSetup {
    /// The numbered steps that are left to the operator.
    ///
    /// `kubeadm_file` is the configuration of kubeadm, if one was written.
    pub fn next_steps(&self, kubeadm_file: Option<&Path>) -> String {
        let check = Step::new("Check the configuration:", format!("daymark check -c {CONFIG_NAME}\n"));
        let steps = match &self.publishing {
            Publishing::Hosts(hosts) => self.steps_of_hosts(hosts),
            Publishing::Cloudflare { zone } => steps_of_cloudflare(zone),
        };
        let mut text = String::new();
        for (step, number) in [check].into_iter().chain(steps).chain([self.new_cluster(kubeadm_file)]).zip(1..) {
            text.push_str(&format!("{number}. {}\n", step.title));
            text.push_str(
                &step.lines.lines().map(|line| format!("     {line}").trim_end().to_owned() + "\n").collect::<String>(),
            );
        }
        text
    }

    fn steps_of_hosts(&self, hosts: &[NamedAddresses]) -> Vec<Step> {
        let Self { pool, .. } = self;
        vec![
            Step::new(format!("Delegate {} to the hosts, in one of three ways:", pool.name), self.delegations()),
            Step::new("Open these ports:", self.ports()),
            Step::new("Install Daymark on each host (docs/install.md), and copy the files:", self.copies(hosts)),
            Step::new("On each host, with its own name, start it:", self.starts(hosts)),
        ]
    }

    fn delegations(&self) -> String {
        let parent = self.parent();
        format!(
            "# as lines of the zone file of {parent}:\n{}\n# in the web form of {parent}'s provider, without a proxy:\n{}\n# if no public \
             zone shall have the name, in each of your resolvers, such as unbound:\n{}",
            self.zone_file_lines(),
            self.form_rows(),
            stub_zone(&self.pool.name, self.hosts())
        )
    }

    fn ports(&self) -> String {
        let mut text = "53/udp and 53/tcp   from the resolvers of all clients to each host\n".to_owned();
        if self.needs_key() {
            text.push_str("7946/udp            between the hosts\n");
        }
        text + &format!("{:<20}from each host and each client to the nodes\n", format!("{}/tcp", self.pool.port))
    }

    fn copies(&self, hosts: &[NamedAddresses]) -> String {
        let key = if self.needs_key() { format!(" {KEY_NAME}") } else { String::new() };
        let ca = if self.ca == Path::new(CA_NAME) { format!(" {CA_NAME}") } else { String::new() };
        hosts
            .iter()
            .map(|host| format!("scp {CONFIG_NAME}{key}{ca} root@{}:/etc/daymark/\n", shell_address(host)))
            .collect()
    }

    fn starts(&self, hosts: &[NamedAddresses]) -> String {
        let key = if self.needs_key() { format!(" /etc/daymark/{KEY_NAME}") } else { String::new() };
        let files = format!("/etc/daymark/{CONFIG_NAME}{key}");
        let names = hosts.iter().filter(|_| self.needs_key());
        let names = names.map(|host| format!("echo DAYMARK_SELF={0} >> /etc/default/daymark   # on {0}\n", host.name));
        format!(
            "chown root:daymark {files}\nchmod 640 {files}\n{}systemctl restart daymark\n",
            names.collect::<String>()
        )
    }

    /// The order of things in a cluster that does not exist yet.
    fn new_cluster(&self, kubeadm_file: Option<&Path>) -> Step {
        let ca = self.ca.display();
        let first = self.nodes.first().map_or("the first node", |node| node.name.as_str());
        Step::new(
            format!(
                "For a new cluster: `kubeadm init` needs the name, and makes the CA. So make the CA first, on {first}. Daymark answers \
                 with all nodes until one of them is ready."
            ),
            format!(
                "kubeadm init phase certs ca\n# copy /etc/kubernetes/pki/ca.crt to {ca} of each host\ndig +short {name}\nkubeadm init \
                 {source} --upload-certs\n# then `kubeadm join` as printed, on the other nodes\ndaymark status\n",
                name = self.pool.name,
                source = match kubeadm_file {
                    Some(file) => format!("--config {}", file.display()),
                    None => format!("--control-plane-endpoint {}", self.pool),
                }
            ),
        )
    }
}

fn steps_of_cloudflare(zone: &str) -> Vec<Step> {
    vec![
        Step::new(
            format!("Make an API token at Cloudflare with \"Zone: Read\" and \"DNS: Edit\" for {zone}, and name it:"),
            "export CLOUDFLARE_API_TOKEN=…\n",
        ),
        Step::new("Look at what Daymark would write:", format!("daymark sync --dry-run -c {CONFIG_NAME}\n")),
        Step::new(
            "Run it as a service, or by a timer (docs/install.md, docs/sync.md), with the token in /etc/default/daymark:",
            "systemctl restart daymark\n",
        ),
    ]
}

/// The clause by which unbound asks the hosts for the zone of the pool.
fn stub_zone(name: &str, hosts: &[NamedAddresses]) -> String {
    let servers = hosts.iter().flat_map(|host| &host.addresses);
    let servers: String = servers.map(|address| format!("  stub-addr: {address}\n")).collect();
    format!("stub-zone:\n  name: \"{name}\"\n{servers}")
}

/// The first address, as `scp` takes it.
fn shell_address(host: &NamedAddresses) -> String {
    match host.addresses.first() {
        Some(address) if address.is_ipv6() => format!("[{address}]"),
        Some(address) => address.to_string(),
        None => host.name.clone(),
    }
}
