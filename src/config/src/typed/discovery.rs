//! The discovery of the nodes of a pool.

use super::{Checker, Setting};
use crate::findings::Location;
use crate::key::{Key, Located};
use crate::raw::{self, RawFromKubernetes};
use crate::values::{AddressKind, LabelSelector, NodeSource, Text};
use daymark_discovery::{AddressType, DiscoverySettings, DiscoverySource};
use daymark_probe as probe;

impl Checker<'_> {
    /// The discovery of a pool with this probe; `None` if it is absent or wrong.
    pub(super) fn discovery(
        &mut self,
        raw: Key<RawFromKubernetes>,
        nodes: Location,
        probe: &probe::ProbeSettings,
    ) -> Option<DiscoverySettings> {
        if matches!(raw, Key::Absent) {
            let message = "a mapping is needed, `{}` for its defaults; without it `nodes` is a list";
            self.findings.missing(nodes, "fromKubernetes", message);
        }
        let Located { value: raw, location } = raw.present()?;
        if probe.auth.is_none() {
            let message = "`probe.auth` is not set, so no apiserver lists its nodes; `daymark manifest rbac` prints \
                           what a token needs";
            self.findings.warn(location, message);
        }
        let selector_location = raw.selector.location();
        let type_location = raw.address_type.location();
        let Text(LabelSelector(selector)) = raw.selector.or(Text(LabelSelector(raw::SELECTOR.to_owned())));
        let Text(AddressKind(address_type)) = raw.address_type.or(Text(AddressKind(AddressType::Internal)));
        let source = match raw.source.or(Text(NodeSource::Nodes)).0 {
            NodeSource::Nodes => DiscoverySource::Nodes { selector, address_type },
            NodeSource::Endpoints => {
                for (location, key) in [(selector_location, "selector"), (type_location, "addressType")] {
                    let Some(location) = location else { continue };
                    self.findings.warn(location, format!("`{key}` does nothing unless `source` is nodes"));
                }
                DiscoverySource::Endpoints
            }
        };
        Some(DiscoverySettings {
            source,
            interval: Setting::new("interval", raw.interval, raw::DISCOVERY_INTERVAL).value,
            shrink_pause: Setting::new("shrinkPause", raw.shrink_pause, raw::SHRINK_PAUSE).value,
        })
    }
}
