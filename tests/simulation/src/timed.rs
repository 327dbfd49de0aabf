//! How long a word with an end lasts.
//!
//! By the clock of a host that restarts nothing can be told for sure, so this judges a host that has been in touch since its
//! start with one that knows better; and the host on which the word was said, as long as it runs. That a word has ended
//! counts everywhere, so it may be said nowhere too early, unless a host has started that nobody could tell.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{HybridTimestamp, OverrideEntry, OverrideState};

use crate::world::World;

/// A host has heard for that long after its start what the others know.
const HEARD: u64 = 6_000;
/// Milliseconds that a word may seem to last longer: what is on its way takes up to two seconds, over two ways.
const LATER: u64 = 5_000;
/// The moments of a word are whole milliseconds by several clocks.
const SOONER: u64 = 10;

/// When each word ends, and what each run of a host can know.
pub(crate) struct Timed {
    /// The true end, and which run of its host said it.
    ends: BTreeMap<HybridTimestamp, (u64, u64)>,
    /// The words that a host remembered when it started, and that nobody with whom it was in touch knew.
    untold: BTreeSet<HybridTimestamp>,
    runs: Vec<Run>,
}

#[derive(Default)]
struct Run {
    number: u64,
    began: u64,
    /// Who ran for longer, and has been in touch ever since.
    in_touch: BTreeSet<usize>,
}

impl Timed {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            ends: BTreeMap::new(),
            untold: BTreeSet::new(),
            runs: world.hosts.iter().map(|_| Run::default()).collect(),
        }
    }

    pub(crate) fn look(&mut self, world: &World) -> Result<(), String> {
        for host in 0..world.hosts.len() {
            self.keep_up(world, host);
        }
        for host in 0..world.hosts.len() {
            self.judge_own(world, host)?;
            self.judge_over(world, host)?;
            self.judge_restarted(world, host)?;
        }
        Ok(())
    }

    fn keep_up(&mut self, world: &World, host: usize) {
        let Some(running) = &world.hosts[host].running else {
            self.runs[host] = Run::default();
            return;
        };
        for (timestamp, end) in
            entries(world, host).filter_map(|word| Some((&word.timestamp, ends(world, host, word)?)))
        {
            if timestamp.host.as_ref() == Some(world.hosts[host].name()) && !self.ends.contains_key(timestamp) {
                self.ends.insert(timestamp.clone(), (end, running.number));
            }
        }
        if self.runs[host].number != running.number {
            let longer = |other: &usize| *other != host && world.now - self.runs[*other].began > HEARD;
            let in_touch = (0..world.hosts.len()).filter(|other| self.runs[*other].number > 0).filter(longer).collect();
            self.runs[host] = Run { number: running.number, began: world.now, in_touch };
        }
        if world.now - self.runs[host].began <= HEARD {
            let network = &world.network;
            let is_cut = |other: usize| network.cut.contains(&(host, other)) || network.cut.contains(&(other, host));
            let is_bad = network.loss > 0 || network.delay.1 > 500;
            self.runs[host]
                .in_touch
                .retain(|other| !is_bad && !is_cut(*other) && world.hosts[*other].running.is_some());
            let told: BTreeSet<&HybridTimestamp> = self.runs[host]
                .in_touch
                .iter()
                .flat_map(|other| entries(world, *other))
                .map(|word| &word.timestamp)
                .collect();
            let own = entries(world, host).map(|word| &word.timestamp).filter(|_| self.runs[host].number > 0);
            self.untold.extend(own.filter(|timestamp| !told.contains(timestamp)).cloned());
        }
    }

    /// No word has ended before its time.
    fn judge_over(&self, world: &World, host: usize) -> Result<(), String> {
        let (name, now) = (world.hosts[host].name(), world.now);
        let over = entries(world, host)
            .filter(|said| said.state == OverrideState::Cleared && !self.untold.contains(&said.timestamp));
        let ends = over.filter_map(|said| Some((said, self.ends.get(&said.timestamp)?.0.saturating_sub(now))));
        match ends.into_iter().find(|(_, early)| *early > SOONER) {
            Some((said, early)) => Err(format!("{said:?} is over on {name}, {early} ms before its end")),
            None => Ok(()),
        }
    }

    /// A word ends in time on the host on which it was said.
    fn judge_own(&self, world: &World, host: usize) -> Result<(), String> {
        let (name, number) = (world.hosts[host].name(), self.runs[host].number);
        for word in
            entries(world, host).filter(|word| word.timestamp.host.as_ref() == Some(name) && word.active().is_some())
        {
            let late = self.ends.get(&word.timestamp).filter(|(end, of)| *of == number && world.now > end + LATER);
            if let Some((end, _)) = late {
                return Err(format!("{word:?} is in force on {name}, {} ms after its end", world.now - end));
            }
        }
        Ok(())
    }

    /// Who was in touch with one that knew better knows when a word ends.
    fn judge_restarted(&self, world: &World, host: usize) -> Result<(), String> {
        let run = &self.runs[host];
        if run.number == 0 || !(HEARD..HEARD + 500).contains(&(world.now - run.began)) {
            return Ok(());
        }
        let ends_well = |end: u64, truly: u64| (truly.saturating_sub(SOONER)..=truly + LATER).contains(&end);
        for (other, word) in run.in_touch.iter().flat_map(|other| entries(world, *other).map(|word| (*other, word))) {
            let Some((truly, _)) = self.ends.get(&word.timestamp) else { continue };
            if !ends(world, other, word).is_some_and(|end| ends_well(end, *truly)) {
                continue;
            }
            let Some(own) = entries(world, host).find(|own| own.timestamp == word.timestamp) else { continue };
            let is_well = match &own.state {
                OverrideState::Active(_) => ends(world, host, own).is_some_and(|end| ends_well(end, *truly)),
                OverrideState::Cleared => world.now + SOONER >= *truly,
                OverrideState::Reverted(_) => true,
            };
            if !is_well {
                let name = world.hosts[host].name();
                return Err(format!("{name} has been in touch since its start, and has {own:?} for {word:?}"));
            }
        }
        Ok(())
    }
}

fn entries(world: &World, host: usize) -> impl Iterator<Item = &OverrideEntry> {
    world.hosts[host].running.iter().flat_map(|running| running.engine.override_entries().map(|(.., word)| word))
}

/// When a word ends on a host, by the clock of the world.
fn ends(world: &World, host: usize, told: &OverrideEntry) -> Option<u64> {
    let until = told.active()?.until?;
    Some(until.as_millis().saturating_add_signed(-world.hosts[host].ahead))
}
