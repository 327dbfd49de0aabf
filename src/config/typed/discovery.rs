//! Where the nodes of a pool are looked for.

use super::{Setting, Stage};
use crate::config::findings::Place;
use crate::config::raw::{self, RawFromKubernetes};
use crate::config::reader::Key;
use crate::config::values::{AddressKind, LabelSelector, NodeSource, Text};
use crate::discovery::settings::{AddressType, Settings, Source};
use daymark_probe as probe;

impl Stage<'_> {
    /// Where the nodes of a pool that is probed so are looked for; `None` where that is not said, or wrong.
    pub(super) fn discovery(
        &mut self,
        raw: Key<RawFromKubernetes>,
        nodes: Place,
        probe: &probe::Settings,
    ) -> Option<Settings> {
        if matches!(raw, Key::Absent) {
            let sentence = "a mapping is needed, `{}` for its defaults; without it `nodes` is a list";
            self.findings.missing(nodes, "fromKubernetes", sentence);
        }
        let (raw, place) = raw.given()?;
        if probe.auth.is_none() {
            let sentence =
                "without `probe.auth` an apiserver lists nothing; `daymark manifest rbac` prints what a token needs";
            self.findings.warn(place, sentence);
        }
        let (selector_place, type_place) = (raw.selector.place(), raw.address_type.place());
        let Text(LabelSelector(selector)) = raw.selector.or(Text(LabelSelector(raw::SELECTOR.to_owned())));
        let Text(AddressKind(address_type)) = raw.address_type.or(Text(AddressKind(AddressType::Internal)));
        let source = match raw.source.or(Text(NodeSource::Nodes)).0 {
            NodeSource::Nodes => Source::Nodes { selector, address_type },
            NodeSource::Endpoints => {
                for (place, key) in [(selector_place, "selector"), (type_place, "addressType")] {
                    let Some(place) = place else { continue };
                    self.findings.warn(place, format!("`{key}` does nothing unless `source` is nodes"));
                }
                Source::Endpoints
            }
        };
        Some(Settings {
            source,
            interval: Setting::new("interval", raw.interval, raw::DISCOVERY_INTERVAL).value,
            shrink_pause: Setting::new("shrinkPause", raw.shrink_pause, raw::SHRINK_PAUSE).value,
        })
    }
}
