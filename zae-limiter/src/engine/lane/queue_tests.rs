//! The queue of a lane, step by step.

use super::*;

const DELAY: Duration = Duration::from_millis(50);

#[derive(Debug, PartialEq, Eq)]
struct Ask {
    number: u32,
    limit_set: u32,
    wanted: bool,
}

impl Waiting for Ask {
    fn is_wanted(&self) -> bool {
        self.wanted
    }

    fn goes_with(&self, other: &Self) -> bool {
        self.limit_set == other.limit_set
    }
}

fn ask(number: u32) -> Ask {
    Ask { number, limit_set: 0, wanted: true }
}

fn at(now: Instant) -> Timing {
    Timing { now, wake_at: None, not_before: None, settlements: Settlements::WhenDue }
}

fn ending(now: Instant) -> Timing {
    Timing { settlements: Settlements::AtOnce, ..at(now) }
}

fn queue(asks: impl IntoIterator<Item = Ask>) -> Queue<Ask, u32> {
    let mut queue = Queue::default();
    for ask in asks {
        let _ = queue.submit(ask, usize::MAX).unwrap();
    }
    queue
}

/// Returns the numbers of the asks that are driven next.
fn numbers(queue: &mut Queue<Ask, u32>) -> Vec<u32> {
    match queue.next(&at(Instant::now())) {
        Next::Drive { asks, .. } => asks.iter().map(|ask| ask.number).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_comes_first_is_served_first_with_those_of_the_same_terms() {
    let other = |number| Ask { limit_set: 1, ..ask(number) };
    let mut queue = queue([ask(0), ask(1), other(2), ask(3)]);
    assert_eq!([numbers(&mut queue), numbers(&mut queue), numbers(&mut queue)], [vec![0, 1], vec![2], vec![3]]);
}

#[test]
fn one_write_serves_no_more_than_a_batch() {
    let mut queue = queue((0..1_500).map(ask));
    assert_eq!([numbers(&mut queue).len(), numbers(&mut queue).len()], [1_024, 476]);
}

#[test]
fn who_gave_up_needs_no_write_and_makes_room() {
    let gone = |number| Ask { wanted: false, ..ask(number) };
    let mut queue = queue([gone(0), ask(1), gone(2)]);
    assert_eq!(queue.submit(ask(3), 2), Ok(Start::Nothing), "two of the three do not count");
    assert_eq!(queue.submit(ask(4), 2), Err(ask(4)));
    assert_eq!(numbers(&mut queue), [1, 3]);
    let _ = queue.submit(gone(5), 2);
    assert!(matches!(queue.next(&at(Instant::now())), Next::Stop));
}

#[test]
fn a_settlement_waits_no_longer_than_the_first_of_them() {
    let (mut queue, start) = (queue([]), Instant::now());
    for turn in 0..4 {
        let _ = queue.book(turn, start + DELAY / 2 * turn, DELAY);
    }
    assert!(matches!(queue.next(&at(start)), Next::Wait(until) if until == start + DELAY));
    let Next::Drive { pending, .. } = queue.next(&at(start + DELAY)) else { panic!("it is due") };
    assert_eq!(pending, [0, 1, 2, 3]);
    let _ = queue.book(4, start, DELAY);
    assert!(matches!(queue.next(&ending(start)), Next::Drive { .. }), "at the end nothing waits");
}

#[test]
fn one_begins_alone_where_no_worker_meets_two() {
    let mut queue = queue([]);
    let mut alone = |asks: u32| {
        let alone = asks > 0 && queue.begin_alone();
        (u32::from(alone)..asks).for_each(|number| drop(queue.submit(ask(number), 9)));
        while !matches!(queue.next(&ending(Instant::now())), Next::Stop) {}
        alone
    };
    assert_eq!([1, 1, 2, 0, 1, 1].map(&mut alone), [true, true, true, false, false, true]);
}

#[test]
fn nobody_begins_alone_beside_others() {
    let fresh = || queue([]);
    let [mut working, mut settling, mut fetching, mut left] = [(); 4].map(|()| fresh());
    assert!(working.begin_alone());
    let _ = settling.book(0, Instant::now(), DELAY);
    let _ = fetching.fetch();
    assert!(left.begin_alone());
    left.rejoin(ask(0));
    assert!(left.abandon());
    for mut queue in [working, settling, fetching, left] {
        assert!(!queue.begin_alone(), "{queue:?}");
    }
}

#[test]
fn a_worker_ends_at_a_glance_only_where_nothing_has_come() {
    for (come, ends) in [
        ((|_| ()) as fn(&mut Queue<Ask, u32>), true),
        (|queue| drop(queue.submit(ask(1), 9)), false),
        (|queue| assert_eq!(queue.book(0, Instant::now(), DELAY), Start::Nothing), false),
        (|queue| assert_eq!(queue.fetch(), Start::Nothing), false),
    ] {
        let mut queue = queue([]);
        assert!(queue.begin_alone());
        come(&mut queue);
        assert_eq!((queue.stop_if_done(), queue.begin_alone()), (ends, ends), "{queue:?}");
    }
}
