//! The pass over the lines: finds the slips after which a text is no YAML or another one than was meant, and mends them in
//! memory. Knows one line and the indentation around it, and no document.

use super::lines::{KeyInText, LineParts, begins_entry, end_of_quoted};
use super::position::FilePosition;
use super::slip::{Slip, SlipKind};

/// A line that has more keys run together is no slip, but another text.
const MAX_KEYS_ON_A_LINE: usize = 8;

/// A text whose slips are mended, line by line.
#[derive(Debug, Default)]
pub(crate) struct MendedText {
    pub(crate) lines: Vec<MendedLine>,
    pub(crate) slips: Vec<Slip>,
}

/// One line, which knows its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MendedLine {
    pub(crate) text: String,
    /// Its line in the file, from 1.
    line: u64,
    /// The difference between a column in the file and one in `text`.
    shift: i64,
}

impl MendedLine {
    /// The position in the file of a column in this line.
    pub(crate) fn position(&self, column: u64) -> FilePosition {
        FilePosition { line: self.line, column: column.saturating_add_signed(self.shift).max(1) }
    }

    /// The position in the file of an offset in bytes.
    fn position_at(&self, offset: usize) -> FilePosition {
        let before = self.text.get(..offset).map_or(0, |before| before.chars().count());
        self.position(count(before) + 1)
    }
}

impl MendedText {
    /// Mends a text.
    pub(crate) fn of(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let mut mender = Mender::default();
        let mut next = 0;
        while next < lines.len() {
            next = mender.take(&lines, next);
        }
        mender.text
    }
}

#[derive(Default)]
struct Mender {
    text: MendedText,
    /// The slip of the first line with tabs.
    tabs: Option<usize>,
    /// The indentation of a block of text, while in one.
    block: Option<usize>,
    /// The indentation of the last key whose value is on the lines below.
    section_indent: usize,
}

impl Mender {
    /// Takes the line of this index, and returns the index of the next.
    fn take(&mut self, lines: &[&str], index: usize) -> usize {
        let line = MendedLine { text: lines[index].to_owned(), line: count(index) + 1, shift: 0 };
        if self.is_in_block(&line.text) {
            self.text.lines.push(line);
            return index + 1;
        }
        let mut line = self.without_tabs(line);
        for _ in 0..MAX_KEYS_ON_A_LINE {
            if let Some(last) = last_line_of_quoted(&line, lines, index) {
                let rest = (index + 1..=last).map(|at| MendedLine {
                    text: lines[at].to_owned(),
                    line: count(at) + 1,
                    shift: 0,
                });
                self.text.lines.push(line);
                self.text.lines.extend(rest);
                return last + 1;
            }
            let Some(next) = self.mend(&mut line) else { break };
            self.text.lines.push(std::mem::replace(&mut line, next));
        }
        self.remember(&line);
        self.text.lines.push(line);
        index + 1
    }

    fn is_in_block(&mut self, line: &str) -> bool {
        let Some(indent) = self.block else { return false };
        let is_inside = line.trim().is_empty() || LineParts::of(line).indent > indent;
        if !is_inside {
            self.block = None;
        }
        is_inside
    }

    /// The line with two spaces for each tab of its indentation. YAML allows tabs in blank lines and before comments.
    fn without_tabs(&mut self, mut line: MendedLine) -> MendedLine {
        let content = line.text.trim_start_matches([' ', '\t']);
        let indentation = &line.text[..line.text.len() - content.len()];
        let Some(tab) = indentation.find('\t').filter(|_| !content.is_empty() && !content.starts_with('#')) else {
            return line;
        };
        let first = self.tabs.and_then(|slip| self.text.slips.get_mut(slip));
        if let Some(Slip { kind: SlipKind::Tab { more_lines }, .. }) = first {
            *more_lines += 1;
        } else {
            self.tabs = Some(self.text.slips.len());
            self.slip(line.position_at(tab), SlipKind::Tab { more_lines: 0 });
        }
        let tabs = indentation.matches('\t').count();
        line.text = format!("{}{content}", indentation.replace('\t', "  "));
        line.shift = i64::try_from(tabs).map_or(0, |tabs| -tabs);
        line
    }

