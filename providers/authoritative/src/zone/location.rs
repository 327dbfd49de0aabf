//! The data of LOC records (RFC 1876, section 3).

use crate::zone::lexer::FileToken;
use crate::zone::scanner::{DataScanner, ScanError};
use crate::zone::syntax::SyntaxError;

/// The size of the place, and the horizontal and vertical precision, if they are not written: 1 m, 10 km and 10 m.
const DEFAULT_PRECISIONS: [u8; 3] = [0x12, 0x16, 0x13];
/// The value of the equator, of the prime meridian.
const ZERO_ANGLE: i64 = 1 << 31;
/// The centimetres that the zero of an altitude lies below the reference spheroid.
const ALTITUDE_BASE: i64 = 10_000_000;

/// Appends the data of a LOC record.
pub(super) fn scan(scanner: &mut DataScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    let latitude = angle(scanner, [b'N', b'S'], 90)?;
    let longitude = angle(scanner, [b'E', b'W'], 180)?;
    let token = scanner.token()?;
    let altitude = hundredths(token.raw).and_then(|altitude| u32::try_from(altitude + ALTITUDE_BASE).ok());
    let altitude = altitude.ok_or_else(|| invalid(token, "an altitude; -100000.00m to 42849672.95m are allowed"))?;
    wire.push(0);
    for default in DEFAULT_PRECISIONS {
        wire.push(match scanner.optional_token() {
            Some(token) => precision(token.raw)
                .ok_or_else(|| invalid(token, "a size or precision; 0.00m to 90000000.00m are allowed"))?,
            None => default,
        });
    }
    for value in [latitude, longitude, altitude] {
        wire.extend(value.to_be_bytes());
    }
    Ok(())
}

fn invalid(token: &FileToken<'_>, expected: &'static str) -> ScanError {
    SyntaxError::InvalidValue { found: token.shown(), expected }.into()
}

/// Degrees, minutes and seconds if wanted, and a direction. The result is in thousandths of a second of arc.
fn angle(scanner: &mut DataScanner<'_>, directions: [u8; 2], max_degrees: i64) -> Result<u32, ScanError> {
    const EXPECTED: &str = "a part of an angle; degrees, minutes and seconds, then N or S, or E or W, are allowed";
    let mut total = 0;
    // The thousandths of a second in a degree, a minute and a second.
    for (unit, limit) in [(3_600_000, max_degrees + 1), (60_000, 60), (1000, 60)] {
        let token = scanner.token()?;
        if let Some(sign) = sign(token.raw, directions).filter(|_| unit != 3_600_000) {
            return finish(token, sign * total, max_degrees);
        }
        let decimals = if unit == 1000 { 3 } else { 0 };
        let value = decimal(token.raw, decimals).ok_or_else(|| invalid(token, EXPECTED))?;
        let scale = if unit == 1000 { 1000 } else { 1 };
        if value >= limit * scale {
            return Err(invalid(token, EXPECTED));
        }
        total += value * (unit / scale);
    }
    let token = scanner.token()?;
    let sign = sign(token.raw, directions).ok_or_else(|| invalid(token, EXPECTED))?;
    finish(token, sign * total, max_degrees)
}

fn finish(token: &FileToken<'_>, total: i64, max_degrees: i64) -> Result<u32, ScanError> {
    let is_allowed = total.abs() <= max_degrees * 3_600_000;
    let value = u32::try_from(ZERO_ANGLE + total).ok().filter(|_| is_allowed);
    value.ok_or_else(|| {
        invalid(token, "the end of an angle of that size; at most 90 degrees N or S and 180 E or W are allowed")
    })
}

fn sign(text: &[u8], [positive, negative]: [u8; 2]) -> Option<i64> {
    match text.to_ascii_uppercase()[..] {
        [direction] if direction == positive => Some(1),
        [direction] if direction == negative => Some(-1),
        _ => None,
    }
}

/// A number times ten to the power of its greatest number of decimals.
fn decimal(text: &[u8], decimals: usize) -> Option<i64> {
    let text = str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > decimals || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

/// Metres with an optional unit, in hundredths.
fn hundredths(text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"m").or_else(|| text.strip_suffix(b"M")).unwrap_or(text);
    match text.strip_prefix(b"-") {
        Some(text) => decimal(text, 2).map(|value| -value),
        None => decimal(text, 2),
    }
}

/// A length as one digit and a power of ten, in hundredths of a metre.
fn precision(text: &[u8]) -> Option<u8> {
    let mut value = hundredths(text).filter(|value| (0..=9_000_000_000).contains(value))?;
    let mut exponent = 0;
    while value >= 10 {
        value /= 10;
        exponent += 1;
    }
    u8::try_from(value << 4 | exponent).ok()
}
