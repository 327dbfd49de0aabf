//! The language of the scenarios: lines of events with times, and expectations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{
    Answer, Command, Decision, Engine, HostName, HybridTimestamp, Memory, Mode, Moment, NodeName, Override,
    OverrideEntry, OverrideKind, OverrideState, PeerView, Pool, Target, Vote,
};

use super::build;

/// Runs a scenario to its end, or to the first line that fails. The error has its number and the reason.
pub fn run(text: &str) -> Result<(), String> {
    let mut scenario = Scenario::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split(" # ").next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((first, rest)) = words.split_first() else { continue };
        if first.starts_with('#') {
            continue;
        }
        scenario.line(first, rest).map_err(|fault| format!("{number}: {fault}"))?;
    }
    Ok(())
}

struct Scenario {
    pool: Pool,
    own: String,
    members: usize,
    engine: Option<Engine>,
    now: Moment,
    refusal: Option<String>,
    generation: u64,
    sequences: BTreeMap<String, u64>,
    last_view: Option<PeerView>,
}

type Outcome = Result<(), String>;

impl Scenario {
    fn new() -> Self {
        Self {
            pool: build::pool("lb.kube-cp.com"),
            own: "dns-1".to_owned(),
            members: 1,
            engine: None,
            now: build::START,
            refusal: None,
            generation: 0,
            sequences: BTreeMap::new(),
            last_view: None,
        }
    }

    fn line(&mut self, word: &str, rest: &[&str]) -> Outcome {
        match word {
            "pool" | "node" | "rise" | "fall" | "interval" | "steering" | "ttl" | "hosts" => self.set_up(word, rest),
            "at" => self.at(rest),
            "probe" => self.probe(rest),
            "drain" | "drain!" | "force" => self.set_override(word, rest),
            "undrain" => self.clear(rest),
            "refused" => self.refused(&rest.join(" ")),
            "peer" => self.peer(rest),
            "replay" => self.replay(),
            "receive" => self.receive(rest),
            "quorumState" => self.compare("quorumState", rest, |engine| engine.quorum_state().as_str().to_owned()),
            "writer" => {
                self.compare("writer", rest, |engine| engine.writer().map_or("none".to_owned(), ToString::to_string))
            }
            "isolated" => {
                self.compare("isolated", rest, |engine| if engine.is_isolated() { "yes" } else { "no" }.to_owned())
            }
            "reverted" => self.reverted(rest),
            "restart" => self.restart(rest),
            "reload" => {
                self.reload();
                Ok(())
            }
            "without" => self.without(rest),
            "expect" => self.expect(rest),
            "because" => self.because(rest),
            "generation" => self.generation(rest),
            "deadline" => self.deadline(rest),
            other => Err(format!("`{other}` is no keyword of a scenario")),
        }
    }

