//! The files of kubeadm as a whole: sound ones, each slip, the writer, and kubeconfigs.

#![allow(clippy::unwrap_used, reason = "a panic in a helper of tests is a failing test")]

mod against;
mod kubeconfig;
mod slips;
mod sound;
mod support;
mod written;
