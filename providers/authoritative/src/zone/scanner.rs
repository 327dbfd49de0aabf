//! Gives the tokens of the data of a record to the readers of `domain`.

use std::str::FromStr;

use domain::base::charstr::CharStr;
use domain::base::scan::{ConvertSymbols, EntrySymbol, Scanner, ScannerError, Symbol};
use domain::dep::octseq::str::Str;

use crate::zone::lexer::FileToken;
use crate::zone::presentation::{ScannedName, name, octets, symbols};
use crate::zone::syntax::SyntaxError;

/// The values of a number of 16 bits, for errors.
pub(super) const U16_EXPECTED: &str = "a number from 0 to 65535";

/// The tokens of the data of a record, as `domain` reads them.
pub(super) struct DataScanner<'a> {
    tokens: &'a [FileToken<'a>],
    next: usize,
    origin: &'a ScannedName,
}

impl<'a> DataScanner<'a> {
    pub(super) fn new(tokens: &'a [FileToken<'a>], origin: &'a ScannedName) -> Self {
        Self { tokens, next: 0, origin }
    }

    pub(super) fn tokens(&self) -> &'a [FileToken<'a>] {
        self.tokens
    }

    /// The token that was read last.
    pub(super) fn last(&self) -> Option<&'a FileToken<'a>> {
        self.tokens.get(self.next.checked_sub(1)?)
    }

    /// The next token, which stays the next one.
    pub(super) fn peek(&self) -> Option<&'a FileToken<'a>> {
        self.tokens.get(self.next)
    }

    /// The next token.
    pub(super) fn token(&mut self) -> Result<&'a FileToken<'a>, ScanError> {
        let token = self.tokens.get(self.next).ok_or(SyntaxError::EndsEarly)?;
        self.next += 1;
        Ok(token)
    }

    /// The next token, if there is one.
    pub(super) fn optional_token(&mut self) -> Option<&'a FileToken<'a>> {
        self.token().ok()
    }

    /// The next token if it belongs to the one before it.
    pub(super) fn joined(&mut self) -> Option<&'a FileToken<'a>> {
        let token = self.tokens.get(self.next).filter(|token| token.is_joined && token.is_quoted)?;
        self.next += 1;
        Some(token)
    }
}

/// An error of the data.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    /// The cause in the words of `domain`.
    #[error("{0}")]
    Cause(&'static str),
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
}

impl ScannerError for ScanError {
    fn custom(message: &'static str) -> Self {
        Self::Cause(message)
    }

    fn end_of_entry() -> Self {
        SyntaxError::EndsEarly.into()
    }

    fn short_buf() -> Self {
        SyntaxError::LongData.into()
    }

    fn trailing_tokens() -> Self {
        Self::Cause("unexpected words at the end")
    }
}

impl Scanner for DataScanner<'_> {
    type Octets = Vec<u8>;
    type OctetsBuilder = Vec<u8>;
    type Name = ScannedName;
    type Error = ScanError;

    fn has_space(&self) -> bool {
        self.tokens.get(self.next).is_some_and(|token| !token.is_joined)
    }

    fn continues(&mut self) -> bool {
        self.next < self.tokens.len()
    }

    fn scan_symbols<F>(&mut self, op: F) -> Result<(), ScanError>
    where
        F: FnMut(Symbol) -> Result<(), ScanError>,
    {
        symbols(self.token()?)?.into_iter().try_for_each(op)
    }

    fn scan_entry_symbols<F>(&mut self, mut op: F) -> Result<(), ScanError>
    where
        F: FnMut(EntrySymbol) -> Result<(), ScanError>,
    {
        while self.continues() {
            self.scan_symbols(|symbol| op(symbol.into()))?;
            op(EntrySymbol::EndOfToken)?;
        }
        Ok(())
    }

    fn convert_token<C: ConvertSymbols<Symbol, ScanError>>(&mut self, mut convert: C) -> Result<Vec<u8>, ScanError> {
        let mut bytes = Vec::new();
        self.scan_symbols(|symbol| {
            bytes.extend_from_slice(convert.process_symbol(symbol)?.unwrap_or_default());
            Ok(())
        })?;
        bytes.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(bytes)
    }

    fn convert_entry<C: ConvertSymbols<EntrySymbol, ScanError>>(
        &mut self,
        mut convert: C,
    ) -> Result<Vec<u8>, ScanError> {
        let mut bytes = Vec::new();
        while self.continues() {
            self.scan_symbols(|symbol| {
                bytes.extend_from_slice(convert.process_symbol(symbol.into())?.unwrap_or_default());
                Ok(())
            })?;
        }
        bytes.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(bytes)
    }

    fn scan_octets(&mut self) -> Result<Vec<u8>, ScanError> {
        Ok(octets(self.token()?)?)
    }

    fn scan_ascii_str<F, T>(&mut self, op: F) -> Result<T, ScanError>
    where
        F: FnOnce(&str) -> Result<T, ScanError>,
    {
        let bytes = self.scan_octets()?;
        op(str::from_utf8(&bytes).ok().filter(|text| text.is_ascii()).ok_or(ScanError::Cause("expected ASCII"))?)
    }

    fn scan_name(&mut self) -> Result<ScannedName, ScanError> {
        Ok(name(self.token()?, self.origin)?)
    }

    fn scan_charstr(&mut self) -> Result<CharStr<Vec<u8>>, ScanError> {
        let text = self.scan_octets()?;
        let length = text.len();
        CharStr::from_octets(text).map_err(|_| SyntaxError::LongText(length).into())
    }

    fn scan_string(&mut self) -> Result<Str<Vec<u8>>, ScanError> {
        Str::from_utf8(self.scan_octets()?).map_err(|_| ScanError::Cause("expected UTF-8"))
    }

    fn scan_charstr_entry(&mut self) -> Result<Vec<u8>, ScanError> {
        let mut wire = Vec::new();
        while self.continues() {
            scan_text(self, &mut wire)?;
        }
        Ok(wire)
    }

    fn scan_opt_unknown_marker(&mut self) -> Result<bool, ScanError> {
        let is_marker = self.tokens.get(self.next).is_some_and(|token| token.raw == b"\\#" && !token.is_quoted);
        self.next += usize::from(is_marker);
        Ok(is_marker)
    }

    fn octets_builder(&mut self) -> Result<Vec<u8>, ScanError> {
        Ok(Vec::new())
    }
}

/// Appends a text with its length.
pub(super) fn scan_text(scanner: &mut DataScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    let text = scanner.scan_octets()?;
    wire.push(u8::try_from(text.len()).map_err(|_| SyntaxError::LongText(text.len()))?);
    wire.extend(text);
    Ok(())
}

/// The next token as a value. A number has digits only.
pub(super) fn value<T: FromStr>(scanner: &mut DataScanner<'_>, expected: &'static str) -> Result<T, ScanError> {
    let token = scanner.token()?;
    let text = str::from_utf8(token.raw).ok().filter(|text| !text.starts_with('+'));
    let value = text.and_then(|text| text.parse().ok());
    value.ok_or_else(|| SyntaxError::InvalidValue { found: token.shown(), expected }.into())
}
