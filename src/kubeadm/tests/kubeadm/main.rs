//! The files of kubeadm as a whole: sound ones, each slip, the writer, and kubeconfigs.

mod judged;
mod kubeconfig;
mod slips;
mod sound;
mod support;
mod written;
