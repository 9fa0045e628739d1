//! The queue of a lane under interleavings that a scheduler chooses (seeded, and repeatable): every ask is answered once
//! or was given up, every settlement is written once, and at most one worker runs.
//!
//! The source of the queue is compiled here against the lock and the threads of `shuttle`; it has none of its own.

#[allow(dead_code, unreachable_pub, reason = "the lane uses all of it")]
#[path = "../src/engine/queue.rs"]
mod queue;

use std::time::Duration;

use queue::{Fetch, Next, Queue, Start, Waiting};
use shuttle::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};
use tokio::time::Instant;

const DELAY: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Ask {
    answers: Arc<AtomicUsize>,
    given_up: Arc<AtomicBool>,
    terms: u8,
}

impl Waiting for Ask {
    fn is_wanted(&self) -> bool {
        !self.given_up.load(SeqCst)
    }

    fn goes_with(&self, other: &Self) -> bool {
        self.terms == other.terms
    }
}

type Settlement = Arc<AtomicUsize>;

struct Desk {
    start: Instant,
    queue: Mutex<Queue<Ask, Settlement, Work>>,
    /// Moved on by whoever wakes the worker; the time, in ms, is the worker's own.
    woken: Mutex<bool>,
    wake: Condvar,
    workers: AtomicUsize,
    driving: AtomicUsize,
    fetched: AtomicUsize,
}

/// A worker between two polls.
#[derive(Debug)]
struct Work {
    now: Instant,
    at: At,
}

#[derive(Debug)]
enum At {
    Next,
    Write { asks: Vec<Ask>, pending: Vec<Settlement>, fetch: Fetch },
    Rest(Instant),
}

#[derive(Debug, PartialEq, Eq)]
enum Poll {
    Done,
    Pending,
}

impl Work {
    fn poll(&mut self, desk: &Desk) -> Poll {
        match std::mem::replace(&mut self.at, At::Next) {
            At::Next => {}
            At::Write { asks, pending, fetch } => {
                for done in asks.iter().map(|ask| &ask.answers).chain(&pending) {
                    done.fetch_add(1, SeqCst);
                }
                desk.fetched.fetch_add(usize::from(fetch == Fetch::Yes), SeqCst);
                desk.driving.fetch_sub(1, SeqCst);
            }
            At::Rest(until) => {
                // Woken, or the time has come: whichever the scheduler likes.
                let mut woken = desk.woken.lock().unwrap();
                if !std::mem::take(&mut *woken) {
                    drop(woken);
                    thread::yield_now();
                    self.now = until;
                }
            }
        }
        let mut queue = desk.queue.lock().unwrap();
        match queue.next(self.now, None, false) {
            Next::Drive { asks, pending, fetch } => {
                drop(queue);
                assert_eq!(desk.driving.fetch_add(1, SeqCst), 0, "two writes in flight");
                assert!(!asks.is_empty() || !pending.is_empty() || fetch == Fetch::Yes, "a write of nothing");
                assert!(asks.iter().all(|ask| ask.terms == asks[0].terms), "what does not go together");
                self.at = At::Write { asks, pending, fetch };
                Poll::Pending
            }
            Next::Wait(until) => {
                self.at = At::Rest(until);
                Poll::Pending
            }
            Next::Stop => {
                // Under the lock of the queue, as the queue counts it.
                desk.workers.fetch_sub(1, SeqCst);
                Poll::Done
            }
        }
    }
}

/// What becomes of one who asks and has the work.
#[derive(Clone, Copy, Debug)]
enum Asker {
    /// Is polled until the answer is there.
    Waits,
    /// Is polled once, and dropped later.
    GivesUp,
    /// Is polled once, and never again.
    Sleeps,
}

#[derive(Clone, Default)]
struct Asked {
    answers: Arc<AtomicUsize>,
    given_up: Arc<AtomicBool>,
}

impl Asked {
    fn is_answered(&self) {
        let answers = self.answers.load(SeqCst);
        assert!(answers == 1 || (answers == 0 && self.given_up.load(SeqCst)), "answered {answers} times");
    }
}

