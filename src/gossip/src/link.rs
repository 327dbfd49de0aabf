//! What this host knows of its traffic with one other: what the other has, what was sent, and when to send next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use daymark_decision::{HostName, Moment};

use crate::message::{Echo, Head, Message};
use crate::window::Window;

/// What was sent and is not known to have come is sent again after so long.
const RESEND: Duration = Duration::from_millis(200);
/// Two messages to one host are so far apart at the least: what happens at the same time goes together.
const PACE: Duration = Duration::from_millis(5);
/// A host that has said nothing for so long, or whose facts have not come for so long, is no longer heard.
pub(crate) const SILENT: Duration = Duration::from_secs(5);
/// A host that has said nothing for so long gets signs of life alone. Before, it may still hear that it is not heard.
pub(crate) const LOST: Duration = Duration::from_secs(20);
/// An answer to what was sent longer ago is none of now.
const RECENT: Duration = Duration::from_secs(2);
/// The round trips of so many messages are still to be measured.
const MEASURED: usize = 64;

/// A run of a host, and how far it is known.
type Extent = (u64, u64);

/// The traffic with one other host.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The newest run of the other that is known of, over whatever way.
    known_run: u64,
    /// The run of the other that speaks, and what has come of it.
    run: u64,
    window: Window,
    /// The last message of the other: its run, its number, and when it came.
    last: Option<(u64, u64, Moment)>,
    /// When a message came last that was said in answer to this run of this host.
    pub(crate) heard: Option<Moment>,
    pub(crate) round_trip: Option<Duration>,
    /// When the last message was sent that is known to have come.
    answered: Option<Moment>,
    /// The clock of the other when its last message came, and that of this host.
    pub(crate) clocks: Option<(Moment, Moment)>,
    number: u64,
    sent: VecDeque<(u64, Moment)>,
    last_sent: Option<Moment>,
    due: Moment,
    /// How far the other knows each host, by its own heads.
    has: BTreeMap<HostName, Extent>,
    /// How far it was told, and when.
    told: BTreeMap<HostName, (Extent, Moment)>,
    /// The hosts of which it has shown that it lacks facts.
    lacks: BTreeSet<HostName>,
}

