//! The language of the scenarios: events with their times, and expectations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::fixtures::{host_name, node_name};
use daymark_decision::{
    Answer, Command, Decision, Engine, Grade, HybridTimestamp, Memory, Mode, Moment, NodeKey, NodeOverride, Override,
    OverrideEntry, OverrideKind, OverrideState, PeerView, Pool, Target, TargetReason, TtlRange, Vote,
};

use super::build;

/// Runs a scenario up to its end or the first line that fails. The error has the number of that line and the reason.
pub fn run(text: &str) -> Result<(), String> {
    let mut scenario = Scenario::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split(" # ").next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((first, rest)) = words.split_first() else { continue };
        if first.starts_with('#') {
            continue;
        }
        scenario.line(first, rest).map_err(|error| format!("{number}: {error}"))?;
    }
    Ok(())
}

/// The state of a running scenario.
struct Scenario {
    /// The pool as configured so far.
    pool: Pool,
    /// The name of this host.
    own: String,
    /// The number of configured hosts.
    members: usize,
    /// Built by the first event.
    engine: Option<Engine>,
    now: Moment,
    /// The refusal of the last command.
    refusal: Option<String>,
    /// The generation at the last `generation` line.
    generation: u64,
    /// The newest sequence number of each peer's views.
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
        let number = |index: usize| {
            let argument = rest.get(index).and_then(|argument| argument.parse::<u32>().ok());
            argument.ok_or(format!("{word} needs a number"))
        };
        let thresholds = self.pool.thresholds;
        match word {
            "pool" => self.pool = build::pool(rest.first().ok_or("pool needs a name")?),
            "node" => self.node(rest)?,
            "rise" => self.pool.thresholds = build::thresholds(number(0)?, thresholds.fall.get()),
            "fall" => self.pool.thresholds = build::thresholds(thresholds.rise.get(), number(0)?),
            "interval" => self.pool.timing.interval = parse_duration(rest.first())?,
            "ttl" => self.pool.ttl = TtlRange { min: number(0)?, max: number(1)? },
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
        let membership = build::membership(&self.own, self.members);
        let pools = vec![self.pool.clone()];
        self.engine.get_or_insert_with(|| Engine::new(membership, pools, Memory::default(), self.now))
    }

    fn at(&mut self, rest: &[&str]) -> Outcome {
        self.now = build::START.after(parse_duration(rest.first())?);
        let now = self.now;
        self.engine().handle_timeout(now);
        Ok(())
    }

    /// The targets with this name: `cp-1`, `cp-1/v6`, or `*` for all.
    fn targets(&self, word: &str) -> Result<Vec<Target>, String> {
        let mut targets: Vec<Target> = self.pool.targets().collect();
        targets.retain(|target| word == "*" || self.matches(target, word));
        if targets.is_empty() { Err(format!("there is no target `{word}`")) } else { Ok(targets) }
    }

    fn matches(&self, target: &Target, word: &str) -> bool {
        word == target.node.as_str() || word == self.short(target)
    }

    /// The name of the node, with `/v4` or `/v6` if the node has several addresses.
    fn short(&self, target: &Target) -> String {
        let node = self.pool.nodes.iter().find(|node| node.name == target.node);
        if node.is_none_or(|node| node.addresses.len() == 1) {
            return target.node.to_string();
        }
        let family = if target.address.is_ipv6() { "v6" } else { "v4" };
        format!("{}/{family}", target.node)
    }

