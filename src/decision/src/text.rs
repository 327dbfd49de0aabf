//! Text of others in messages: no character of it may tear, hide or reorder a line of a log or a terminal.
//!
//! Names, reasons, certificates and answers come from files, peers, targets and the API. A control character could clear the
//! screen, and a bidirectional or zero-width code point could show another name than the one that is meant (Unicode Technical
//! Report 36, section 2.10). All that is logged or printed goes through here.

/// Escapes every hidden character, line ends included: `\n`, `\u{202e}`.
pub fn escaped(text: &str) -> String {
    escape(text, |_| false, |c| c.escape_debug().collect())
}

/// Escapes every hidden character of a text of several lines. Line feeds and tabs stay.
pub fn escaped_lines(text: &str) -> String {
    escape(text, is_layout, |c| c.escape_debug().collect())
}

/// Escapes every hidden character of a JSON text as JSON does: `\u202e`. Outside of strings, JSON has none but line feeds.
pub fn escaped_json(text: &str) -> String {
    let in_json = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    escape(text, is_layout, in_json)
}

/// A text for a message: in quotes, on one line, and not longer than a line should be.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text))
}

/// A text for a message: on one line, and not longer than a line should be.
pub fn shortened(text: &str) -> String {
    const MAX_SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => escaped(&text[..end]) + "…",
        None => escaped(text),
    }
}

fn escape(text: &str, is_kept: fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) && !is_kept(c) {
            escaped.push_str(&escape(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn is_layout(c: char) -> bool {
    matches!(c, '\n' | '\t')
}

/// True for a character that has no shape of its own: control, format, private and unassigned ones, and line separators. Accents
/// and vowel signs that join the character before them are shown.
fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_control();
    }
    let is_space = c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    // Only the first character of a text is escaped for joining the one before it.
    !is_space && format!("a{c}").escape_debug().count() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_tear_hide_or_reorder_a_line_is_escaped() {
        for (text, expected) in [
            ("\u{1b}[2J\u{7}\r\n\t\0\u{7f}", r"\u{1b}[2J\u{7}\r\n\t\0\u{7f}"),
            ("\u{9b}31m\u{85}", r"\u{9b}31m\u{85}"),
            ("\u{2028}\u{2029}", r"\u{2028}\u{2029}"),
            ("\u{200e}\u{200f}\u{61c}", r"\u{200e}\u{200f}\u{61c}"),
            ("\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}", r"\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}"),
            ("\u{2066}\u{2067}\u{2068}\u{2069}", r"\u{2066}\u{2067}\u{2068}\u{2069}"),
            ("\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}", r"\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}"),
            ("\u{e0041}\u{e000}", r"\u{e0041}\u{e000}"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn visible_text_stays_as_it_is() {
        for text in ["\"a\" 'b' \\ …", "fu\u{308}r Zoe\u{301}", "नमस्ते दुनिया", "日本語", "a\u{a0}b", "→ 🦀"]
        {
            assert_eq!(escaped(text), text);
            assert_eq!(escaped_json(text), text);
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(escaped_lines("NODE\tGRADE\ncp-1\t\u{202e}\r\n"), "NODE\tGRADE\ncp-1\t\\u{202e}\\r\n");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = "\u{202e}\u{200b}\u{e0041}\u{7f}é\n";
        let json = format!("{{\n  \"a\": {}\n}}\n", serde_json::to_string(value).unwrap());
        let escaped = escaped_json(&json);
        assert_eq!(escaped, "{\n  \"a\": \"\\u202e\\u200b\\udb40\\udc41\\u007fé\\n\"\n}\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap()["a"], value);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(shortened(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(quoted(&"é".repeat(81)), format!("\"{}…\"", "é".repeat(80)));
    }
}
