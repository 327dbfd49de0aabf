//! Puts the text of included files in the place of the `$INCLUDE` lines of a master file (RFC 1035, section 5.1).
//!
//! The parser of hickory would read the files itself, without a bound. Here they are texts that the caller has read. An included
//! file changes the origin and the TTL of the lines after it, as hickory has it.

use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::CharIndices;

use daymark_decision::quoted;

use crate::settings::MasterFile;

/// The most bytes of a master file together with all that it includes, each as often as it is included.
pub const MAX_ZONE_BYTES: usize = 4 << 20;
/// The most `$INCLUDE` lines of a zone, those of included files counted as often as these are included.
pub const MAX_INCLUDES: usize = 256;

/// An error of an `$INCLUDE` line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncludeError {
    /// It has no file name, more than one word, or something before it.
    #[error("$INCLUDE needs a line of its own, with the name of one file and no more")]
    Malformed,
    /// The text of the file is not at hand.
    #[error("the included file {} has not been read", quoted(&.0.display().to_string()))]
    NotRead(PathBuf),
    /// The file is on the way from the master file to this line.
    #[error("{} includes itself; each file may be included by other files only", quoted(&.0.display().to_string()))]
    Circle(PathBuf),
    /// A list or a quoted text goes on behind the end of the file.
    #[error("{} ends within parentheses or quotation marks; both must be closed in the file", quoted(&.0.display().to_string()))]
    Unclosed(PathBuf),
    /// There are too many of them.
    #[error("is more than {MAX_INCLUDES} $INCLUDE lines; at most that many are allowed")]
    TooMany,
    /// All texts together are too long.
    #[error("makes the zone larger than {} MiB; at most that is allowed", MAX_ZONE_BYTES >> 20)]
    TooLarge,
}

/// A line of one of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceLine<'a> {
    pub(super) path: &'a Path,
    /// Counted from 1.
    pub(super) line: usize,
}

/// The text of a master file without `$INCLUDE`, and the origin of each line.
#[derive(Debug, Default)]
pub(super) struct ExpandedFile<'a> {
    pub(super) text: String,
    lines: Vec<SourceLine<'a>>,
}

impl<'a> ExpandedFile<'a> {
    /// The origin of a line of the text, counted from 1.
    pub(super) fn source(&self, line: usize) -> Option<&SourceLine<'a>> {
        self.lines.get(line.checked_sub(1)?)
    }
}

/// An error, and the line that has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IncludeFault<'a> {
    pub(super) at: SourceLine<'a>,
    pub(super) error: IncludeError,
}

/// The files that a text includes. `path` is its own.
pub fn included_files(path: &Path, text: &str) -> Vec<PathBuf> {
    scan(text).includes.into_iter().filter_map(|include| Some(path.with_file_name(include.name?))).collect()
}

/// Puts the included texts in their places.
pub(super) fn expand(file: &MasterFile) -> Result<ExpandedFile<'_>, IncludeFault<'_>> {
    let mut expansion = Expansion { file, expanded: ExpandedFile::default(), includes: 0, open: Vec::new() };
    expansion.add(&file.path, &file.text)?;
    Ok(expansion.expanded)
}

/// An expansion under way.
struct Expansion<'a> {
    file: &'a MasterFile,
    expanded: ExpandedFile<'a>,
    includes: usize,
    /// The files from the master file to the present one.
    open: Vec<&'a Path>,
}

