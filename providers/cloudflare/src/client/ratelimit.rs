//! Reads the headers that say how many calls are left. It knows no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{DATE, HeaderMap, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The window in which Cloudflare counts calls.
pub(super) const WINDOW: Duration = Duration::from_mins(5);
/// The calls that Cloudflare allows a user in one [`WINDOW`].
pub(super) const QUOTA: u32 = 1_200;
/// The longest pause that is taken from `retry-after`.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The content of the header `Ratelimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratelimit {
    /// The calls that are left in this window.
    pub(super) remaining: u32,
    /// The spacing of calls, if few are left.
    pub(super) low: Option<Low>,
}

/// Few calls are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Low {
    /// The time between calls with which the rest lasts until the end of the window.
    pub(super) spacing: Duration,
    /// The rest of the window.
    pub(super) rest: Duration,
}

/// Reads `Ratelimit: "default";r=50;t=30`, with its quota from `Ratelimit-Policy: "default";q=1200;w=300`
/// (draft-ietf-httpapi-ratelimit-headers). The scarcest of several counts. A header of another form is ignored.
pub(super) fn ratelimit(headers: &HeaderMap) -> Option<Ratelimit> {
    let policies = items(headers, "ratelimit-policy");
    let limits = items(headers, "ratelimit").into_iter().filter_map(|limit| {
        let remaining = limit.number("r")?;
        let seconds = limit.number("t")?;
        let quota = policies.iter().find(|policy| policy.name == limit.name).and_then(|policy| policy.number("q"));
        let rest = Duration::from_secs(seconds.into()).min(WINDOW);
        // A twentieth of the quota, without the rounding.
        let is_low = u64::from(remaining) * 20 <= u64::from(quota.unwrap_or(QUOTA));
        let low = is_low.then(|| Low { spacing: rest / remaining.saturating_add(1), rest });
        Some(Ratelimit { remaining, low })
    });
    limits.max_by_key(|limit| (limit.low.map(|low| low.spacing), std::cmp::Reverse(limit.remaining)))
}

/// The pause after HTTP 429: `retry-after` (RFC 9110, section 10.2.3), but at most an hour, or else the whole window. A date
/// is compared with the response's own.
pub(super) fn retry_after(headers: &HeaderMap) -> Duration {
    let text = |name| headers.get(name)?.to_str().ok();
    let date = |name| rfc2822::DateTimeParser::new().parse_timestamp(text(name)?).ok();
    let seconds = || text(RETRY_AFTER)?.trim().parse().ok().map(Duration::from_secs);
    let until = || Some(between(date(DATE)?, date(RETRY_AFTER)?));
    seconds().or_else(until).unwrap_or(WINDOW).min(MAX_RETRY_AFTER)
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// One item of a list of structured fields (RFC 9651), with the parameters that are read here.
struct Item<'a> {
    name: &'a str,
    parameters: BTreeMap<&'a str, &'a str>,
}

impl Item<'_> {
    fn number(&self, key: &str) -> Option<u32> {
        self.parameters.get(key)?.parse().ok()
    }
}

fn items<'a>(headers: &'a HeaderMap, name: &str) -> Vec<Item<'a>> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(item).collect()
}

fn item(text: &str) -> Item<'_> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().trim_matches('"');
    let parameters = parts.filter_map(|part| part.split_once('=')).map(|(key, value)| (key.trim(), value.trim()));
    Item { name, parameters: parameters.collect() }
}

#[cfg(test)]
mod tests;