    fn probe(&mut self, rest: &[&str]) -> Outcome {
        let (name, kinds) = rest.split_first().ok_or("probe needs a target and kinds of observations")?;
        let targets = self.targets(name)?;
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
            ["for", duration, rest @ ..] => (Some(self.now.after(parse_duration(Some(duration))?)), rest),
            _ => (None, rest),
        };
        let kind = if word == "force" { OverrideKind::Force } else { OverrideKind::Drain };
        let requested =
            Override { kind, reason: rest.join(" "), author: "ada".to_owned(), since: self.now, until, host: None };
        self.command(Command::SetOverride {
            pool: self.pool.name.clone(),
            node: node_name(node),
            requested,
            insist: word.ends_with('!'),
        });
        Ok(())
    }

    fn clear(&mut self, rest: &[&str]) -> Outcome {
        let node = node_name(rest.first().ok_or("undrain needs a node")?);
        let pool = self.pool.name.clone();
        self.command(Command::ClearOverride { pool, node });
        Ok(())
    }

    fn command(&mut self, command: Command) {
        let now = self.now;
        self.refusal = self.engine().handle_command(command, now).err().map(|refusal| refusal.to_string());
    }

    /// Handles `refused TEXT`: the last command was refused, and the reason contains the text.
    fn refused(&mut self, text: &str) -> Outcome {
        match self.refusal.take() {
            Some(refusal) if refusal.contains(text) => Ok(()),
            Some(refusal) => Err(format!("the command was refused, but with `{refusal}`")),
            None => Err("the command was not refused".to_owned()),
        }
    }

    /// Handles `peer dns-2 cp-1=ready cp-2=live! abstains reaches=dns-2,dns-3`: the view of another host. The `!` marks an
    /// orderly shutdown that the host observed.
    fn peer(&mut self, rest: &[&str]) -> Outcome {
        let (host, rest) = rest.split_first().ok_or("peer needs a host")?;
        let membership = build::membership(&self.own, self.members);
        let mut reachable = membership.map(|membership| membership.members).unwrap_or_default();
        let mut votes = BTreeMap::new();
        for word in rest.iter().filter(|word| !["abstains", "declines"].contains(*word)) {
            if let Some(names) = word.strip_prefix("reaches=") {
                reachable = names.split(',').map(host_name).collect();
                continue;
            }
            let (name, vote) = word.split_once('=').ok_or(format!("`{word}` is no vote"))?;
            let vote = parse_vote(vote)?;
            votes.extend(self.targets(name)?.into_iter().map(|target| (target, vote)));
        }
        let sequence = self.sequences.entry((*host).to_owned()).or_default();
        *sequence += 1;
        let view = PeerView {
            host: host_name(host),
            incarnation: 1,
            sequence: *sequence,
            votes: Arc::new(votes),
            abstains: rest.contains(&"abstains"),
            eligible_writer: !rest.contains(&"declines"),
            reachable,
        };
        self.last_view = Some(view.clone());
        let now = self.now;
        if self.engine().handle_peer_view(view, now, now) { Ok(()) } else { Err("the view is stale".to_owned()) }
    }

    /// Handles `replay`: the last view arrives once more.
    fn replay(&mut self) -> Outcome {
        let view = self.last_view.clone().ok_or("there is no view to replay")?;
        let now = self.now;
        let is_accepted = self.engine().handle_peer_view(view, now, now);
        if is_accepted { Err("a replayed view was accepted".to_owned()) } else { Ok(()) }
    }

    /// Handles `receive HOST drain NODE set 3s knowing NODE…`: an override that was set on another host, which knew only of
    /// the drains of these nodes.
    fn receive(&mut self, rest: &[&str]) -> Outcome {
        let mut parts = rest.split(|word| *word == "knowing");
        let Some([host, command, node, "set", set]) = parts.next() else {
            return Err("receive needs: HOST drain|force|undrain NODE set T [knowing NODE…]".to_owned());
        };
        let known = parts.next().unwrap_or_default();
        let causal_context: Vec<HybridTimestamp> = known.iter().filter_map(|node| self.timestamp(node)).collect();
        let set = build::START.after(parse_duration(Some(set))?);
        let host = host_name(host);
        let active = |kind| {
            OverrideState::Active(Override {
                kind,
                reason: String::new(),
                author: "bob".to_owned(),
                since: set,
                until: None,
                host: Some(host.clone()),
            })
        };
        let state = match command.trim_end_matches('!') {
            "drain" => active(OverrideKind::Drain),
            "force" => active(OverrideKind::Force),
            "undrain" => OverrideState::Cleared,
            other => return Err(format!("`{other}` is no command of an operator")),
        };
        let entry = OverrideEntry {
            timestamp: HybridTimestamp { time: set.as_millis(), host: Some(host) },
            causal_context,
            context_revision: 0,
            insist: command.ends_with('!'),
            state,
            expiry_uncertain: false,
        };
        let key = NodeKey { pool: self.pool.name.clone(), node: node_name(node) };
        let now = self.now;
        self.engine().handle_override_entries([NodeOverride { key, entry }], now);
        Ok(())
    }

    /// The timestamp of the override entry of a node.
    fn timestamp(&self, node: &str) -> Option<HybridTimestamp> {
        let mut entries = self.engine.iter().flat_map(Engine::override_entries);
        entries.find(|(key, _)| key.node.as_str() == node).map(|(_, entry)| entry.timestamp.clone())
    }

    /// Handles `reverted NODE TEXT`: the drain of that node is reverted, and the reason contains the text.
    fn reverted(&mut self, rest: &[&str]) -> Outcome {
        let (node, text) = rest.split_first().ok_or("reverted needs a node and a text")?;
        let message = self.engine().override_entries().find_map(|(key, entry)| match &entry.state {
            OverrideState::Reverted(reverted) if key.node.as_str() == *node => Some(reverted.to_string()),
            _ => None,
        });
        match message {
            Some(message) if message.contains(&text.join(" ")) => Ok(()),
            Some(message) => Err(format!("the drain is reverted, but with `{message}`")),
            None => Err("the drain is not reverted".to_owned()),
        }
    }

    fn compare(&mut self, keyword: &str, rest: &[&str], read: impl Fn(&Engine) -> String) -> Outcome {
        let expected = rest.join(" ");
        let got = read(self.engine());
        if got == expected { Ok(()) } else { Err(format!("expected {keyword} `{expected}`, got `{got}`")) }
    }

    /// Handles `restart`, which keeps the memory, and `restart lost`, which does not.
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
        let pools = vec![self.pool.clone()];
        let now = self.now;
        self.engine().handle_policy(pools, now);
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

    /// Handles `expect BASIS TARGET… [ttl N]`.
    fn expect(&mut self, rest: &[&str]) -> Outcome {
        let answer = self.answer()?;
        let mut got = vec![answer.basis().as_str().to_owned()];
        for TargetReason { target, .. } in &answer.reasons {
            if answer.members.iter().any(|member| member.address == target.address) {
                got.push(self.short(target));
            }
        }
        let without_ttl = got.join(" ");
        let with_ttl = format!("{without_ttl} ttl {}", answer.ttl);
        let expected = rest.join(" ");
        if expected == without_ttl || expected == with_ttl {
            return Ok(());
        }
        Err(format!("expected `{expected}`, got `{with_ttl}`"))
    }

    /// Handles `because TARGET TEXT`: the reason of that target contains the text.
    fn because(&mut self, rest: &[&str]) -> Outcome {
        let (name, text) = rest.split_first().ok_or("because needs a target and a text")?;
        let answer = self.answer()?;
        let reason = answer.reasons.iter().find(|known| self.matches(&known.target, name));
        let known = reason.ok_or(format!("there is no target `{name}`"))?;
        let reason = known.reason.to_string();
        if reason.contains(&text.join(" ")) { Ok(()) } else { Err(format!("the reason is `{reason}`")) }
    }

    /// Handles `generation new` and `generation same`, which compare with the last such line.
    fn generation(&mut self, rest: &[&str]) -> Outcome {
        let before = self.generation;
        let now = self.answer()?.generation;
        self.generation = now;
        match rest {
            ["new"] if now > before => Ok(()),
            ["same"] if now == before => Ok(()),
            _ => Err(format!("the generation was {before} and is {now}")),
        }
    }

    /// Handles `deadline 10s` and `deadline none`.
    fn deadline(&mut self, rest: &[&str]) -> Outcome {
        let got = self.engine().poll_timeout();
        let got = got.map_or("none".to_owned(), |due| format!("{}s", due.since(build::START).as_secs_f64()));
        let expected = rest.join(" ");
        if got == expected { Ok(()) } else { Err(format!("expected `{expected}`, got `{got}`")) }
    }
}

/// Parses a vote: a grade, `!` if the host observed the orderly shutdown, and `?` if the grade is of its earlier run.
fn parse_vote(word: &str) -> Result<Vote, String> {
    let grade = match word.trim_end_matches(['!', '?']) {
        "ready" => Grade::Ready,
        "live" => Grade::Live,
        "down" => Grade::Down,
        other => return Err(format!("`{other}` is no grade")),
    };
    Ok(Vote { grade, shutting_down: word.ends_with('!'), is_restored: word.ends_with('?'), ..Vote::default() })
}

fn parse_duration(word: Option<&&str>) -> Result<Duration, String> {
    let word = word.ok_or("a time is missing")?;
    build::duration(word).ok_or(format!("`{word}` is no time"))
}
