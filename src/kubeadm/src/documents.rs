//! The documents of a file, and everything that is found in them without knowing the cluster.

use super::api::KubeadmApi;
use super::cluster::{ClusterConfiguration, InitConfiguration};
use super::endpoint::{self, ControlPlaneEndpoint};
use super::mapping::Mapping;
use super::mended::{MendedLine, MendedText};
use super::position::{FilePosition, WithPosition};
use super::slip::{Slip, SlipKind};
use super::tree::{self, type_name};
use super::{cert_sans, subnets};
use daymark_yaml::{YamlNode, YamlValue};

/// The size beyond which a text is not read. A file of kubeadm has a few hundred lines.
pub const MAX_FILE_BYTES: usize = 1 << 20;

const CLUSTER: &str = "ClusterConfiguration";
const INIT: &str = "InitConfiguration";

/// A file of kubeadm. Documents of other programs beside, such as a `KubeletConfiguration`, are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeadmFile {
    /// The first `ClusterConfiguration`.
    pub cluster: Option<ClusterConfiguration>,
    /// The first `InitConfiguration`.
    pub init: Option<InitConfiguration>,
    /// The slips, in the order of the file.
    pub slips: Vec<Slip>,
}

impl KubeadmFile {
    /// Reads a file of one or several documents. Its slips are mended where their meaning is clear, so that the fields hold
    /// what was meant. A text that is no file of kubeadm gives a slip, too.
    pub fn read(text: &str) -> Self {
        let mut file = Self::default();
        if text.len() > MAX_FILE_BYTES {
            file.slip(FilePosition::START, SlipKind::TooLarge { max_kib: MAX_FILE_BYTES >> 10 });
            return file;
        }
        let mended = MendedText::of(text);
        file.slips = mended.slips;
        for lines in mended.lines.chunk_by(|_, next| !begins_document(&next.text)) {
            file.read_document(lines);
        }
        let is_unread =
            file.slips.iter().any(|slip| matches!(slip.kind, SlipKind::NotYaml { .. } | SlipKind::NoType { .. }));
        if file.cluster.is_none() && !is_unread {
            file.slip(FilePosition::START, SlipKind::NoClusterConfiguration);
        }
        if let Some(cluster) = &file.cluster {
            file.slips.extend(endpoint::check(cluster));
            file.slips.extend(subnets::check(&cluster.networking));
            file.slips.extend(cert_sans::check_entries(cluster));
        }
        file.slips.sort_by_key(|slip| slip.position);
        file
    }

    /// The name and the port of the endpoint; `None` if it is missing or no name, which a slip says.
    pub fn endpoint(&self) -> Option<ControlPlaneEndpoint> {
        ControlPlaneEndpoint::of(self.cluster.as_ref()?, self.init.as_ref())
    }

    fn read_document(&mut self, lines: &[MendedLine]) {
        let text: String = lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
        let in_file = |position: FilePosition| {
            let line = usize::try_from(position.line - 1).ok().and_then(|index| lines.get(index)).or(lines.last());
            line.map_or(FilePosition::START, |line| line.position(position.column))
        };
        let mut tree = match tree::parse(&text) {
            Ok(tree) => tree,
            Err(error) => return self.slip(in_file(error.position), SlipKind::NotYaml { message: error.message }),
        };
        tree::relocate(&mut tree, &in_file);
        if matches!(tree.value, YamlValue::Empty) {
            return;
        }
        for duplicate in tree::duplicates(&tree) {
            let key = duplicate.entry.key.clone();
            self.slip(duplicate.entry.position(), SlipKind::DuplicateKey { key, first_line: duplicate.first_line });
        }
        self.read_tree(&tree);
    }

    fn read_tree(&mut self, tree: &YamlNode) {
        let Some(document) = Mapping::document(tree) else {
            let kind = SlipKind::WrongType {
                path: "the document".to_owned(),
                is: type_name(&tree.value),
                allowed: "a mapping",
            };
            return self.slip(tree.position(), kind);
        };
        let Some(kind) = document.text("kind", &mut self.slips) else {
            return self.slip(document.position, SlipKind::NoType { key: "kind" });
        };
        let first_line = match kind.value.as_str() {
            CLUSTER => self.cluster.as_ref().map(|first| first.position.line),
            INIT => self.init.as_ref().map(|first| first.position.line),
            _ => return,
        };
        if let Some(first_line) = first_line {
            let name = if kind.value == CLUSTER { CLUSTER } else { INIT };
            return self.slip(document.position, SlipKind::DuplicateDocument { kind: name, first_line });
        }
        let api = self.read_api(&document);
        if kind.value == CLUSTER {
            self.cluster = Some(ClusterConfiguration::read(&document, api, &mut self.slips));
        } else {
            self.init = Some(InitConfiguration::read(&document, api, &mut self.slips));
        }
    }

    fn read_api(&mut self, document: &Mapping<'_>) -> Option<WithPosition<KubeadmApi>> {
        let Some(WithPosition { value: text, position }) = document.text("apiVersion", &mut self.slips) else {
            self.slip(document.position, SlipKind::NoType { key: "apiVersion" });
            return None;
        };
        let api = KubeadmApi::of(&text);
        if api.is_none() {
            self.slip(position, SlipKind::UnknownApi { text });
        }
        Some(WithPosition { value: api?, position })
    }

    fn slip(&mut self, position: FilePosition, kind: SlipKind) {
        self.slips.push(Slip::new(position, kind));
    }
}

/// `---` begins a document, alone or before white space.
fn begins_document(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace))
}
