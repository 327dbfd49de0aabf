//! The share of calls that is ours, and how quickly it may be used.
