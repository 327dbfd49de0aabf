//! Errors as text. It knows no kind of error.

use std::error::Error;

use crate::messages::message;

/// An error with all its causes, in one line.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.filter_map(message).collect::<Vec<_>>().join(": ")
}
