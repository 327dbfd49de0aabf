//! One line of a YAML text in its parts, and the keys of kubeadm that may have run into the text before them. It does not know
//! the lines around it.

/// The keys at the top of kubeadm's documents, of v1beta1 to v1beta4.
const TOP_KEYS: [&str; 29] = [
    "apiServer",
    "apiVersion",
    "bootstrapTokens",
    "caCertPath",
    "caCertificateValidityPeriod",
    "certificateKey",
    "certificateValidityPeriod",
    "certificatesDir",
    "clusterName",
    "controlPlane",
    "controlPlaneEndpoint",
    "controllerManager",
    "discovery",
    "dns",
    "dryRun",
    "encryptionAlgorithm",
    "etcd",
    "featureGates",
    "kind",
    "kubernetesVersion",
    "localAPIEndpoint",
    "networking",
    "nodeRegistration",
    "patches",
    "proxy",
    "scheduler",
    "skipPhases",
    "timeouts",
    "useHyperKubeImage",
];

/// The keys inside the others. `imageRepository` is at the top, too.
const INNER_KEYS: [&str; 28] = [
    "advertiseAddress",
    "bindPort",
    "caFile",
    "certFile",
    "certSANs",
    "criSocket",
    "dataDir",
    "dnsDomain",
    "endpoints",
    "external",
    "extraArgs",
    "extraEnvs",
    "extraVolumes",
    "ignorePreflightErrors",
    "imagePullPolicy",
    "imageRepository",
    "imageTag",
    "keyFile",
    "kubeletExtraArgs",
    "local",
    "name",
    "peerCertSANs",
    "podSubnet",
    "serverCertSANs",
    "serviceSubnet",
    "taints",
    "timeoutForControlPlane",
    "value",
];

/// A line in its parts. The offsets are in bytes, and what precedes `content_at` is ASCII.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineParts<'t> {
    /// The spaces at the beginning.
    pub(crate) indent: usize,
    /// The offset after the spaces and the hyphens of list items.
    pub(crate) content_at: usize,
    /// The key, if the content begins with one.
    pub(crate) key: Option<&'t str>,
    /// The offset of the value.
    pub(crate) value_at: usize,
    /// The value without the comment behind it and without spaces at its end.
    pub(crate) value: &'t str,
}

impl<'t> LineParts<'t> {
    /// Takes a line apart that is indented by spaces.
    pub(crate) fn of(line: &'t str) -> Self {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let content_at = skip_hyphens(line, indent);
        let is_item = content_at > indent;
        let content = &line[content_at..];
        let key = key_of(content).filter(|key| !(is_item && is_entry_with_key(key)));
        let value_at = key.map_or(content_at, |key| {
            let behind = content_at + key.len() + 1;
            behind + (line[behind..].len() - line[behind..].trim_start().len())
        });
        Self { indent, content_at, key, value_at, value: without_comment(&line[value_at..]) }
    }

    /// The line begins an entry of a list.
    pub(crate) fn is_item(&self) -> bool {
        self.content_at > self.indent
    }

    /// The line is the head of a block of text (`|` or `>`), whose lines are no YAML.
    pub(crate) fn begins_block(&self) -> bool {
        let header = self.value.strip_prefix(['|', '>']);
        header.is_some_and(|marks| marks.chars().all(|c| matches!(c, '+' | '-' | '1'..='9')))
    }
}

/// A known key behind other text on the same line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyInText {
    /// The offset of the key in the text, in bytes.
    pub(crate) at: usize,
    pub(crate) key: &'static str,
}

impl KeyInText {
    /// The first key of kubeadm in a text where YAML allows none, such as `etcd` in `stableetcd:`.
    pub(crate) fn find(text: &str) -> Option<Self> {
        colons(text).find_map(|colon| {
            let key = longest_key_at_end(&text[..colon], &[&TOP_KEYS, &INNER_KEYS])?;
            Some(Self { at: colon - key.len(), key })
        })
    }

    /// The key stands at the top of a document.
    pub(crate) fn is_top(&self) -> bool {
        TOP_KEYS.contains(&self.key)
    }
}

/// The offset behind the closing quote of a text that begins with a quote.
pub(crate) fn end_of_quoted(text: &str, mark: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if mark == '"' && c == '\\' {
            chars.next();
        } else if c == mark {
            // In single quotes, two are one.
            if mark == '\'' && chars.next_if(|(_, next)| *next == mark).is_some() {
                continue;
            }
            return Some(at + mark.len_utf8());
        }
    }
    None
}

/// The line begins an entry of a mapping or list, or a document: no such line continues a text in quotes.
pub(crate) fn begins_entry(line: &str) -> bool {
    let content = line.trim_start();
    content.starts_with("- ") || line.starts_with("---") || key_of(content).is_some()
}

