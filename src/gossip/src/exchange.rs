//! Between the gossip and the decision core: what the others say goes in, what this host says goes out.

use std::collections::BTreeMap;

use daymark_decision::{Engine, Moment, PoolName};

use crate::facts::{Digest, Fact, Topic};
use crate::gossip::Gossip;

/// Hands over what has come, and says what the engine says now. To be called after every input of either.
pub fn exchange(engine: &mut Engine, gossip: &mut Gossip, configuration: &BTreeMap<PoolName, Digest>, now: Moment) {
    // The views first: what a drain leaves is judged by what is known of the nodes.
    for (view, said) in gossip.take_views() {
        engine.handle_peer_view(view, said, now);
    }
    let words = gossip.take_words();
    if !words.is_empty() {
        engine.handle_words(words, now);
    }
    // To go through everything costs more than most inputs do.
    if gossip.is_behind(engine.revision()) {
        gossip.say(&facts(engine, configuration), now);
    }
}

fn facts(engine: &Engine, configuration: &BTreeMap<PoolName, Digest>) -> BTreeMap<Topic, Fact> {
    let votes = engine.votes().into_iter().map(|(target, vote)| (Topic::Vote(target), Fact::Vote(vote)));
    let word = |(pool, node, word): (&PoolName, &_, &daymark_decision::Word)| {
        (Topic::Word(pool.clone(), Clone::clone(node)), Fact::Word(word.clone()))
    };
    let configuration =
        configuration.iter().map(|(pool, digest)| (Topic::Configuration(pool.clone()), Fact::Configuration(*digest)));
    let of_itself = [
        (Topic::Sight, Fact::Sight { abstains: engine.is_blind() }),
        (Topic::Hears, Fact::Hears(engine.hears())),
        (Topic::Members, Fact::Members(engine.membership().members.clone())),
    ];
    votes.chain(engine.words().map(word)).chain(configuration).chain(of_itself).collect()
}