impl Desk {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            queue: Mutex::new(Queue::default()),
            woken: Mutex::new(false),
            wake: Condvar::new(),
            workers: AtomicUsize::new(0),
            driving: AtomicUsize::new(0),
            fetched: AtomicUsize::new(0),
        })
    }

    fn work(&self) -> Work {
        assert_eq!(self.workers.fetch_add(1, SeqCst), 0, "two workers at one lane");
        Work { now: self.start, at: At::Next }
    }

    fn began(self: &Arc<Self>, start: Start<Work>) {
        match start {
            Start::Worker => self.hand_over(self.work()),
            Start::Task(work) => self.hand_over(work),
            Start::Nothing => {
                *self.woken.lock().unwrap() = true;
                self.wake.notify_one();
            }
        }
    }

    fn hand_over(self: &Arc<Self>, mut work: Work) {
        let desk = Arc::clone(self);
        thread::spawn(move || while work.poll(&desk) == Poll::Pending {});
    }

    /// As `Asked` does in the lane.
    fn asked(self: &Arc<Self>, mut work: Work, asker: Asker, ask: &Asked) {
        loop {
            let answered = || ask.answers.load(SeqCst) > 0;
            match (work.poll(self), answered()) {
                (Poll::Done, _) => return,
                (Poll::Pending, true) => return self.hand_over(work),
                (Poll::Pending, false) => {}
            }
            let wanted = self.queue.lock().unwrap().leave(work);
            if let Some(work) = wanted {
                return self.hand_over(work);
            }
            thread::yield_now();
            if matches!(asker, Asker::Sleeps) {
                return;
            }
            let resumed = self.queue.lock().unwrap().resume();
            let Some(resumed) = resumed else { return };
            if matches!(asker, Asker::GivesUp) {
                ask.given_up.store(true, SeqCst);
                return self.hand_over(resumed);
            }
            work = resumed;
        }
    }
}

fn play() {
    let desk = Desk::new();
    let mut asks = Vec::new();
    let mut settlements = Vec::new();
    let mut threads = Vec::new();
    for (number, asker) in [Asker::Waits, Asker::GivesUp, Asker::Sleeps].into_iter().enumerate() {
        let asked = Asked::default();
        let settled = Settlement::default();
        asks.push(asked.clone());
        if !matches!(asker, Asker::Sleeps) {
            settlements.push(Arc::clone(&settled));
        }
        let desk = Arc::clone(&desk);
        threads.push(thread::spawn(move || {
            let Asked { answers, given_up } = asked.clone();
            let ask = Ask { answers, given_up, terms: u8::from(number == 1) };
            let start = desk.queue.lock().unwrap().submit(ask, 2);
            match start {
                Ok(Start::Worker) => desk.asked(desk.work(), asker, &asked),
                Ok(start) => desk.began(start),
                // Answered as overloaded by the caller.
                Err(ask) => assert_eq!(ask.answers.fetch_add(1, SeqCst), 0),
            }
            if matches!(asker, Asker::Sleeps) {
                return;
            }
            if matches!(asker, Asker::GivesUp) {
                asked.given_up.store(true, SeqCst);
            }
            let start = desk.queue.lock().unwrap().book(settled, desk.start, DELAY);
            desk.began(start);
            if matches!(asker, Asker::Waits) {
                let start = desk.queue.lock().unwrap().fetch();
                desk.began(start);
                let waits = desk.queue.lock().unwrap().flush(desk.start);
                if waits {
                    desk.began(Start::Nothing);
                }
            }
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let asleep = desk.queue.lock().unwrap().resume();
    let is_settled = |settled: &Settlement| assert_eq!(settled.load(SeqCst), 1, "a settlement is written once");
    if let Some(work) = asleep {
        // What is left to the one who sleeps is nobody else's.
        asks[..2].iter().for_each(Asked::is_answered);
        settlements.iter().for_each(is_settled);
        desk.hand_over(work);
    }
    // The worker ends by itself when there is nothing left.
    while desk.workers.load(SeqCst) > 0 {
        thread::yield_now();
    }
    asks.iter().for_each(Asked::is_answered);
    settlements.iter().for_each(is_settled);
    assert_eq!(desk.fetched.load(SeqCst), 1);
}

#[test]
fn nothing_is_lost_and_nothing_done_twice() {
    shuttle::check_random(play, 2_000);
    shuttle::check_pct(play, 1_000, 3);
}
