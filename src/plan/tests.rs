//! Plans compared as text.

mod hand_over;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use insta::assert_snapshot;

use super::*;
use crate::model::observed::{DATA_IN_USE, Identity, ObservedNetwork, Purpose, RunState};

const RUNNING: RunState = RunState::Running;
const KILLED: RunState = RunState::Exited { code: 137, oom_killed: false };

fn container(instance: &str, purpose: Purpose, generation: u64, state: RunState) -> ObservedContainer {
    let instance: InstanceName = instance.parse().unwrap();
    let id = match purpose {
        Purpose::Code => format!("{instance}-g{generation}"),
        purpose => format!("{instance}-{purpose:?}").to_lowercase(),
    };
    ObservedContainer {
        name: id.clone(),
        identity: Identity { app: "ramen".parse().unwrap(), instance: instance.clone(), purpose, generation },
        image: "image".to_owned(),
        state,
        pid: Some(1),
        ip: Some(Ipv4Addr::new(10, 0, 0, 7)),
        memory: Some(Memory::DEFAULT),
        pod: (purpose == Purpose::Member).then(|| format!("{instance}-pod")),
        started_at: None,
        id,
    }
}

fn observed(containers: Vec<ObservedContainer>) -> Observed {
    let network = ObservedNetwork {
        id: "n".to_owned(),
        name: "n".to_owned(),
        subnet: "10.0.0.0/24".to_owned(),
        gateway: Ipv4Addr::new(10, 0, 0, 1),
    };
    let responsive = containers.iter().map(|container| container.id.clone()).collect();
    Observed {
        app: ObservedApp { containers, network: Some(network), volumes: Vec::new() },
        responsive,
        failures: BTreeMap::new(),
        full: BTreeMap::new(),
    }
}

fn service(name: &str, instances: u32, kind: DesiredKind) -> DesiredService {
    DesiredService { name: name.parse().unwrap(), instances, memory: Memory::DEFAULT, kind }
}

fn code(instances: u32, serving: Option<u64>, candidate: Option<u64>) -> Desired {
    let kind = DesiredKind::Code { serving, candidate, handing_over: BTreeSet::new() };
    Desired { up: true, services: vec![service("www", instances, kind)], ..Desired::default() }
}

fn data(instances: u32, brisk: bool, master: Option<u32>) -> Desired {
    let group = GroupBrief { brisk, settled: !brisk, master, ..GroupBrief::default() };
    Desired { up: true, services: vec![service("db", instances, DesiredKind::Data { group })], ..Desired::default() }
}

fn text(desired: &Desired, observed: &Observed) -> String {
    plan(desired, observed, Duration::from_secs(100)).to_string()
}

