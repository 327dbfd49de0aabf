//! Values of tokens: bytes, names and durations in the presentation format (RFC 1035, section 5.1; RFC 4343, section 2.1).

use domain::base::Name;
use domain::base::scan::Symbol;

use crate::zone::lexer::FileToken;
use crate::zone::syntax::SyntaxError;

/// A name in wire format, always absolute.
pub(super) type ScannedName = Name<Vec<u8>>;

/// The characters and escapes of a token.
pub(super) fn symbols(token: &FileToken<'_>) -> Result<Vec<Symbol>, SyntaxError> {
    let mut symbols = Vec::with_capacity(token.raw.len());
    let mut bytes = token.raw.iter().copied();
    while let Some(byte) = bytes.next() {
        let symbol = match byte {
            b'\\' => escape(&mut bytes).ok_or_else(|| SyntaxError::InvalidEscape(token.shown()))?,
            b' '..=b'~' => Symbol::Char(byte.into()),
            // Bytes that are no ASCII characters are read as they are, as BIND does.
            _ => Symbol::DecimalEscape(byte),
        };
        symbols.push(symbol);
    }
    Ok(symbols)
}

/// The rest of an escape behind its backslash: three digits, or any other character.
fn escape(bytes: &mut impl Iterator<Item = u8>) -> Option<Symbol> {
    let digit = |byte: u8| char::from(byte).to_digit(10);
    let first = bytes.next()?;
    let Some(hundreds) = digit(first) else { return Some(Symbol::SimpleEscape(first)) };
    let tens = digit(bytes.next()?)?;
    let ones = digit(bytes.next()?)?;
    u8::try_from(hundreds * 100 + tens * 10 + ones).ok().map(Symbol::DecimalEscape)
}

/// The bytes of a token.
pub(super) fn octets(token: &FileToken<'_>) -> Result<Vec<u8>, SyntaxError> {
    Ok(symbols(token)?.into_iter().map(octet).collect())
}

/// The byte of a symbol. [`symbols`] makes no character above ASCII.
pub(super) fn octet(symbol: Symbol) -> u8 {
    match symbol {
        Symbol::Char(char) => u8::try_from(char).unwrap_or(b'?'),
        Symbol::SimpleEscape(byte) | Symbol::DecimalEscape(byte) => byte,
    }
}

/// The name of a token. `@` is the origin, and a name without a dot at its end is relative to it.
pub(super) fn name(token: &FileToken<'_>, origin: &ScannedName) -> Result<ScannedName, SyntaxError> {
    let invalid = || SyntaxError::InvalidName(token.shown());
    match token.raw {
        b"@" => return Ok(origin.clone()),
        b"." => return Ok(Name::root_vec()),
        _ => {}
    }
    let mut wire = Vec::with_capacity(token.raw.len() + origin.len() + 1);
    let mut label = Vec::new();
    let symbols = symbols(token)?;
    for &symbol in &symbols {
        if symbol == Symbol::Char('.') {
            add_label(&mut wire, &label).ok_or_else(invalid)?;
            label.clear();
        } else {
            label.push(octet(symbol));
        }
    }
    if symbols.last() == Some(&Symbol::Char('.')) {
        wire.push(0);
    } else {
        add_label(&mut wire, &label).ok_or_else(invalid)?;
        wire.extend_from_slice(origin.as_slice());
    }
    Name::from_octets(wire).map_err(|_| invalid())
}

fn add_label(wire: &mut Vec<u8>, label: &[u8]) -> Option<()> {
    let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
    wire.push(length);
    wire.extend_from_slice(label);
    Some(())
}

/// A duration in seconds, as BIND writes it: a number, or numbers with units such as `1h30m`. `None`: the text is none.
pub(super) fn duration(text: &[u8]) -> Option<u32> {
    let mut total: u64 = 0;
    let mut number: Option<u64> = None;
    for byte in text {
        let unit = match byte.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                let grown = number.unwrap_or_default() * 10 + u64::from(digit - b'0');
                number = Some(grown).filter(|&grown| grown <= u32::MAX.into());
                number?;
                continue;
            }
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()? * unit)?;
    }
    match number {
        // A number without a unit stands alone.
        Some(seconds) if total == 0 => u32::try_from(seconds).ok(),
        Some(_) => None,
        None if text.is_empty() => None,
        None => u32::try_from(total).ok(),
    }
}