impl Link {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            known_run: 0,
            run: 0,
            window: Window::default(),
            last: None,
            heard: None,
            round_trip: None,
            answered: None,
            clocks: None,
            number: 0,
            sent: VecDeque::new(),
            last_sent: None,
            due: now,
            has: BTreeMap::new(),
            told: BTreeMap::new(),
            lacks: BTreeSet::new(),
        }
    }

    /// Takes note of a message; `false` where it has come already, or is of an earlier run.
    pub(crate) fn take(&mut self, message: &Message, now: Moment) -> bool {
        if message.incarnation < self.run {
            return false;
        }
        if message.incarnation > self.run {
            (self.run, self.window) = (message.incarnation, Window::default());
            self.begins(message.incarnation);
        }
        if !self.window.take(message.number) {
            return false;
        }
        self.last = Some((message.incarnation, message.number, now));
        self.clocks = Some((message.clock, now));
        // A message that is full of facts has not every head; what a run has had, it has, but no later one.
        let is_newest = message.incarnation >= self.known_run;
        for head in message.heads.iter().filter(|_| is_newest) {
            let has = self.has.entry(head.host.clone()).or_default();
            *has = (*has).max((head.incarnation, head.version));
        }
        true
    }

    /// Takes note that a run of the other is there, which has nothing yet of what an earlier one had.
    pub(crate) fn begins(&mut self, run: u64) {
        if run > self.known_run {
            self.known_run = run;
            self.has.clear();
            self.told.clear();
        }
    }

    /// Whether the other has answered in the last moments.
    pub(crate) fn is_there(&self, now: Moment) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < SILENT)
    }

    /// Whether the other has answered what was sent to it in the last moments.
    pub(crate) fn answers(&self, now: Moment) -> bool {
        self.answered.is_some_and(|sent| now.since(sent) < RECENT)
    }

    /// Measures the round trip, where the echo is of a message of this run.
    pub(crate) fn measure(&mut self, echo: Option<Echo>, run: u64, now: Moment) {
        let Some(echo) = echo.filter(|echo| echo.incarnation == run) else { return };
        if let Some(at) = self.sent.iter().position(|(number, _)| *number == echo.number) {
            let (_, sent) = self.sent[at];
            self.sent.drain(..=at);
            self.answered = Some(sent);
            self.round_trip = Some(now.since(sent).saturating_sub(Duration::from_millis(echo.held)));
        }
    }

    /// Takes note of which hosts the other knows less of than this one.
    pub(crate) fn compare(&mut self, known: impl Iterator<Item = Head>) {
        let lacks = known.filter(|head| {
            let has = self.has.get(&head.host).copied().unwrap_or_default();
            head.version > 0 && has < (head.incarnation, head.version)
        });
        self.lacks = lacks.map(|head| head.host).collect();
    }

    /// From which version on to send facts of a host, of which this one knows that much; `None` where there is nothing to.
    pub(crate) fn lacks_after(&self, of: &HostName, known: Extent, is_own: bool, now: Moment) -> Option<u64> {
        // What a host has that reaches this one only over a third is not known.
        if !is_own && self.is_there(now) && !self.lacks.contains(of) {
            return None;
        }
        let (run, version) = known;
        let of_run = |extent: &Extent| if extent.0 == run { extent.1 } else { 0 };
        let has = self.has.get(of).map(of_run).unwrap_or_default();
        let told = self.told.get(of).filter(|(_, at)| now.since(*at) < RESEND).map(|(extent, _)| of_run(extent));
        let after = has.max(told.unwrap_or_default());
        (after < version).then_some(after)
    }

    /// Takes note that facts were sent, up to a version.
    pub(crate) fn tells(&mut self, of: &HostName, upto: Extent, is_all: bool, now: Moment) {
        let has = self.has.get(of).copied().unwrap_or_default();
        // The first that is not known to have come counts: what is new must not put off what was lost.
        let first = self.told.get(of).filter(|(told, at)| told.0 == upto.0 && *told > has && now.since(*at) < RESEND);
        let at = first.map_or(now, |(_, at)| *at);
        self.told.insert(of.clone(), (upto, at));
        if is_all {
            self.lacks.remove(of);
        }
    }

    /// Whether the other is known to have less of a host than this.
    pub(crate) fn is_behind(&self, of: &HostName, known: Extent) -> bool {
        self.has.get(of).copied().unwrap_or_default() < known
    }

    /// The number and the echo of a message that is sent now.
    pub(crate) fn number(&mut self, now: Moment) -> (u64, Option<Echo>) {
        let number = self.number;
        self.number += 1;
        self.sent.push_back((number, now));
        if self.sent.len() > MEASURED {
            self.sent.pop_front();
        }
        self.last_sent = Some(now);
        let held = |at: Moment| u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
        (number, self.last.map(|(incarnation, number, at)| Echo { incarnation, number, held: held(at) }))
    }

    pub(crate) fn due(&self) -> Moment {
        self.due
    }

    /// Has a message sent as soon as the pace allows.
    pub(crate) fn hurry(&mut self, now: Moment) {
        let soonest = self.last_sent.map_or(now, |last| last.after(PACE)).max(now);
        self.due = self.due.min(soonest);
    }

    /// When to send next after a message that was sent now: more of the same, again, or with the next beat.
    pub(crate) fn rest(&mut self, has_more: bool, is_unsure: bool, beat: Moment, now: Moment) {
        self.due = if has_more {
            now.after(PACE)
        } else if is_unsure {
            now.after(RESEND).min(beat)
        } else {
            beat
        };
    }
}