fn skip_hyphens(line: &str, indent: usize) -> usize {
    let mut at = indent;
    while let Some(rest) = line[at..].strip_prefix("- ") {
        at += 2 + (rest.len() - rest.trim_start_matches(' ').len());
    }
    at
}

/// The key at the beginning of a content, in quotes or not.
fn key_of(content: &str) -> Option<&str> {
    let first = content.chars().next()?;
    if matches!(first, '"' | '\'') {
        let end = end_of_quoted(content, first)?;
        return colons(content).any(|colon| colon == end).then(|| &content[..end]);
    }
    let key = &content[..colons(content).next()?];
    let is_plain = !key.is_empty()
        && !key.contains(char::is_whitespace)
        && !key.starts_with(['{', '[', '#', '&', '*', '!', '|', '>']);
    is_plain.then_some(key)
}

/// The offsets of the colons that end a key: a space or nothing follows.
fn colons(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.match_indices(':').map(|(at, _)| at).filter(|at| text[at + 1..].chars().next().is_none_or(char::is_whitespace))
}

/// The key of a list item is an entry, such as an address, with a key behind: `- 192.0.2.1networking:`.
fn is_entry_with_key(key: &str) -> bool {
    longest_key_at_end(key, &[&TOP_KEYS]).is_some_and(|top| key[..key.len() - top.len()].contains(['.', ':']))
}

fn longest_key_at_end(text: &str, lists: &[&[&'static str]]) -> Option<&'static str> {
    let keys = lists.iter().flat_map(|list| list.iter().copied());
    keys.filter(|key| text.ends_with(key)).max_by_key(|key| key.len())
}

/// The value without a comment, which begins with a space and `#`. The comment behind a value in quotes stays: `#` may be in it.
fn without_comment(text: &str) -> &str {
    if text.starts_with('#') {
        return "";
    }
    let is_quoted = text.chars().next().is_some_and(|first| end_of_quoted_value(text, first));
    let end = if is_quoted { None } else { text.find(" #") };
    text[..end.unwrap_or(text.len())].trim_end()
}

fn end_of_quoted_value(text: &str, first: char) -> bool {
    matches!(first, '"' | '\'') && end_of_quoted(text, first).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_indentation_a_key_and_a_value_without_its_comment() {
        let parts = LineParts::of("  podSubnet: 10.244.0.0/16 # of flannel");
        assert_eq!((parts.indent, parts.key, parts.value_at, parts.value), (2, Some("podSubnet"), 13, "10.244.0.0/16"));
        let item = LineParts::of("  - name: v");
        assert_eq!((item.indent, item.content_at, item.key, item.value), (2, 4, Some("name"), "v"));
        let quoted = LineParts::of(r#"- "a: #b" # c"#);
        assert_eq!((quoted.key, quoted.value), (None, r#""a: #b" # c"#));
    }

    #[test]
    fn the_longest_known_key_is_the_one_that_ran_into_the_text() {
        assert_eq!(KeyInText::find("stableetcd:"), Some(KeyInText { at: 6, key: "etcd" }));
        assert_eq!(KeyInText::find("10.0.0.0/16serviceSubnet: x"), Some(KeyInText { at: 11, key: "serviceSubnet" }));
        assert_eq!(KeyInText::find("aserverCertSANs:"), Some(KeyInText { at: 1, key: "serverCertSANs" }));
        assert_eq!(KeyInText::find("etcd:2379"), None);
        assert_eq!(KeyInText::find("unknown: x"), None);
    }

    #[test]
    fn an_address_in_a_list_may_have_a_key_at_its_end_and_a_key_of_an_item_is_a_key() {
        assert_eq!(LineParts::of("- 192.0.2.1networking:").key, None);
        assert_eq!(LineParts::of("- kube-etcd:").key, Some("kube-etcd"));
    }

    #[test]
    fn a_quote_ends_behind_escaped_and_doubled_quotes() {
        assert_eq!(end_of_quoted(r#""a\"b" c"#, '"'), Some(6));
        assert_eq!(end_of_quoted("'a''b' c", '\''), Some(6));
        assert_eq!(end_of_quoted("\"a", '"'), None);
        assert_eq!(end_of_quoted("'a''", '\''), None);
    }

    #[test]
    fn the_head_of_a_block_has_only_its_marks() {
        for (line, begins) in [("a: |", true), ("- >-", true), ("a: |2+ # c", true), ("a: |x", false), ("a: b|", false)]
        {
            assert_eq!(LineParts::of(line).begins_block(), begins, "{line}");
        }
    }
}
