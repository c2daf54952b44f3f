//! A remote command counts while its heartbeat changes: every transition, and what holds after any sequence of writes and pauses.
#![allow(missing_docs)]

use sax_controller::control::demand::Remote;
use sax_controller::serve::registers::remote::{RemoteCommand, RemoteState};
use sax_controller::units::{Span, Time};

const TIMEOUT: Span = Span::from_s(60);
const NOTHING: Remote = Remote { setpoint_w: None, charge_limit_w: None, discharge_limit_w: None };
const A: Remote = Remote { setpoint_w: Some(500), ..NOTHING };
const B: Remote = Remote { setpoint_w: Some(-700), charge_limit_w: Some(1000), discharge_limit_w: Some(0) };

fn at(s: u64) -> Time {
    Time::from_ms(s * 1000)
}

/// A command in each of the states, with and without a heartbeat that lives, at 100 s; what is asked for is `A`.
fn none(alive: bool) -> RemoteCommand {
    let mut command = RemoteCommand::new(TIMEOUT);
    command.write(None, alive.then_some(7), at(100));
    command
}

fn active() -> RemoteCommand {
    let mut command = none(true);
    command.write(Some(A), None, at(100));
    command
}

fn waiting() -> RemoteCommand {
    let mut command = none(false);
    command.write(Some(A), None, at(100));
    command
}

fn dropped(alive: bool) -> RemoteCommand {
    let mut command = RemoteCommand::new(TIMEOUT);
    command.write(Some(A), Some(1), at(10));
    command.look(at(100));
    command.write(None, alive.then_some(7), at(100));
    command
}

/// What is written, 10 s later or, with an end, when the timeout is over.
#[derive(Clone, Copy, Debug)]
enum Step {
    Nothing,
    SameBeat,
    Beat,
    Same,
    Other,
    Cleared,
    OtherAndBeat,
    ClearedAndBeat,
    TimeoutOver,
}
use Step::*;
const STEPS: [Step; 9] = [Nothing, SameBeat, Beat, Same, Other, Cleared, OtherAndBeat, ClearedAndBeat, TimeoutOver];

fn after(mut command: RemoteCommand, step: Step) -> RemoteState {
    let now = at(110);
    match step {
        Nothing => command.look(now),
        SameBeat => command.write(None, Some(command.heartbeat()), now),
        Beat => command.write(None, Some(8), now),
        Same => command.write(Some(A), None, now),
        Other => command.write(Some(B), None, now),
        Cleared => command.write(Some(NOTHING), None, now),
        OtherAndBeat => command.write(Some(B), Some(8), now),
        ClearedAndBeat => command.write(Some(NOTHING), Some(8), now),
        TimeoutOver => command.look(at(160)),
    }
    command.state()
}

#[test]
fn every_transition() {
    let waits = |values| RemoteState::Waiting(values, at(110));
    let waited = |values| RemoteState::Waiting(values, at(100));
    let (active_a, active_b) = (RemoteState::Active(A), RemoteState::Active(B));
    let (nothing, lost) = (RemoteState::None, RemoteState::Dropped);
    //            Nothing,   SameBeat,  Beat,     Same,      Other,     Cleared, Other+Beat, Cleared+Beat, TimeoutOver
    let table = [
        (none(false), [nothing, nothing, nothing, waits(A), waits(B), nothing, active_b, nothing, nothing]),
        (none(true), [nothing, nothing, nothing, active_a, active_b, nothing, active_b, nothing, nothing]),
        (active(), [active_a, active_a, active_a, active_a, active_b, nothing, active_b, nothing, lost]),
        (waiting(), [waited(A), waited(A), active_a, waited(A), waited(B), nothing, active_b, nothing, lost]),
        (dropped(false), [lost, lost, lost, waits(A), waits(B), nothing, active_b, nothing, lost]),
        (dropped(true), [lost, lost, lost, active_a, active_b, nothing, active_b, nothing, lost]),
    ];
    for (command, row) in table {
        for (step, expected) in STEPS.into_iter().zip(row) {
            assert_eq!(after(command, step), expected, "{command:?} and {step:?}");
        }
    }
}