    /// Mends the slip of a line. The part that belongs on a line of its own is returned.
    fn mend(&mut self, line: &mut MendedLine) -> Option<MendedLine> {
        let text = line.text.clone();
        let parts = LineParts::of(&text);
        if parts.value.is_empty() || parts.value.starts_with(['{', '[']) || text.trim_start().starts_with(['#', '%']) {
            return None;
        }
        let next = self.split(line, &parts);
        self.mend_quotes(line);
        next
    }

    /// Splits a line before a key that ran into its value.
    fn split(&mut self, line: &mut MendedLine, parts: &LineParts<'_>) -> Option<MendedLine> {
        let quoted = quote_of(parts.value).and_then(|mark| end_of_quoted(parts.value, mark)).unwrap_or(0);
        let mut found = KeyInText::find(&parts.value[quoted..])?;
        found.at += quoted;
        if parts.value[quoted..found.at].trim_start().starts_with('#') {
            return None;
        }
        let key_at = parts.value_at + found.at;
        let before = parts.value[..found.at].trim_end();
        let shown = if before.is_empty() { parts.key.unwrap_or_default() } else { before };
        let indent = match parts.key {
            _ if found.is_top() => 0,
            _ if before.is_empty() => parts.content_at + 2,
            None if parts.is_item() => self.section_indent,
            _ => parts.content_at,
        };
        let position = line.position_at(key_at);
        self.slip(position, SlipKind::RunTogether { before: shown.to_owned(), key: found.key.to_owned() });
        let rest = MendedLine {
            text: format!("{}{}", " ".repeat(indent), &line.text[key_at..]),
            line: line.line,
            shift: i64::try_from(position.column).unwrap_or(0) - i64::try_from(indent + 1).unwrap_or(0),
        };
        line.text.truncate(key_at);
        line.text.truncate(line.text.trim_end().len());
        Some(rest)
    }

    /// Adds the closing quote of a value, or removes one that nothing opened.
    fn mend_quotes(&mut self, line: &mut MendedLine) {
        let text = line.text.clone();
        let parts = LineParts::of(&text);
        let end = parts.value_at + parts.value.len();
        let position = line.position_at(parts.value_at);
        if let Some(mark) = quote_of(parts.value) {
            if end_of_quoted(parts.value, mark).is_none() {
                self.slip(position, SlipKind::NoClosingQuote { text: parts.value.to_owned(), mark });
                line.text.insert(end, mark);
            }
        } else if let Some(mark) = parts.value.chars().next_back().filter(|last| is_lone_quote(parts.value, *last)) {
            self.slip(position, SlipKind::NoOpeningQuote { text: parts.value.to_owned(), mark });
            line.text.replace_range(end - mark.len_utf8()..end, "");
        }
    }

    /// Remembers what the lines below depend on.
    fn remember(&mut self, line: &MendedLine) {
        let parts = LineParts::of(&line.text);
        if parts.begins_block() {
            self.block = Some(if parts.key.is_some() { parts.content_at } else { parts.indent });
        }
        if parts.value.is_empty() && parts.key.is_some() {
            self.section_indent = parts.content_at;
        }
    }

    fn slip(&mut self, position: FilePosition, kind: SlipKind) {
        self.text.slips.push(Slip::new(position, kind));
    }
}

/// The last line of a value in quotes that goes on below, and does so rightly.
fn last_line_of_quoted(line: &MendedLine, lines: &[&str], index: usize) -> Option<usize> {
    let parts = LineParts::of(&line.text);
    let mark = quote_of(parts.value)?;
    if end_of_quoted(parts.value, mark).is_some() || KeyInText::find(parts.value).is_some() {
        return None;
    }
    for (at, below) in lines.iter().enumerate().skip(index + 1) {
        if begins_entry(below) {
            return None;
        }
        // The quote of the text stands for the opening one that the function expects.
        if end_of_quoted(&format!("{mark}{below}"), mark).is_some() {
            return Some(at);
        }
    }
    None
}

fn quote_of(value: &str) -> Option<char> {
    value.chars().next().filter(|first| matches!(first, '"' | '\''))
}

