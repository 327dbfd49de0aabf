//! The syntax errors of a master file.

use daymark_decision::quoted;

/// An error in one entry of a master file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The file begins with a byte order mark.
    #[error("the file begins with a byte order mark (BOM); save it as UTF-8 without one")]
    ByteOrderMark,
    /// A byte is zero.
    #[error("a byte is zero (NUL); write \\000 for it, in quotation marks or not")]
    NulByte,
    /// A parenthesis is not closed.
    #[error("a parenthesis opens here, and the file ends within it; close it in this file")]
    UnclosedParenthesis,
    /// A parenthesis is closed that is not open.
    #[error("a parenthesis closes here that was not opened; remove it, or write \\) for the character")]
    UnopenedParenthesis,
    /// A quoted text does not end.
    #[error(
        "a quoted text begins here and does not end on its line; close it on this line, or write \\\" for a quotation mark in it"
    )]
    UnclosedQuote,
    /// A quotation mark is where a word must be.
    #[error("{} is in quotation marks; a word without them is allowed here", quoted(.0))]
    Quoted(String),
    /// The entry is too short.
    #[error(
        "the line ends too early; a record has an owner, then TTL and class if wanted, then its type and all its data"
    )]
    EndsEarly,
    /// The entry is too long.
    #[error("{} is one word too many; the line must end before it", quoted(.0))]
    TooMany(String),
    /// A word begins with a dollar sign.
    #[error("{} is not a directive; $INCLUDE, $ORIGIN, $TTL and $GENERATE are allowed", quoted(.0))]
    UnknownDirective(String),
    /// A word is not a type.
    #[error("{} is not a record type; a known type or TYPE with a number is allowed, after the TTL and the class", quoted(.0))]
    UnknownType(String),
    /// The type is of a question.
    #[error("{0} is the type of a question and not of a record; only types of records are allowed")]
    MetaType(String),
    /// The type has a form that cannot be read.
    #[error("the data of {0} records can only be read as \\# with a length and hexadecimal digits (RFC 3597)")]
    OpaqueType(String),
    /// The record has no owner.
    #[error("the line begins with white space, but no record before it has an owner; begin it with a name")]
    NoOwner,
    /// The record has no TTL.
    #[error("the record has no TTL and none is before it; write a $TTL line before it")]
    NoTtl,
    /// A word is not a TTL.
    #[error("{} is not a TTL; 0 to 2147483647 seconds are allowed, or units such as 1h30m", quoted(.0))]
    InvalidTtl(String),
    /// A word is not a DNS name.
    #[error("{} is not a DNS name; at most 255 bytes in labels of 1 to 63 bytes are allowed", quoted(.0))]
    InvalidName(String),
    /// An escape is not valid.
    #[error("{} has an escape that is not valid; \\ and a character, or \\ and three digits up to 255 are allowed", quoted(.0))]
    InvalidEscape(String),
    /// A text is too long.
    #[error("a text has {0} bytes; at most 255 are allowed, so write it as several texts")]
    LongText(usize),
    /// The data is too long.
    #[error("the data of the record has more than 65535 bytes; at most that is allowed")]
    LongData,
    /// A value is not valid.
    #[error("{} is not {expected}", quoted(.found))]
    InvalidValue {
        /// The word.
        found: String,
        /// The values that are allowed.
        expected: &'static str,
    },
    /// The data does not have the form of its type.
    #[error("the data is not that of the type {rtype}: {cause}")]
    InvalidData {
        /// The type.
        rtype: String,
        /// The cause, in the words of the reader of this type.
        cause: &'static str,
    },
    /// The data in the general form is not that of the type.
    #[error("the bytes behind \\# are not the data of the type {0}; those of RFC 3597 in its form are allowed")]
    InvalidBytes(String),
    /// A range of `$GENERATE` is not valid.
    #[error("{} is not a range of $GENERATE; START-STOP or START-STOP/STEP is allowed, with START at most STOP", quoted(.0))]
    InvalidRange(String),
    /// A template of `$GENERATE` is not valid.
    #[error("{} is not a template of $GENERATE; $ or ${{OFFSET,WIDTH,BASE}} is allowed, with a base of d, o, x, X, n or N", quoted(.0))]
    InvalidTemplate(String),
}
