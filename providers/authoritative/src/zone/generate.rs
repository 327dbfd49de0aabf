//! The ranges and templates of `$GENERATE`, a directive of BIND.

/// The numbers of a `$GENERATE` line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: u32,
    stop: u32,
    step: u32,
}

impl Range {
    /// Parses `START-STOP` or `START-STOP/STEP`.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let (bounds, step) = text.split_once('/').unwrap_or((text, "1"));
        let (first, last) = bounds.split_once('-')?;
        let number = |text: &str| text.parse().ok().filter(|&number| number <= i32::MAX.unsigned_abs());
        let range = Self { start: number(first)?, stop: number(last)?, step: number(step)? };
        (range.start <= range.stop && range.step > 0).then_some(range)
    }

    /// The numbers, in ascending order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        let step = usize::try_from(self.step).unwrap_or(usize::MAX);
        (self.start..=self.stop).step_by(step)
    }
}

/// Puts a number in the place of each `$` of a template. `None`: the template is not valid.
pub(super) fn expand(template: &str, number: u32) -> Option<String> {
    let mut expanded = String::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some(at) = rest.find(['$', '\\']) {
        expanded.push_str(&rest[..at]);
        let is_escape = rest[at..].starts_with('\\');
        rest = &rest[at + 1..];
        if is_escape {
            let next = rest.chars().next()?;
            expanded.extend(['\\', next]);
            rest = &rest[next.len_utf8()..];
        } else if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (modifiers, after) = after.split_once('}')?;
            expanded.push_str(&modified(modifiers, number)?);
            rest = after;
        } else {
            expanded.push_str(&number.to_string());
        }
    }
    expanded.push_str(rest);
    Some(expanded)
}

/// A number as `OFFSET,WIDTH,BASE` writes it.
fn modified(modifiers: &str, number: u32) -> Option<String> {
    /// The widest that a number may be; no label is wider.
    const MAX_WIDTH: usize = 63;
    let mut parts = modifiers.splitn(3, ',').map(str::trim);
    let offset: i32 = parts.next()?.parse().ok()?;
    let width: usize = parts.next().map_or(Some(0), |width| width.parse().ok()).filter(|&width| width <= MAX_WIDTH)?;
    let number = number.checked_add_signed(offset).filter(|&number| number <= i32::MAX.unsigned_abs())?;
    Some(match parts.next() {
        None | Some("d") => format!("{number:0width$}"),
        Some("o") => format!("{number:0width$o}"),
        Some("x") => format!("{number:0width$x}"),
        Some("X") => format!("{number:0width$X}"),
        Some("n") => nibbles(number, width),
        Some("N") => nibbles(number, width).to_uppercase(),
        Some(_) => return None,
    })
}

/// The hexadecimal digits as labels, the last first, as in names below ip6.arpa. The dots count as part of the width.
fn nibbles(mut number: u32, width: usize) -> String {
    let mut text = String::new();
    loop {
        text.extend(char::from_digit(number & 15, 16));
        number >>= 4;
        if number == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
        if number == 0 && text.len() >= width {
            return text;
        }
    }
}