fn is_lone_quote(value: &str, last: char) -> bool {
    matches!(last, '"' | '\'') && value.matches(last).count() == 1
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &str) -> Vec<String> {
        MendedText::of(text).lines.into_iter().map(|line| line.text).collect()
    }

    fn unchanged(text: &str) {
        let mended = MendedText::of(text);
        assert_eq!(mended.slips, [], "{text}");
        assert_eq!(
            mended.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
            text.lines().collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_key_of_the_top_goes_to_the_top_and_another_one_beside_its_neighbour() {
        assert_eq!(mended("kubernetesVersion: stableetcd:"), ["kubernetesVersion: stable", "etcd:"]);
        assert_eq!(
            mended("  dnsDomain: cluster.localpodSubnet: 10.0.0.0/8"),
            ["  dnsDomain: cluster.local", "  podSubnet: 10.0.0.0/8"]
        );
        assert_eq!(mended("  certSANs:\n  - 192.0.2.1extraArgs:"), ["  certSANs:", "  - 192.0.2.1extraArgs:"]);
        assert_eq!(mended("  certSANs:\n  - 192.0.2.1networking:"), ["  certSANs:", "  - 192.0.2.1", "networking:"]);
        assert_eq!(mended("  - name: avalue: b"), ["  - name: a", "    value: b"]);
        assert_eq!(mended("apiServer: certSANs:"), ["apiServer:", "  certSANs:"]);
        assert_eq!(mended("clusterName: aetcd: dns: x"), ["clusterName: a", "etcd:", "dns: x"]);
    }

    #[test]
    fn a_key_may_run_into_a_value_in_quotes() {
        assert_eq!(mended(r#"clusterName: "a"etcd:"#), [r#"clusterName: "a""#, "etcd:"]);
        assert_eq!(mended(r#"clusterName: "aetcd:"#), [r#"clusterName: "a""#, "etcd:"]);
        unchanged(r#"clusterName: "a" # before etcd:"#);
        unchanged(r#"clusterName: "aetcd: b""#);
    }

    #[test]
    fn positions_are_those_of_the_file() {
        let text = MendedText::of("a: 1\n\tpodSubnet: é/1dnsDomain: b");
        let positions: Vec<_> = text.slips.iter().map(|slip| (slip.position.line, slip.position.column)).collect();
        assert_eq!(positions, [(2, 1), (2, 16)]);
        assert_eq!(text.lines[2].text, "  dnsDomain: b");
        assert_eq!(text.lines[2].position(14), FilePosition { line: 2, column: 27 });
    }

    #[test]
    fn a_text_in_quotes_may_go_on_below_and_ends_before_the_next_key() {
        unchanged("a: \"b\n  c\"\nd: e");
        unchanged("a: 'b\n\n  c'' d'\nd: e");
        assert_eq!(mended("a: \"b\nd: \"e\""), ["a: \"b\"", "d: \"e\""]);
        assert_eq!(mended("- 'b\n- c"), ["- 'b'", "- c"]);
        assert_eq!(mended("a: \"b"), ["a: \"b\""]);
    }

    #[test]
    fn a_quote_that_nothing_opened_is_removed() {
        assert_eq!(mended("a: b:6443\""), ["a: b:6443"]);
        unchanged("a: the \"b\"");
    }

    #[test]
    fn blocks_comments_and_flow_collections_stay() {
        unchanged("a: |\n  stableetcd: \"\n\n  b\n");
        unchanged("# a: stableetcd:\na: {b: \"c}\n\t# tab\n\t\n");
    }

    #[test]
    fn lines_with_tabs_are_one_slip() {
        let text = MendedText::of("a:\n\tb:\n\t\tc: d\n \te: f");
        assert_eq!(text.slips, [Slip::new(FilePosition { line: 2, column: 1 }, SlipKind::Tab { more_lines: 2 })]);
        assert_eq!(
            text.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
            ["a:", "  b:", "    c: d", "   e: f"]
        );
    }

    #[test]
    fn a_line_of_many_keys_is_split_a_few_times() {
        assert_eq!(MendedText::of(&format!("a: {}", "betcd: ".repeat(100))).lines.len(), MAX_KEYS_ON_A_LINE + 1);
    }
}
