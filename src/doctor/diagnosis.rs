//! The words of a report: levels, sections, symptoms and diagnoses.

use std::fmt;

use daymark_decision::Moment;
use serde::Serialize;

/// The seriousness of a diagnosis. The greatest one of a report is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Nothing is to be done.
    Ok,
    /// Clients are served, but something should change.
    Warn,
    /// Clients are not served as configured, or will not be after one more failure.
    Fail,
}

/// A part of a setup that is looked at by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DoctorSection {
    /// The NS and address records of the parent zone.
    Delegation,
    /// The configured name servers, as this machine reaches them.
    NameServers,
    /// The name through resolvers.
    Resolvers,
    /// The nodes, as a client reaches them.
    Nodes,
    /// The hosts, by their admin APIs.
    Hosts,
    /// The sockets and the files of this machine.
    Local,
    /// The checks of the Cloudflare providers.
    Cloudflare,
    /// The longest time that a failure lasts for clients.
    Failover,
    /// The warnings on the configuration itself.
    Configuration,
}

/// The kind of a fault, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Symptom {
    /// The servers of the parent zone cannot be found or do not answer.
    ParentUnreachable,
    /// The parent zone does not delegate the zone.
    NoDelegation,
    /// The parent delegates to other name servers than the configuration has.
    DelegationDiffers,
    /// The parent has no address for a name server that needs one.
    NoGlue,
    /// The parent has another address for a name server than the configuration.
    GlueDiffers,
    /// The name of a server does not resolve.
    Unresolved,
    /// This machine has no route to an address.
    NoRoute,
    /// A server does not answer by one protocol or by both.
    Unreachable,
    /// A server has no authority for a zone that is delegated to it.
    Lame,
    /// A server answers with an error, or without an address.
    NoAnswer,
    /// Servers give different answers.
    AnswersDiffer,
    /// An answer has an address that is no target of the configuration.
    ForeignAddress,
    /// A serial is ahead of the clock, or serials are far apart.
    SerialApart,
    /// A response does not fit into a datagram.
    TooLarge,
    /// A server offers recursion.
    Recursion,
    /// A resolver leaves private addresses out (rebind protection).
    Filtered,
    /// A and AAAA of a resolver do not agree.
    FamiliesDisagree,
    /// A resolver keeps answers for longer than their TTL allows.
    TtlRaised,
    /// A node is down.
    NodeDown,
    /// A node is live, but not ready.
    NodeNotReady,
    /// The certificate of a node lacks the name.
    WrongName,
    /// A certificate or a credential has ended.
    Expired,
    /// A certificate or a credential ends soon.
    Expiring,
    /// A node answers 401 or 403 to the probe.
    Unauthorized,
    /// Something on this machine keeps a node from being probed.
    LocalError,
    /// No Daymark answers at the address of an admin API.
    NoDaymark,
    /// A host is unreachable for another.
    HostUnreachable,
    /// Hosts run different versions.
    VersionsDiffer,
    /// A host has another configuration.
    ConfigurationDiffers,
    /// The clock of a host is apart.
    ClockApart,
    /// A running host has an alarm.
    Alarm,
    /// Another process has a listen address.
    AddressTaken,
    /// A file or directory has the wrong permissions, or is missing.
    FileAccess,
    /// The provider's own check has found something.
    Finding,
    /// Something could not be looked at completely.
    Incomplete,
    /// Clients notice a failure before their resolvers have the right answer.
    SlowFailover,
    /// The configuration has a warning.
    ConfigurationWarning,
}

/// One finding about one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The part of the setup.
    pub section: DoctorSection,
    /// The server, node, host, file or name that it is about.
    pub subject: String,
    /// Its seriousness.
    pub level: Level,
    /// The kind of fault; `None` for [`Level::Ok`].
    pub symptom: Option<Symptom>,
    /// A sentence. For a warning or a failure it ends with what to do.
    pub message: String,
}

/// All diagnoses of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    /// The version of this form of the report. A key that is added does not raise it.
    pub format: u32,
    /// The version of Daymark.
    pub version: String,
    /// The beginning of the run.
    pub at: Moment,
    /// The time that it took, in milliseconds.
    pub duration_ms: u64,
    /// The greatest level.
    pub level: Level,
    /// The diagnoses, by section.
    pub diagnoses: Vec<Diagnosis>,
}

impl Diagnosis {
    /// A diagnosis without a fault.
    pub fn ok(section: DoctorSection, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { section, subject: subject.into(), level: Level::Ok, symptom: None, message: message.into() }
    }

    /// A diagnosis of something that should change. The message ends with what to do.
    pub fn warn(
        section: DoctorSection,
        subject: impl Into<String>,
        symptom: Symptom,
        message: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warn, symptom: Some(symptom), ..Self::ok(section, subject, message) }
    }

    /// A diagnosis of a fault. The message ends with what to do.
    pub fn fail(
        section: DoctorSection,
        subject: impl Into<String>,
        symptom: Symptom,
        message: impl Into<String>,
    ) -> Self {
        Self { level: Level::Fail, symptom: Some(symptom), ..Self::ok(section, subject, message) }
    }
}

impl DoctorReport {
    /// The exit code: 0 if all is well, 1 with a warning, 2 with a failure.
    pub fn exit_code(&self) -> u8 {
        match self.level {
            Level::Ok => 0,
            Level::Warn => 1,
            Level::Fail => 2,
        }
    }

    /// The number of diagnoses of a level.
    fn count(&self, level: Level) -> usize {
        self.diagnoses.iter().filter(|diagnosis| diagnosis.level == level).count()
    }
}

impl fmt::Display for DoctorSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Delegation => "delegation",
            Self::NameServers => "name servers",
            Self::Resolvers => "resolvers",
            Self::Nodes => "nodes",
            Self::Hosts => "hosts",
            Self::Local => "this machine",
            Self::Cloudflare => "cloudflare",
            Self::Failover => "failover",
            Self::Configuration => "configuration",
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for Diagnosis { section, subject, level, message, .. } in &self.diagnoses {
            if last != Some(section) {
                writeln!(f, "{section}")?;
                last = Some(section);
            }
            writeln!(f, "  {level:4}  {subject}: {message}")?;
        }
        let [ok, warn, fail] = [Level::Ok, Level::Warn, Level::Fail].map(|level| self.count(level));
        writeln!(f, "\n{ok} ok, {warn} warn, {fail} fail")
    }
}
