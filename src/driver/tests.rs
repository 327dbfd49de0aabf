use daymark_decision::fixtures::node_name;
use daymark_decision::{AnswerStatus, Basis, Kind, Memory, Override, OverrideKind, fixtures};
use tokio::task::JoinHandle;

use super::*;
use crate::watchdog::Watchdog;

struct Bench {
    clock: Clock,
    handle: Handle,
    decisions: watch::Receiver<DecidedState>,
    events: Events,
    watchdog: Watchdog,
    task: JoinHandle<()>,
}

fn pool(nodes: &[&str]) -> Pool {
    let node = |(name, n): (&&str, u8)| fixtures::node(name, &[&format!("192.0.2.{n}")]);
    fixtures::quick_pool("lb.example.org", nodes.iter().zip(1..).map(node).collect())
}

fn start(pool: Pool) -> Bench {
    let clock = Clock::start();
    let events = Events::default();
    let watchdog = Watchdog::default();
    let membership = None;
    let engine = Engine::new(membership, vec![pool], Memory::default(), clock.now());
    let (newest, decisions) = watch::channel(DecidedState::default());
    let watchdog_handle = watchdog.watch("driver", DRIVER_TIMEOUT);
    let outputs = Outputs { decisions: newest, events: events.clone(), metrics: Metrics::default(), watchdog_handle };
    let DriverWithHandle { driver, handle } = Driver::with_handle(engine, None, clock, outputs);
    Bench { clock, handle, decisions, events, watchdog, task: tokio::spawn(driver.run()) }
}

impl Bench {
    fn see(&self, pool: &Pool, index: usize, kind: Kind) {
        let target = pool.targets().nth(index).unwrap();
        self.handle.observe(target, fixtures::observation(kind)).unwrap();
    }

    async fn until(&mut self, is_it: impl Fn(&Decision) -> bool) -> Decision {
        self.decisions.wait_for(|kept| is_it(&kept.decision)).await.unwrap().decision.clone()
    }

    fn sentences(&self) -> Vec<String> {
        self.events.all().into_iter().map(|event| event.message).collect()
    }

    fn drain(&self, pool: &Pool, node: &str, length: Option<Duration>) -> Command {
        let until = length.map(|length| self.clock.now().after(length));
        let reason = "disk".to_owned();
        let author = "ada".to_owned();
        let order = Override { kind: OverrideKind::Drain, reason, author, since: self.clock.now(), until, host: None };
        Command::SetOverride { pool: pool.name.clone(), node: node_name(node), requested: order, insist: false }
    }
}

