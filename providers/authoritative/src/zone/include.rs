//! The files that a master file includes (RFC 1035, section 5.1), and the bounds of all of them together.
//!
//! Included files are texts that the caller has read. So the caller knows which files to watch.

use std::path::{Path, PathBuf};

use daymark_decision::quoted;

use crate::settings::MasterFile;
use crate::zone::lexer::{FileToken, Lexer};

/// The most bytes of a master file together with all that it includes and generates, each as often as it is included.
pub const MAX_ZONE_BYTES: usize = 4 << 20;
/// The most `$INCLUDE` lines of a zone, those of included files counted as often as these are included.
pub const MAX_INCLUDES: usize = 256;

/// An error of an `$INCLUDE` line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncludeError {
    /// It has no file name, or more than a file name and an origin.
    #[error("$INCLUDE needs the name of one file, and an origin if wanted, and no more")]
    Malformed,
    /// The text of the file is not at hand.
    #[error("the included file {} has not been read", quoted(&.0.display().to_string()))]
    NotRead(PathBuf),
    /// The file is on the way from the master file to this line.
    #[error("{} includes itself; each file may be included by other files only", quoted(&.0.display().to_string()))]
    Circle(PathBuf),
    /// There are too many of them.
    #[error("is more than {MAX_INCLUDES} $INCLUDE lines; at most that many are allowed")]
    TooMany,
    /// All texts together are too long.
    #[error("makes the zone larger than {} MiB; at most that is allowed", MAX_ZONE_BYTES >> 20)]
    TooLarge,
}

/// The files that a text includes. `path` is its own. A text with a syntax error has those before it.
pub fn included_files(path: &Path, text: &str) -> Vec<PathBuf> {
    let mut lexer = Lexer::new(text);
    let mut files = Vec::new();
    while let Ok(Some(entry)) = lexer.next_entry() {
        let is_include = !entry.starts_blank && entry.tokens[0].is("$INCLUDE");
        let name = entry.tokens.get(1).filter(|_| is_include).and_then(file_name);
        files.extend(name.map(|name| path.with_file_name(name)));
    }
    files
}

/// The file name of an `$INCLUDE` line.
pub(super) fn file_name<'a>(token: &FileToken<'a>) -> Option<&'a str> {
    str::from_utf8(token.raw).ok().filter(|name| !name.is_empty() && !name.contains('\\'))
}

/// The files that are included so far.
pub(super) struct Inclusions<'a> {
    file: &'a MasterFile,
    /// The files from the master file to the present one.
    open: Vec<&'a Path>,
    includes: usize,
    bytes: usize,
}

impl<'a> Inclusions<'a> {
    pub(super) fn new(file: &'a MasterFile) -> Self {
        Self { file, open: vec![&file.path], includes: 0, bytes: file.text.len() }
    }

    /// The file that is read at present.
    pub(super) fn current(&self) -> &'a Path {
        self.open.last().copied().unwrap_or(&self.file.path)
    }

    /// Opens the file of an `$INCLUDE` line. Returns its text.
    pub(super) fn open(&mut self, name: &str) -> Result<&'a str, IncludeError> {
        let path = self.current().with_file_name(name);
        self.includes += 1;
        if self.includes > MAX_INCLUDES {
            return Err(IncludeError::TooMany);
        }
        if self.open.contains(&path.as_path()) {
            return Err(IncludeError::Circle(path));
        }
        let Some((path, text)) = self.file.included.get_key_value(&path) else {
            return Err(IncludeError::NotRead(path));
        };
        self.add_bytes(text.len()).ok_or(IncludeError::TooLarge)?;
        self.open.push(path);
        Ok(text)
    }

    /// Closes the file that was opened last.
    pub(super) fn close(&mut self) {
        self.open.pop();
    }

    /// Counts bytes of the zone. `None`: they are too many.
    pub(super) fn add_bytes(&mut self, bytes: usize) -> Option<()> {
        self.bytes += bytes;
        (self.bytes <= MAX_ZONE_BYTES).then_some(())
    }
}