impl<'a> Expansion<'a> {
    fn add(&mut self, path: &'a Path, text: &'a str) -> Result<(), IncludeFault<'a>> {
        self.open.push(path);
        let mut next_line = 1;
        let mut start = 0;
        for include in scan(text).includes {
            next_line = self.add_lines(path, next_line, &text[start..include.start]);
            let fault = |error| IncludeFault { at: SourceLine { path, line: next_line }, error };
            let name = include.name.ok_or_else(|| fault(IncludeError::Malformed))?;
            let included = self.find(&path.with_file_name(name)).map_err(fault)?;
            self.add(included.path, included.text)?;
            next_line += 1;
            start = include.end;
        }
        self.add_lines(path, next_line, &text[start..]);
        self.open.pop();
        Ok(())
    }

    /// An included file, by its path.
    fn find(&mut self, path: &Path) -> Result<IncludedFile<'a>, IncludeError> {
        self.includes += 1;
        if self.includes > MAX_INCLUDES {
            return Err(IncludeError::TooMany);
        }
        if self.open.contains(&path) {
            return Err(IncludeError::Circle(path.to_owned()));
        }
        let found = self.file.included.get_key_value(path);
        let (path, text) = found.ok_or_else(|| IncludeError::NotRead(path.to_owned()))?;
        if self.expanded.text.len() + text.len() > MAX_ZONE_BYTES {
            return Err(IncludeError::TooLarge);
        }
        if scan(text).is_open {
            return Err(IncludeError::Unclosed(path.clone()));
        }
        Ok(IncludedFile { path, text })
    }

    /// Appends whole lines, and returns the number of the line after them.
    fn add_lines(&mut self, path: &'a Path, first: usize, text: &str) -> usize {
        self.expanded.text.push_str(text);
        if !text.is_empty() && !text.ends_with('\n') {
            self.expanded.text.push('\n');
        }
        let count = text.lines().count();
        self.expanded.lines.extend((first..first + count).map(|line| SourceLine { path, line }));
        first + count
    }
}

/// A file that is included.
struct IncludedFile<'a> {
    path: &'a Path,
    text: &'a str,
}

/// An `$INCLUDE` line.
struct IncludeLine {
    /// The index of its first byte in the text.
    start: usize,
    /// The index behind its line end.
    end: usize,
    /// `None` if the line is malformed.
    name: Option<String>,
}

/// The `$INCLUDE` lines of a text.
struct Scan {
    includes: Vec<IncludeLine>,
    /// A list or a quoted text does not end.
    is_open: bool,
}

/// Finds the `$INCLUDE` directives where the lexer of hickory finds them: neither in comments, nor in lists, nor in quotation
/// marks, nor inside of a word.
fn scan(text: &str) -> Scan {
    let mut includes: Vec<IncludeLine> = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut is_open = false;
    while let Some((at, next)) = chars.next() {
        match next {
            ';' => skip_comment(&mut chars),
            '"' => is_open |= !skip_quoted(&mut chars),
            '(' => is_open |= !skip_list(&mut chars),
            '$' if is_include(&text[at..]) => {
                let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let end = text[at..].find('\n').map_or(text.len(), |length| at + length + 1);
                let rest = &text[at + INCLUDE.len()..end];
                let name = if start == at { file_name(rest) } else { None };
                // A second directive of a line makes the line malformed.
                match includes.last_mut().filter(|last| last.start == start) {
                    Some(last) => last.name = None,
                    None => includes.push(IncludeLine { start, end, name }),
                }
            }
            _ if next.is_whitespace() || next == '@' => {}
            _ => while chars.next_if(|(_, next)| !next.is_whitespace() && !matches!(next, ')' | ';')).is_some() {},
        }
    }
    Scan { includes, is_open }
}

const INCLUDE: &str = "$INCLUDE";

fn is_include(text: &str) -> bool {
    text.strip_prefix(INCLUDE).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_uppercase()))
}

/// The only word of the rest of a line, if there is no more than a comment behind it.
fn file_name(rest: &str) -> Option<String> {
    let rest = rest.trim();
    let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    let (name, after) = quoted.unwrap_or_else(|| {
        rest.split_at(rest.find(|next: char| next.is_whitespace() || next == ';').unwrap_or(rest.len()))
    });
    let after = after.trim_start();
    let is_plain = !name.is_empty() && !name.contains(['(', ')', '"', '\\']);
    (is_plain && (after.is_empty() || after.starts_with(';'))).then(|| name.to_owned())
}

fn skip_comment(chars: &mut Peekable<CharIndices<'_>>) {
    while chars.next_if(|(_, next)| *next != '\n').is_some() {}
}

/// Skips to the end of a quoted text. Returns false if there is none.
fn skip_quoted(chars: &mut Peekable<CharIndices<'_>>) -> bool {
    while let Some((_, next)) = chars.next() {
        match next {
            '"' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

/// Skips to the end of a list. Returns false if there is none.
fn skip_list(chars: &mut Peekable<CharIndices<'_>>) -> bool {
    while let Some((_, next)) = chars.next() {
        match next {
            ')' => return true,
            ';' => skip_comment(chars),
            _ => {}
        }
    }
    false
}
