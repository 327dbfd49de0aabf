//! The YAML text of a configuration as a tree. Owns the bound on its size, and the words for a text that is none.

use daymark_yaml::{Error, FilePosition, YamlNode, error_position, error_words};

/// A configuration has a few hundred lines; whatever is beyond this is the wrong file.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The text is no YAML, so there is no tree.
pub(super) struct NotYaml {
    pub(super) position: Option<FilePosition>,
    pub(super) message: String,
}

/// Reads one YAML document.
pub(super) fn parse(text: &str) -> Result<YamlNode, NotYaml> {
    if text.len() > MAX_BYTES {
        return Err(NotYaml { position: None, message: too_large() });
    }
    daymark_yaml::parse(text).map_err(|error| NotYaml { position: error_position(&error), message: reason(&error) })
}

/// The error of a file beyond [`MAX_BYTES`].
pub(super) fn too_large() -> String {
    format!("is too large; at most {} KiB are allowed", MAX_BYTES >> 10)
}

fn reason(error: &Error) -> String {
    const BOUNDS: &str =
        "is nested too deeply, has too many values, or repeats them by too many aliases; a simpler document is needed";
    match error.without_snippet() {
        Error::MultipleDocuments { .. } => "holds more than one YAML document; one is allowed".to_owned(),
        Error::Budget { .. } => BOUNDS.to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "has an alias that refers to itself; an alias of an earlier, complete value is allowed".to_owned()
        }
        // This error comes wrapped, with the locations of both ends of the alias.
        error if error.to_string().starts_with("alias replay") => BOUNDS.to_owned(),
        error => format!("is not valid YAML: {}", error_words(error)),
    }
}