    fn set_up(&mut self, word: &str, rest: &[&str]) -> Outcome {
        let number =
            |at: usize| rest.get(at).and_then(|it| it.parse::<u32>().ok()).ok_or(format!("{word} needs a number"));
        let thresholds = self.pool.thresholds;
        match word {
            "pool" => self.pool = build::pool(rest.first().ok_or("pool needs a name")?),
            "node" => self.node(rest)?,
            "rise" => self.pool.thresholds = build::thresholds(number(0)?, thresholds.fall.get()),
            "fall" => self.pool.thresholds = build::thresholds(thresholds.rise.get(), number(0)?),
            "interval" => self.pool.timing.interval = length(rest.first())?,
            "ttl" => (self.pool.ttl.min, self.pool.ttl.max) = (number(0)?, number(1)?),
            "hosts" => self.members = number(0)? as usize,
            _ => {
                self.pool.steering.mode = match rest {
                    ["all"] => Mode::All,
                    ["failover"] => Mode::Failover,
                    ["weighted"] => Mode::Weighted,
                    _ => return Err("steering is all, failover or weighted".to_owned()),
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, rest: &[&str]) -> Outcome {
        let (name, rest) = rest.split_first().ok_or("node needs a name")?;
        let (addresses, options): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| !word.contains('='));
        let mut node = build::node(name, &addresses);
        for option in options {
            match option.split_once('=') {
                Some(("priority", n)) => node.priority = n.parse().map_err(|_| "priority needs a number")?,
                Some(("weight", n)) => node.weight = n.parse().map_err(|_| "weight needs a number")?,
                _ => return Err(format!("`{option}` is no option of a node")),
            }
        }
        self.pool.nodes.push(node);
        Ok(())
    }

    fn engine(&mut self) -> &mut Engine {
        let (own, members, pool, now) = (&self.own, self.members, &self.pool, self.now);
        self.engine.get_or_insert_with(|| {
            Engine::new(build::membership(own, members), vec![pool.clone()], Memory::default(), now)
        })
    }

    fn at(&mut self, rest: &[&str]) -> Outcome {
        self.now = build::START.after(length(rest.first())?);
        let now = self.now;
        self.engine().handle_timeout(now);
        Ok(())
    }

    /// `cp-1`, `cp-1/v6`, or `*` for all.
    fn targets(&self, word: &str) -> Result<Vec<Target>, String> {
        let found: Vec<Target> =
            self.pool.targets().map(|(target, _)| target).filter(|it| word == "*" || self.matches(it, word)).collect();
        if found.is_empty() { Err(format!("there is no target `{word}`")) } else { Ok(found) }
    }

    fn matches(&self, target: &Target, word: &str) -> bool {
        word == target.node.as_str() || word == self.short(target)
    }

    /// The node's name, with `/v4` or `/v6` where it has several addresses.
    fn short(&self, target: &Target) -> String {
        let addresses = self.pool.nodes.iter().find(|node| node.name == target.node).map_or(1, |it| it.addresses.len());
        match (addresses, target.address.is_ipv6()) {
            (1, _) => target.node.to_string(),
            (_, false) => format!("{}/v4", target.node),
            (_, true) => format!("{}/v6", target.node),
        }
    }

    fn probe(&mut self, rest: &[&str]) -> Outcome {
        let (who, kinds) = rest.split_first().ok_or("probe needs a target and what it found")?;
        let targets = self.targets(who)?;
        for word in kinds {
            let kind = build::kind(word).ok_or(format!("`{word}` is no kind of observation"))?;
            for target in &targets {
                let now = self.now;
                self.engine().handle_observation(target, &build::observation(kind.clone()), now);
            }
        }
        Ok(())
    }

    fn set_override(&mut self, word: &str, rest: &[&str]) -> Outcome {
        let (node, rest) = rest.split_first().ok_or("an override needs a node")?;
        let (until, rest) = match rest {
            ["for", how_long, rest @ ..] => (Some(self.now.after(length(Some(how_long))?)), rest),
            _ => (None, rest),
        };
        let kind = if word == "force" { OverrideKind::Force } else { OverrideKind::Drain };
        let requested =
            Override { kind, reason: rest.join(" "), author: "ada".to_owned(), since: self.now, until, host: None };
        let (pool, node) = (self.pool.name.clone(), NodeName::new(node));
        self.command(Command::SetOverride { pool, node, requested, insist: word.ends_with('!') });
        Ok(())
    }

    fn clear(&mut self, rest: &[&str]) -> Outcome {
        let node = NodeName::new(rest.first().ok_or("undrain needs a node")?);
        let pool = self.pool.name.clone();
        self.command(Command::ClearOverride { pool, node });
        Ok(())
    }

    fn command(&mut self, command: Command) {
        let now = self.now;
        self.refusal = self.engine().handle_command(command, now).err().map(|refusal| refusal.to_string());
    }

    fn refused(&mut self, why: &str) -> Outcome {
        match self.refusal.take() {
            Some(refusal) if refusal.contains(why) => Ok(()),
            Some(refusal) => Err(format!("refused, but with `{refusal}`")),
            None => Err("it was not refused".to_owned()),
        }
    }

    /// `peer dns-2 cp-1=ready cp-2=down! abstains reaches=dns-2,dns-3`, the `!` for a shutdown seen.
    fn peer(&mut self, rest: &[&str]) -> Outcome {
        let (host, rest) = rest.split_first().ok_or("peer needs a host")?;
        let mut votes = BTreeMap::new();
        let mut reachable = build::membership(&self.own, self.members).map(|of| of.members).unwrap_or_default();
        for word in rest.iter().filter(|word| !["abstains", "declines"].contains(*word)) {
            if let Some(names) = word.strip_prefix("reaches=") {
                reachable = names.split(',').map(HostName::new).collect();
                continue;
            }
            let (who, vote) = word.split_once('=').ok_or(format!("`{word}` is no vote"))?;
            let grade = match vote.trim_end_matches('!') {
                "ready" => daymark_decision::Grade::Ready,
                "live" => daymark_decision::Grade::Live,
                "down" => daymark_decision::Grade::Down,
                other => return Err(format!("`{other}` is no grade")),
            };
            let vote = Vote { grade, shutting_down: vote.ends_with('!'), in_last_known_good: false };
            votes.extend(self.targets(who)?.into_iter().map(|target| (target, vote)));
        }
        let sequence = self.sequences.entry((*host).to_owned()).or_default();
        *sequence += 1;
        let (abstains, eligible_writer) = (rest.contains(&"abstains"), !rest.contains(&"declines"));
        let (host, votes) = (HostName::new(host), Arc::new(votes));
        let view = PeerView { host, incarnation: 1, sequence: *sequence, votes, abstains, eligible_writer, reachable };
        self.last_view = Some(view.clone());
        let now = self.now;
        if self.engine().handle_peer_view(view, now, now) { Ok(()) } else { Err("the view was no news".to_owned()) }
    }

    fn replay(&mut self) -> Outcome {
        let view = self.last_view.clone().ok_or("there is no view to replay")?;
        let now = self.now;
        if self.engine().handle_peer_view(view, now, now) { Err("a replayed view was news".to_owned()) } else { Ok(()) }
    }

    /// `receive HOST drain NODE set 3s`: an override that was set on another host, which knew of no other drain.
    fn receive(&mut self, rest: &[&str]) -> Outcome {
        let (rest, known) = match rest.iter().position(|word| *word == "knowing") {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[..0]),
        };
        let [host, what, node, "set", set] = rest else {
            return Err("receive needs: HOST drain|force|undrain NODE set T [knowing NODE…]".to_owned());
        };
        let of_known = |node: &&str| {
            let mut words = self.engine.iter().flat_map(Engine::override_entries);
            words.find(|(_, of, _)| of.as_str() == *node).map(|(.., word)| word.timestamp.clone())
        };
        let causal_context: Vec<HybridTimestamp> = known.iter().filter_map(of_known).collect();
        let set = build::START.after(length(Some(set))?);
        let host = HostName::new(host);
        let order = |kind| Override {
            kind,
            reason: String::new(),
            author: "bob".to_owned(),
            since: set,
            until: None,
            host: Some(host.clone()),
        };
        let state = match what.trim_end_matches('!') {
            "drain" => OverrideState::Active(order(OverrideKind::Drain)),
            "force" => OverrideState::Active(order(OverrideKind::Force)),
            "undrain" => OverrideState::Cleared,
            other => return Err(format!("`{other}` is no command of an operator")),
        };
        let timestamp = HybridTimestamp { time: set.as_millis(), host: Some(host.clone()) };
        let word =
            OverrideEntry { timestamp, causal_context, insist: what.ends_with('!'), state, expiry_uncertain: false };
        let (pool, now) = (self.pool.name.clone(), self.now);
        self.engine().handle_override_entries([(pool, NodeName::new(node), word)], now);
        Ok(())
    }

    /// `reverted NODE TEXT`: the drain of that node is reverted, and the reason contains the text.
    fn reverted(&mut self, rest: &[&str]) -> Outcome {
        let (node, text) = rest.split_first().ok_or("reverted needs a node and a text")?;
        let why = self.engine().override_entries().find_map(|(_, of, word)| match &word.state {
            OverrideState::Reverted(undone) if of.as_str() == *node => Some(undone.to_string()),
            _ => None,
        });
        match why {
            Some(why) if why.contains(&text.join(" ")) => Ok(()),
            Some(why) => Err(format!("it is reverted, but with `{why}`")),
            None => Err("it is not reverted".to_owned()),
        }
    }

    fn compare(&mut self, what: &str, rest: &[&str], read: impl Fn(&Engine) -> String) -> Outcome {
        let (expected, got) = (rest.join(" "), read(self.engine()));
        if got == expected { Ok(()) } else { Err(format!("expected {what} `{expected}`, got `{got}`")) }
    }

    /// `restart` keeps the memory, `restart lost` does not.
    fn restart(&mut self, rest: &[&str]) -> Outcome {
        let memory = match rest {
            [] => self.engine().memory(),
            ["lost"] => Memory::default(),
            _ => return Err("restart takes nothing, or `lost`".to_owned()),
        };
        let json = serde_json::to_string(&memory).map_err(|error| error.to_string())?;
        let memory = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        let membership = build::membership(&self.own, self.members);
        self.engine = Some(Engine::new(membership, vec![self.pool.clone()], memory, self.now));
        Ok(())
    }

    fn reload(&mut self) {
        let (pool, now) = (self.pool.clone(), self.now);
        self.engine().handle_policy(vec![pool], now);
    }

    fn without(&mut self, rest: &[&str]) -> Outcome {
        let before = self.pool.nodes.len();
        self.pool.nodes.retain(|node| !rest.contains(&node.name.as_str()));
        if self.pool.nodes.len() + rest.len() == before { Ok(()) } else { Err("there is no such node".to_owned()) }
    }

    fn answer(&mut self) -> Result<Answer, String> {
        let now = self.now;
        let Decision { answers, .. } = self.engine().decide(now);
        answers.into_iter().next().ok_or("there is no answer".to_owned())
    }

    /// `expect BASIS NODE… [ttl N]`
    fn expect(&mut self, rest: &[&str]) -> Outcome {
        let answer = self.answer()?;
        let reached = |it: &&(Target, _)| answer.members.iter().any(|member| member.address == it.0.address);
        let mut got = vec![answer.basis.as_str().to_owned()];
        got.extend(answer.reasons.iter().filter(reached).map(|(target, _)| self.short(target)));
        let brief = got.join(" ");
        let whole = format!("{brief} ttl {}", answer.ttl);
        let expected = rest.join(" ");
        if expected == brief || expected == whole {
            return Ok(());
        }
        Err(format!("expected `{expected}`, got `{whole}`"))
    }

    /// `because NODE TEXT`: the reason of that target contains the text.
    fn because(&mut self, rest: &[&str]) -> Outcome {
        let (who, text) = rest.split_first().ok_or("because needs a target and a text")?;
        let answer = self.answer()?;
        let found = answer.reasons.iter().find(|(target, _)| self.matches(target, who));
        let (_, reason) = found.ok_or(format!("there is no target `{who}`"))?;
        let (text, reason) = (text.join(" "), reason.to_string());
        if reason.contains(&text) { Ok(()) } else { Err(format!("the reason is `{reason}`")) }
    }

    /// `generation same` or `generation new`, since the line before that said so.
    fn generation(&mut self, rest: &[&str]) -> Outcome {
        let (before, now) = (self.generation, self.answer()?.generation);
        self.generation = now;
        match rest {
            ["new"] if now > before => Ok(()),
            ["same"] if now == before => Ok(()),
            _ => Err(format!("the generation was {before} and is {now}")),
        }
    }

    /// `deadline 10m an override expires`, or `deadline none`.
    fn deadline(&mut self, rest: &[&str]) -> Outcome {
        let got = self.engine().poll_timeout();
        let got = got.map_or("none".to_owned(), |deadline| {
            format!("{}s {}", deadline.at.since(build::START).as_secs_f64(), deadline.event)
        });
        let expected = rest.join(" ");
        if got == expected { Ok(()) } else { Err(format!("expected `{expected}`, got `{got}`")) }
    }
}

fn length(word: Option<&&str>) -> Result<Duration, String> {
    let word = word.ok_or("a time is missing")?;
    build::duration(word).ok_or(format!("`{word}` is no time"))
}