fn members(decision: &Decision) -> Vec<String> {
    decision.answers[0].members.iter().map(|member| member.node.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn observations_become_decisions_and_one_event_a_change() {
    let pool = pool(&["cp-1", "cp-2"]);
    let mut bench = start(pool.clone());
    bench.until(|decision| decision.answers[0].basis() == Basis::Bootstrap).await;
    bench.see(&pool, 0, Kind::Ready);
    bench.see(&pool, 0, Kind::Ready);
    bench.see(&pool, 0, Kind::Ready);
    let decision = bench.until(|decision| decision.answers[0].basis() == Basis::Ready).await;
    assert_eq!(members(&decision), ["cp-1"]);
    let sentences = bench.sentences();
    assert_eq!(sentences.len(), 3, "{sentences:?}");
    assert!(sentences[0].starts_with("lb.example.org: 192.0.2.1 192.0.2.2 ("), "{sentences:?}");
    assert_eq!(sentences[1], "lb.example.org: cp-1 192.0.2.1 unknown -> ready");
    assert!(
        sentences[2]
            .contains("192.0.2.1 192.0.2.2 -> 192.0.2.1, basis bootstrap -> ready (cp-1 192.0.2.1 in: ready since"),
        "{sentences:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_by_itself_at_its_time() {
    let pool = pool(&["cp-1", "cp-2"]);
    let mut bench = start(pool.clone());
    for index in 0..2 {
        bench.see(&pool, index, Kind::Ready);
    }
    bench.until(|decision| members(decision).len() == 2 && decision.answers[0].basis() == Basis::Ready).await;
    let drain = bench.drain(&pool, "cp-2", Some(Duration::from_mins(10)));
    assert!(matches!(bench.handle.command(drain).await, Ok(Ok(_))));
    bench.until(|decision| members(decision) == ["cp-1"]).await;
    let began = bench.clock.now();
    bench.until(|decision| members(decision).len() == 2).await;
    let lasted = bench.clock.now().since(began);
    assert!(lasted >= Duration::from_mins(10) && lasted < Duration::from_mins(10) + Duration::from_secs(1));
    assert!(bench.sentences().contains(&"lb.example.org: cp-2 is no longer drained or forced".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_refused_command_says_why_and_changes_nothing() {
    let pool = pool(&["cp-1"]);
    let bench = start(pool.clone());
    let drain = bench.drain(&pool, "cp-1", None);
    let refusal = bench.handle.command(drain).await.unwrap().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "cp-1 is the last undrained node of pool lb.example.org; drain it with --insist if you must"
    );
    assert_eq!(bench.sentences().len(), 1, "only the first answer");
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_is_known_of_the_nodes_that_stay() {
    let before = pool(&["cp-1", "cp-2"]);
    let mut bench = start(before.clone());
    bench.see(&before, 0, Kind::Ready);
    bench.until(|decision| members(decision) == ["cp-1"]).await;
    bench.handle.reserve_reload().await.unwrap().reload(vec![pool(&["cp-1", "cp-2", "cp-3"])], BTreeMap::new()).await;
    let status = bench.handle.status().await.unwrap();
    let grades: Vec<Grade> = status[0].targets.iter().map(|target| target.grade).collect();
    assert_eq!(grades, [Grade::Ready, Grade::Unknown, Grade::Unknown]);
    let observed: Vec<bool> = status[0].targets.iter().map(|target| target.observed.is_some()).collect();
    assert_eq!(observed, [true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn the_status_has_the_answer_status_and_the_reason_of_every_target() {
    let pool = pool(&["cp-1", "cp-2"]);
    let mut bench = start(pool.clone());
    bench.see(&pool, 0, Kind::Ready);
    bench.see(&pool, 1, Kind::Refused);
    bench.until(|decision| members(decision) == ["cp-1"]).await;
    let status = bench.handle.status().await.unwrap();
    let [one, two] = &status[0].targets[..] else { panic!("two targets") };
    assert_eq!((one.answer_status, two.answer_status), (AnswerStatus::In, AnswerStatus::Out));
    assert!(two.message.contains("connection refused"), "{}", two.message);
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<Vec<PoolStatus>>(&json).unwrap(), status);
}

#[tokio::test(start_paused = true)]
async fn the_driver_beats_at_rest_and_ends_with_its_last_handle() {
    let bench = start(pool(&["cp-1"]));
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(bench.watchdog.stuck_tasks(), []);
    }
    drop(bench.handle);
    bench.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn targets_that_cannot_be_probed_are_an_alarm_until_they_can_be() {
    let pool = pool(&["cp-1", "cp-2"]);
    let mut bench = start(pool.clone());
    bench.see(&pool, 0, Kind::Ready);
    bench.until(|decision| members(decision) == ["cp-1"]).await;
    bench.see(&pool, 0, Kind::LocalError { detail: "no route".to_owned() });
    let status = bench.handle.status().await.unwrap();
    assert_eq!((status[0].local_error_count(), status[0].targets[0].grade), (1, Grade::Ready));
    assert_eq!(
        status[0].alarms(),
        ["lb.example.org: 1 of 2 targets cannot be probed because of an error on this host, so their grades stay; \
             cp-1 192.0.2.1: not probed, because of an error on this host: no route"]
    );
    bench.see(&pool, 0, Kind::Ready);
    let status = bench.handle.status().await.unwrap();
    assert_eq!((status[0].local_error_count(), status[0].alarms()), (0, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn an_observation_of_a_target_that_a_reload_took_away_leaves_nothing_behind() {
    let before = pool(&["cp-1", "cp-2"]);
    let bench = start(before.clone());
    bench.handle.reserve_reload().await.unwrap().reload(vec![pool(&["cp-1"])], BTreeMap::new()).await;
    bench.see(&before, 1, Kind::Ready);
    bench.handle.reserve_reload().await.unwrap().reload(vec![before], BTreeMap::new()).await;
    let status = bench.handle.status().await.unwrap();
    assert!(status[0].targets.iter().all(|target| target.observed.is_none()));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_found_are_no_new_configuration() {
    let before = pool(&["cp-1"]);
    let mut bench = start(before.clone());
    bench.see(&before, 0, Kind::Ready);
    bench.until(|decision| members(decision) == ["cp-1"]).await;
    bench.handle.change_nodes(vec![pool(&["cp-1", "cp-2"])]).await.unwrap();
    let status = bench.handle.status().await.unwrap();
    let grades: Vec<Grade> = status[0].targets.iter().map(|target| target.grade).collect();
    assert_eq!(grades, [Grade::Ready, Grade::Unknown]);
    assert!(!bench.sentences().iter().any(|event| event.contains("configuration")), "{:?}", bench.sentences());
}