#[test]
fn a_command_holds_to_the_last_millisecond_of_the_timeout() {
    let mut command = active();
    command.look(Time::from_ms(159_999));
    assert_eq!(command.in_force(), A);
    command.look(Time::from_ms(160_000));
    assert_eq!((command.in_force(), command.values(), command.state()), (NOTHING, NOTHING, RemoteState::Dropped));
    assert_eq!(command.heartbeat(), 7, "the register keeps what was written");
}

#[test]
fn whoever_comes_too_late_finds_nothing_that_he_does_not_say_anew() {
    let mut command = active();
    command.write(None, Some(8), at(161));
    assert_eq!((command.state(), command.in_force()), (RemoteState::Dropped, NOTHING), "nobody looked in between");
    command.write(Some(B), None, at(162));
    assert_eq!(command.in_force(), B);
}

#[test]
fn values_that_wait_do_not_wait_for_ever() {
    let mut command = waiting();
    for s in 101..160 {
        command.write(Some(A), Some(0), at(s));
        assert_eq!(command.state(), RemoteState::Waiting(A, at(100)), "at {s}");
    }
    command.look(at(160));
    assert_eq!(command.state(), RemoteState::Dropped, "a heartbeat an hour later must not bring them into force");
}

/// One of the moves of the exhaustive walk: seconds that pass, values, heartbeat.
const MOVES: [(u64, Option<Remote>, Option<u16>); 8] = [
    (0, Some(A), None),
    (0, Some(B), None),
    (0, Some(NOTHING), None),
    (0, None, Some(1)),
    (0, None, Some(2)),
    (0, Some(A), Some(2)),
    (30, None, None),
    (59, None, None),
];

/// What the walk knows by itself: when the heartbeat changed last, and to what.
struct Told {
    changed: Option<u64>,
    beat: u16,
}

fn walk(command: RemoteCommand, told: &Told, now: u64, left: u32, seen: &mut u64) {
    for (passes, values, beat) in MOVES {
        let now = now + passes;
        let (mut next, before) = (command, {
            let mut looked = command;
            looked.look(at(now));
            looked
        });
        let mut twice = command;
        next.write(values, beat, at(now));
        twice.write(values, beat, at(now));
        twice.write(values, beat, at(now));
        assert_eq!(next, twice, "the same again changes nothing");
        let changes = beat.is_some_and(|b| b != told.beat);
        let told = Told { changed: if changes { Some(now) } else { told.changed }, beat: beat.unwrap_or(told.beat) };
        let alive = told.changed.is_some_and(|t| now - t < 60);
        let asked = values.unwrap_or(before.values());
        assert_eq!(next.values(), asked, "nothing but writes and the timeout changes values");
        assert_eq!(next.in_force(), if alive { asked } else { NOTHING }, "they count while the heartbeat lives");
        assert_eq!(next.heartbeat_age(at(now)).is_some(), alive);
        let mut later = next;
        later.look(at(now + 60));
        assert_eq!((later.values(), later.in_force()), (NOTHING, NOTHING), "and no longer than that");
        // Which of the two comes first does not matter.
        let (mut first, mut second) = (next, next);
        first.write(Some(B), None, at(now));
        first.write(None, Some(9), at(now));
        second.write(None, Some(9), at(now));
        second.write(Some(B), None, at(now));
        assert_eq!(first, second);
        *seen += 1;
        if left > 0 {
            walk(next, &told, now, left - 1, seen);
        }
    }
}

#[test]
fn any_sequence() {
    let mut seen = 0;
    walk(RemoteCommand::new(TIMEOUT), &Told { changed: None, beat: 0 }, 100, 5, &mut seen);
    assert_eq!(seen, (1..=6).map(|n| 8_u64.pow(n)).sum::<u64>());
}
