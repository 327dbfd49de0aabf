//! The limit of file descriptors of this process.

use rustix::io;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// The number of descriptors that this process may open once the soft limit is raised to the hard one.
pub fn hard_limit() -> usize {
    count(getrlimit(Resource::Nofile).maximum)
}

/// Raises the soft limit to the hard one. Returns the limit that holds afterwards.
pub fn raise_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if count(current) >= count(maximum) {
        return count(current);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => count(maximum),
        Err(error) => {
            warn_of(error, count(current), count(maximum));
            count(current)
        }
    }
}

fn warn_of(error: io::Errno, current: usize, maximum: usize) {
    warn!(
        "the soft limit of file descriptors stays at {current} and is not raised to the hard one of {maximum}: {error}"
    );
}

/// The number of a limit, of which `None` is infinity.
fn count(limit: Option<u64>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}
