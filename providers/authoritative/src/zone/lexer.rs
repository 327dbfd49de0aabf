//! Splits a master file into entries and tokens (RFC 1035, section 5.1). It knows no directive and no record type.
//!
//! The rules are those of BIND where RFC 1035 leaves them open: a quoted text ends on its line, and a carriage return ends a line.

use crate::zone::syntax::SyntaxError;

/// One entry: a directive or a record, over all its lines.
#[derive(Debug)]
pub(super) struct FileEntry<'a> {
    /// The tokens. Never empty.
    pub(super) tokens: Vec<FileToken<'a>>,
    /// The entry begins with white space, so a record has the owner of the record before it.
    pub(super) starts_blank: bool,
    /// The line of its end, counted from 1.
    pub(super) end_line: usize,
}

/// One word or quoted text of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileToken<'a> {
    /// The text as it is written, with its escapes and without its quotation marks.
    pub(super) raw: &'a [u8],
    pub(super) is_quoted: bool,
    /// No space is before it: `key="a b"` is a word and a quoted text that belong together.
    pub(super) is_joined: bool,
    /// Counted from 1.
    pub(super) line: usize,
}

impl FileToken<'_> {
    /// The token as errors show it.
    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(self.raw).into_owned()
    }

    /// Returns `true` if this is the directive, in any letter case.
    pub(super) fn is(&self, directive: &str) -> bool {
        self.raw.eq_ignore_ascii_case(directive.as_bytes())
    }
}

/// A syntax error and its line.
#[derive(Debug)]
pub(super) struct LexerFault {
    pub(super) line: usize,
    pub(super) error: SyntaxError,
}

/// A reader of entries.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    /// The lines of the parentheses that are open.
    open: Vec<usize>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0, line: 1, open: Vec::new() }
    }

    /// The next entry that has a token. `None` at the end of the text.
    pub(super) fn next_entry(&mut self) -> Result<Option<FileEntry<'a>>, LexerFault> {
        while self.at < self.text.len() {
            let starts_blank = matches!(self.peek(), Some(b' ' | b'\t'));
            let mut tokens = Vec::new();
            let end_line = self.read_entry(&mut tokens)?;
            if !tokens.is_empty() {
                return Ok(Some(FileEntry { tokens, starts_blank, end_line }));
            }
        }
        Ok(None)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Reads the tokens to the end of the entry. Returns the line of the end.
    fn read_entry(&mut self, tokens: &mut Vec<FileToken<'a>>) -> Result<usize, LexerFault> {
        let mut word_end = None;
        while let Some(next) = self.peek() {
            let line = self.line;
            match next {
                b'\n' | b'\r' => {
                    self.skip_line_end(next);
                    if self.open.is_empty() {
                        return Ok(line);
                    }
                }
                b' ' | b'\t' => self.at += 1,
                b';' => self.skip_comment(),
                b'(' => {
                    self.open.push(line);
                    self.at += 1;
                }
                b')' => {
                    let opened = self.open.pop();
                    opened.ok_or(LexerFault { line, error: SyntaxError::UnopenedParenthesis })?;
                    self.at += 1;
                }
                _ => {
                    let is_joined = word_end == Some(self.at);
                    let is_quoted = next == b'"';
                    let raw = if is_quoted { self.read_quoted() } else { Ok(self.read_word()) };
                    let raw = raw.map_err(|error| LexerFault { line, error })?;
                    if raw.contains(&0) {
                        return Err(LexerFault { line, error: SyntaxError::NulByte });
                    }
                    tokens.push(FileToken { raw, is_quoted, is_joined, line });
                    word_end = Some(self.at);
                }
            }
        }
        match self.open.pop() {
            Some(line) => Err(LexerFault { line, error: SyntaxError::UnclosedParenthesis }),
            None => Ok(self.line),
        }
    }

    /// Skips a line end of one or two bytes. A carriage return alone ends an entry, but is no line of an editor.
    fn skip_line_end(&mut self, first: u8) {
        self.at += 1;
        if first == b'\r' && self.peek() == Some(b'\n') {
            self.at += 1;
        } else if first == b'\r' {
            return;
        }
        self.line += 1;
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }

    fn read_word(&mut self) -> &'a [u8] {
        let start = self.at;
        let mut is_escaped = false;
        while let Some(next) = self.peek() {
            let is_end = matches!(next, b' ' | b'\t' | b'(' | b')' | b'"' | b';');
            if matches!(next, b'\n' | b'\r') || (is_end && !is_escaped) {
                break;
            }
            is_escaped = next == b'\\' && !is_escaped;
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn read_quoted(&mut self) -> Result<&'a [u8], SyntaxError> {
        self.at += 1;
        let start = self.at;
        let mut is_escaped = false;
        while let Some(next) = self.peek() {
            match next {
                b'"' if !is_escaped => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                b'\n' if !is_escaped => break,
                b'\n' => self.line += 1,
                _ => {}
            }
            is_escaped = next == b'\\' && !is_escaped;
            self.at += 1;
        }
        Err(SyntaxError::UnclosedQuote)
    }
}
