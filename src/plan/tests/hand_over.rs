//! `~/data` goes from one version to the next, and is never with two.

use super::*;

const WAITS: RunState = RunState::Exited { code: DATA_IN_USE, oom_killed: false };
const STOPPED: RunState = RunState::Exited { code: 0, oom_killed: false };

/// Generation 1 of www.0 in a state, and generation 2 beside it.
fn versions(old: RunState, new: RunState) -> Observed {
    observed(vec![container("www.0", Purpose::Code, 1, old), container("www.0", Purpose::Code, 2, new)])
}

fn handing_over(indices: &[u32]) -> Desired {
    let handing_over = indices.iter().copied().collect();
    let kind = DesiredKind::Code { serving: Some(1), candidate: Some(2), handing_over };
    Desired { up: true, services: vec![service("www", 1, kind)], ..Desired::default() }
}

#[test]
fn a_candidate_waits_for_the_word_while_the_old_version_serves() {
    let world = versions(RUNNING, WAITS);
    assert_snapshot!(text(&code(1, Some(1), Some(2)), &world), @"www.0 waits: the new version waits for ~/data");
}

#[test]
fn the_old_instance_stops_before_the_new_one_is_started_again() {
    let asked = handing_over(&[0]);
    assert_snapshot!(text(&asked, &versions(RUNNING, WAITS)), @"drain and stop www.0 (www.0-g1): its ~/data goes to generation 2");
    assert_snapshot!(text(&asked, &versions(STOPPED, WAITS)), @"start www.0 again: its ~/data is free");
    assert_snapshot!(text(&asked, &versions(STOPPED, RUNNING)), @"");
}

#[test]
fn a_lost_candidate_is_made_anew_and_the_old_one_stays_stopped() {
    let world = observed(vec![container("www.0", Purpose::Code, 1, STOPPED)]);
    assert_snapshot!(text(&handing_over(&[0]), &world), @"start www.0 of generation 2: a new version is deployed");
}

#[test]
fn the_old_instance_is_started_again_when_the_new_version_failed() {
    assert_snapshot!(text(&code(1, Some(1), None), &versions(STOPPED, KILLED)), @r"
    start www.0 again: it ended with exit code 0
    drain and remove www.0 (www.0-g2): generation 1 serves
    ");
}

#[test]
fn instances_without_data_are_not_stopped() {
    let mut world = versions(RUNNING, WAITS);
    world.app.containers.push(container("www.1", Purpose::Code, 1, RUNNING));
    world.app.containers.push(container("www.1", Purpose::Code, 2, RUNNING));
    world.responsive = world.app.containers.iter().map(|container| container.id.clone()).collect();
    let mut asked = handing_over(&[0]);
    asked.services[0].instances = 2;
    assert_snapshot!(text(&asked, &world), @"drain and stop www.0 (www.0-g1): its ~/data goes to generation 2");
}

#[test]
fn an_instance_whose_directory_a_candidate_has_is_not_started_in_vain() {
    let asked = code(1, Some(1), Some(2));
    assert_snapshot!(text(&asked, &versions(WAITS, RUNNING)), @"www.0 waits: another version has its ~/data");
    assert_snapshot!(text(&code(1, Some(1), None), &versions(WAITS, RUNNING)), @r"
    drain and remove www.0 (www.0-g2): generation 1 serves
    www.0 waits: another version has its ~/data
    ");
}

/// Whatever is observed, one step at a time: the two versions are never alive together once the
/// directory is asked for, and the new one runs in the end.
#[test]
fn handing_over_converges_and_never_runs_two() {
    for old in [Some(RUNNING), Some(RunState::Paused), Some(STOPPED), Some(KILLED), Some(WAITS), None] {
        for new in [Some(WAITS), None] {
            let states = [(1, old), (2, new)];
            let there = states.into_iter().filter_map(|(generation, state)| {
                state.map(|state| container("www.0", Purpose::Code, generation, state))
            });
            let mut world = observed(there.collect());
            let asked = handing_over(&[0]);
            for _ in 0..4 {
                for planned in plan(&asked, &world, Duration::ZERO).steps {
                    take(&planned.step, &mut world);
                    let alive = world.app.containers.iter().filter(|container| container.state.is_alive());
                    assert!(alive.count() <= 1, "{old:?} {new:?}: {planned}");
                }
            }
            let last = plan(&asked, &world, Duration::ZERO);
            assert!(last.is_empty(), "{old:?} {new:?}: {last}");
            assert!(world.app.containers.iter().any(|c| c.identity.generation == 2 && c.state == RUNNING));
        }
    }
}
