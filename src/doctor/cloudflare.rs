//! The checks of the remote providers themselves. It writes nothing there.

use std::time::Duration;

use daymark_config::Config;
use daymark_provider::CheckReport;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::diagnosis::{Diagnosis, DoctorSection, Symptom};
use crate::app::{self, RememberingProvider};
use crate::state::StateFile;

/// The time that the checks of one provider may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(20);

/// The checks of all remote providers.
#[derive(Clone, Debug)]
pub(super) enum ProvidersSeen {
    /// They cannot be set up; the errors as sentences.
    Unusable(Vec<String>),
    /// The report of each.
    Checked(Vec<ProviderSeen>),
}

/// The checks of one provider.
#[derive(Clone, Debug)]
pub(super) struct ProviderSeen {
    /// Its name.
    pub(super) name: String,
    /// Its report; `None` if it did not end in time.
    pub(super) report: Option<CheckReport>,
}

/// Asks each remote provider to check its setup.
pub(super) async fn look(config: &Config) -> ProvidersSeen {
    let providers = match app::remote_providers(config, StateFile::peek) {
        Ok(providers) => providers,
        Err(findings) => return ProvidersSeen::Unusable(findings.iter().map(ToString::to_string).collect()),
    };
    let checked = providers.into_iter().map(|RememberingProvider { provider, .. }| async move {
        ProviderSeen { name: provider.name().to_owned(), report: timeout(CHECK_TIMEOUT, provider.check()).await.ok() }
    });
    ProvidersSeen::Checked(join_all(checked).await)
}

/// Judges the reports.
pub(super) fn judge(seen: &ProvidersSeen) -> Vec<Diagnosis> {
    match seen {
        ProvidersSeen::Unusable(errors) => errors
            .iter()
            .map(|error| Diagnosis::fail(DoctorSection::Cloudflare, "provider", Symptom::Finding, error.clone()))
            .collect(),
        ProvidersSeen::Checked(seen) => seen.iter().flat_map(judge_provider).collect(),
    }
}

fn judge_provider(ProviderSeen { name, report }: &ProviderSeen) -> Vec<Diagnosis> {
    let incomplete = || {
        let message =
            "not everything could be asked in time; look at the log of Daymark, and run `daymark doctor` again";
        Diagnosis::warn(DoctorSection::Cloudflare, name, Symptom::Incomplete, message)
    };
    let Some(report) = report else { return vec![incomplete()] };
    let findings = report.findings.iter();
    let mut found: Vec<Diagnosis> = findings
        .map(|finding| Diagnosis::fail(DoctorSection::Cloudflare, name, Symptom::Finding, finding.clone()))
        .collect();
    if report.is_incomplete {
        found.push(incomplete());
    }
    if found.is_empty() {
        found.push(Diagnosis::ok(DoctorSection::Cloudflare, name, "its own checks find nothing"));
    }
    found.extend(report.notes.iter().map(|note| Diagnosis::ok(DoctorSection::Cloudflare, name, note.clone())));
    found
}