#[test]
fn a_pause_is_told_until_its_time_is_over_unless_the_instance_goes() {
    let paused = |instance: &str| container(instance, Purpose::Code, 1, RunState::Paused);
    let world = observed(vec![paused("www.0"), paused("www.1"), paused("www.2")]);
    let desired = Desired { released: ["www.1-g1".to_owned()].into(), ..code(2, Some(1), None) };
    assert_snapshot!(text(&desired, &world), @r"
    drain and remove www.2 (www.2-g1): www is scaled to 2
    let www.1 go on: its pause is over
    www.0 waits: it is paused: `dotcloud unpause www.0` lets it go on
    ");
}

#[test]
fn a_network_comes_before_everything() {
    assert_snapshot!(text(&code(2, Some(1), None), &Observed::default()), @"create the network: the application has no network");
}

#[test]
fn missing_instances_are_started_together() {
    let world = observed(vec![container("www.1", Purpose::Code, 1, RUNNING)]);
    assert_snapshot!(text(&code(3, Some(1), None), &world), @r"
    start www.0 of generation 1: www is scaled to 3
    start www.2 of generation 1: www is scaled to 3
    ");
}

#[test]
fn a_candidate_starts_beside_the_serving_version() {
    let world = observed(vec![container("www.0", Purpose::Code, 1, RUNNING)]);
    assert_snapshot!(text(&code(1, Some(1), Some(2)), &world), @"start www.0 of generation 2: a new version is deployed");
}

#[test]
fn a_candidate_that_ended_is_not_started_again() {
    let world = observed(vec![container("www.0", Purpose::Code, 2, RunState::Exited { code: 71, oom_killed: false })]);
    assert_snapshot!(text(&code(1, None, Some(2)), &world), @"www.0 waits: the new version ended: it ended with exit code 71");
}

#[test]
fn the_old_version_retires_after_the_switch() {
    let world =
        observed(vec![container("www.0", Purpose::Code, 1, RUNNING), container("www.0", Purpose::Code, 2, RUNNING)]);
    assert_snapshot!(text(&code(1, Some(2), None), &world), @"drain and remove www.0 (www.0-g1): generation 2 serves");
}

#[test]
fn a_failed_candidate_retires_and_the_old_version_stays() {
    let world =
        observed(vec![container("www.0", Purpose::Code, 1, RUNNING), container("www.0", Purpose::Code, 2, KILLED)]);
    assert_snapshot!(text(&code(1, Some(1), None), &world), @"drain and remove www.0 (www.0-g2): generation 1 serves");
}

#[test]
fn a_killed_instance_is_started_again_and_failures_back_off() {
    let mut world = observed(vec![container("www.0", Purpose::Code, 1, KILLED)]);
    let desired = code(1, Some(1), None);
    assert_snapshot!(text(&desired, &world), @"start www.0 again: it was killed");
    let failure = Failure { retry_at: Duration::from_secs(104), why: "no such image".to_owned() };
    world.failures.insert("www.0-g1".to_owned(), failure);
    assert_snapshot!(text(&desired, &world), @"www.0 waits: no such image; tried again in 4 s: start www.0 again");
}

#[test]
fn memory_is_set_without_a_restart() {
    let world = observed(vec![container("www.0", Purpose::Code, 1, RUNNING)]);
    let mut desired = code(1, Some(1), None);
    desired.services[0].memory = "512M".parse().unwrap();
    assert_snapshot!(text(&desired, &world), @"limit www.0 to 512M: the service's memory was scaled");
}

#[test]
fn pods_precede_their_members() {
    let world = observed(vec![container("db.0", Purpose::Pod, 0, RUNNING)]);
    assert_snapshot!(text(&data(2, false, None), &world), @r"
    start the server of db.0: its pod is there
    start the pod of db.1: db is scaled to 2
    ");
}

#[test]
fn losing_a_pod_recreates_its_member() {
    let world =
        observed(vec![container("db.0", Purpose::Pod, 0, KILLED), container("db.0", Purpose::Member, 0, RUNNING)]);
    assert_snapshot!(text(&data(1, false, Some(0)), &world), @r"
    remove db.0-member: its pod ended
    remove db.0-pod: a pod without life or network is made anew
    ");
}

#[test]
fn a_dead_master_waits_for_the_failover() {
    let mut world = observed(vec![
        container("db.0", Purpose::Pod, 0, RUNNING),
        container("db.0", Purpose::Member, 0, KILLED),
        container("db.1", Purpose::Pod, 0, RUNNING),
        container("db.1", Purpose::Member, 0, RUNNING),
    ]);
    assert_snapshot!(text(&data(2, true, Some(0)), &world), @"db.0 waits: a failover is under way");
    assert_snapshot!(text(&data(2, false, Some(1)), &world), @"start the server of db.0 again: it was killed");
    world.app.containers[3].state = KILLED;
    assert_snapshot!(text(&data(2, true, Some(0)), &world), @r"
    start the server of db.0 again: it was killed
    start the server of db.1 again: it was killed
    ");
}

#[test]
fn a_master_is_moved_before_its_number_is_scaled_away() {
    let world = observed(vec![
        container("db.0", Purpose::Pod, 0, RUNNING),
        container("db.0", Purpose::Member, 0, RUNNING),
        container("db.1", Purpose::Pod, 0, RUNNING),
        container("db.1", Purpose::Member, 0, RUNNING),
    ]);
    assert_snapshot!(text(&data(1, false, Some(1)), &world), @"db.1 waits: its number is scaled away, and another member takes the master's role first");
    assert_snapshot!(text(&data(1, false, Some(0)), &world), @"discard db.1 with its data: db is scaled to 1");
    assert_snapshot!(text(&data(1, true, Some(0)), &world), @"db.1 waits: the group has no settled master; nothing is discarded meanwhile");
}

#[test]
fn a_surplus_master_is_kept_alive_until_another_one_is() {
    let world =
        observed(vec![container("db.0", Purpose::Pod, 0, RUNNING), container("db.0", Purpose::Member, 0, RUNNING)]);
    assert_snapshot!(text(&data(1, false, Some(1)), &world), @"start the pod of db.1: db is scaled to 1");
}

#[test]
fn a_surplus_voter_lives_until_the_others_do_without_it() {
    let mut world = observed(vec![
        container("db.0", Purpose::Pod, 0, RUNNING),
        container("db.0", Purpose::Member, 0, RUNNING),
        container("db.1", Purpose::Pod, 0, RUNNING),
        container("db.1", Purpose::Member, 0, KILLED),
    ]);
    let group = GroupBrief { settled: true, master: Some(0), bound: [0, 1].into(), brisk: false };
    let desired =
        Desired { up: true, services: vec![service("db", 1, DesiredKind::Data { group })], ..Desired::default() };
    assert_snapshot!(text(&desired, &world), @r"
    start the server of db.1 again: it was killed
    db.1 waits: its number is scaled away, and it stays until the others agree to do without it
    ");
    world.app.containers[3].state = RUNNING;
    assert_snapshot!(text(&data(1, false, Some(0)), &world), @"discard db.1 with its data: db is scaled to 1");
}

#[test]
fn the_only_slave_in_step_stays_until_another_one_is() {
    let world = observed(["db.0", "db.1"].iter().flat_map(|name| member(name, RUNNING)).collect());
    let group = GroupBrief { settled: true, master: Some(0), bound: [1].into(), brisk: false };
    let desired =
        Desired { up: true, services: vec![service("db", 1, DesiredKind::Data { group })], ..Desired::default() };
    assert_snapshot!(text(&desired, &world), @"db.1 waits: its number is scaled away, and it stays until another slave is in step: it alone may have what was acknowledged");
}

#[test]
fn a_server_that_keeps_ending_on_a_full_disk_is_started_when_there_is_space() {
    let mut world = observed(member("db.0", KILLED).into());
    let desired = data(1, true, Some(0));
    let instance: InstanceName = "db.0".parse().unwrap();
    world.full.insert(instance.clone(), DiskSpace { size: 64 << 20, free: 0 });
    assert_snapshot!(text(&desired, &world), @r"
    start the server of db.0 again: it was killed
    db.0 waits: its disk is full (0 of 64M free), and it takes no writes until there is space: `docker system df` shows what Docker keeps
    ");
    let failure = Failure { retry_at: Duration::ZERO, why: "it keeps ending soon after its start".to_owned() };
    world.failures.insert("db.0-member".to_owned(), failure);
    assert_snapshot!(text(&desired, &world), @r"
    db.0 waits: its disk is full (0 of 64M free), and it takes no writes until there is space: `docker system df` shows what Docker keeps
    db.0 waits: it ended, and is started again when there is space
    ");
    world.full.clear();
    assert_snapshot!(text(&desired, &world), @"start the server of db.0 again: it was killed");
}

#[test]
fn a_line_is_about_the_service_whose_instance_it_names_or_about_everything() {
    let mut world = observed(vec![container("db.0", Purpose::Pod, 0, RUNNING)]);
    world.full.insert("db.0".parse().unwrap(), DiskSpace { size: 0, free: 0 });
    let one = plan(&data(1, false, None), &world, Duration::ZERO);
    let named = (one.steps[0].service(), one.holds[0].service());
    assert_eq!(named, (Some("db".parse().unwrap()), Some("db".parse().unwrap())));
    world.app.network = None;
    assert_eq!(
        plan(&data(1, false, None), &world, Duration::ZERO).steps[0].service(),
        None,
        "a service may be called network"
    );
}

fn member(name: &str, state: RunState) -> [ObservedContainer; 2] {
    [container(name, Purpose::Pod, 0, RUNNING), container(name, Purpose::Member, 0, state)]
}

#[test]
fn an_instance_that_lost_its_network_is_replaced() {
    let mut world = observed(vec![container("www.0", Purpose::Code, 1, RUNNING)]);
    world.app.containers[0].ip = None;
    assert_snapshot!(text(&code(1, Some(1), None), &world), @"drain and remove www.0 (www.0-g1): it lost its network");
}

#[test]
fn down_removes_containers_then_the_network() {
    let desired = Desired { up: false, ..code(1, Some(1), None) };
    let world = observed(vec![container("www.0", Purpose::Code, 1, RUNNING)]);
    assert_snapshot!(text(&desired, &world), @"remove www.0-g1: the application is down");
    assert_snapshot!(text(&desired, &observed(Vec::new())), @"remove the network: the application is down");
}

#[test]
fn containers_of_destroyed_services_are_removed() {
    let world = observed(vec![container("old.0", Purpose::Code, 1, RUNNING)]);
    assert_snapshot!(text(&code(0, Some(1), None), &world), @"remove old.0-g1: its service was destroyed");
}

/// Whatever is observed, taking every step of every plan ends in a plan without steps.
#[test]
fn plans_converge_from_any_beginning() {
    use proptest::prelude::*;
    let states = prop::sample::select(vec![None, Some(RUNNING), Some(KILLED), Some(RunState::Created)]);
    let case = (prop::collection::vec(states, 9), 0u32..4, 1u32..4);
    proptest!(|((states, www, db) in case)| {
        let mut world = observed(arbitrary(&states));
        let mut desired = code(www, Some(1), None);
        desired.services.extend(data(db, false, Some(0)).services);
        for _ in 0..8 {
            let next = plan(&desired, &world, Duration::ZERO);
            next.steps.iter().for_each(|planned| take(&planned.step, &mut world));
        }
        let last = plan(&desired, &world, Duration::ZERO);
        prop_assert!(last.is_empty(), "{last}");
    });
}

fn arbitrary(states: &[Option<RunState>]) -> Vec<ObservedContainer> {
    let purposes = [Purpose::Code, Purpose::Pod, Purpose::Member];
    let place = |(at, state): (usize, &Option<RunState>)| {
        let (purpose, index) = (purposes[at / 3], at % 3);
        let service = if purpose == Purpose::Code { "www" } else { "db" };
        state.map(|state| container(&format!("{service}.{index}"), purpose, u64::from(at < 3), state))
    };
    states.iter().enumerate().filter_map(place).collect()
}

/// What taking a step does to the world.
fn take(step: &Step, world: &mut Observed) {
    let gone = |world: &mut Observed, id: &String| world.app.containers.retain(|c| c.id != *id);
    let add = |world: &mut Observed, new: ObservedContainer| {
        world.app.containers.retain(|c| c.id != new.id);
        world.responsive.insert(new.id.clone());
        world.app.containers.push(new);
    };
    match step {
        Step::StartPod { instance } => add(world, container(&instance.to_string(), Purpose::Pod, 0, RUNNING)),
        Step::StartMember { instance, .. } => {
            add(world, container(&instance.to_string(), Purpose::Member, 0, RUNNING));
        }
        Step::StartInstance { instance, generation } => {
            add(world, container(&instance.to_string(), Purpose::Code, *generation, RUNNING));
        }
        Step::RestartMember { container, .. } | Step::ReviveInstance { container, .. } => {
            world.app.containers.iter_mut().filter(|c| c.id == *container).for_each(|c| c.state = RUNNING);
        }
        Step::StopInstance { container, .. } => {
            let stopped = RunState::Exited { code: 0, oom_killed: false };
            world.app.containers.iter_mut().filter(|c| c.id == *container).for_each(|c| c.state = stopped);
        }
        Step::Retire { container, .. } | Step::Remove { container, .. } => gone(world, container),
        Step::Discard { containers, .. } => containers.iter().for_each(|id| gone(world, id)),
        step => panic!("unexpected {step}"),
    }
}
