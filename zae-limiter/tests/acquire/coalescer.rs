//! The queue of a lane under interleavings chosen by a scheduler (seeded and repeatable): every ask is answered once or
//! was given up, every settlement is written once, and at most one worker runs.
//!
//! The queue's source is compiled here against the lock and the threads of `shuttle`; it uses no others.

#[allow(dead_code, unreachable_pub, reason = "the lane uses all of it")]
#[path = "../../src/engine/lane/queue.rs"]
mod queue;

use std::time::Duration;

use queue::{Fetch, Next, Queue, Settlements, Start, Timing, Waiting};
use shuttle::{
    rand::{Rng, thread_rng},
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

struct Desk {
    start: Instant,
    queue: Mutex<Queue<Ask, Arc<AtomicUsize>>>,
    /// Set by waking the worker; the time, in ms, is the worker's own.
    woken: Mutex<bool>,
    wake: Condvar,
    workers: AtomicUsize,
    driving: AtomicUsize,
    fetched: AtomicUsize,
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

    fn began(self: &Arc<Self>, start: Start) {
        if start == Start::Worker {
            self.begin(None);
        } else {
            *self.woken.lock().unwrap() = true;
            self.wake.notify_one();
        }
    }

    fn begin(self: &Arc<Self>, first: Option<Ask>) {
        assert_eq!(self.workers.fetch_add(1, SeqCst), 0, "two workers at one lane");
        let desk = Arc::clone(self);
        thread::spawn(move || desk.work(first));
    }

    fn submit(self: &Arc<Self>, ask: Ask) {
        let mut queue = self.queue.lock().unwrap();
        if queue.begin_alone() {
            drop(queue);
            // On another runtime than the lane's, it queues after all, and others may come first.
            if thread_rng().gen_bool(0.5) {
                return self.begin(Some(ask));
            }
            self.queue.lock().unwrap().rejoin(ask);
            return self.begin(None);
        }
        let start = queue.submit(ask, 2);
        drop(queue);
        match start {
            Ok(start) => self.began(start),
            // Answered as overloaded by the caller.
            Err(ask) => assert_eq!(ask.answers.fetch_add(1, SeqCst), 0),
        }
    }

    fn work(self: Arc<Self>, first: Option<Ask>) {
        let mut now = self.start;
        let mut alone = first.map(|ask| Next::Drive { asks: vec![ask], pending: Vec::new(), fetch: Fetch::No });
        loop {
            let mut queue = self.queue.lock().unwrap();
            match alone.take().unwrap_or_else(|| {
                queue.next(&Timing { now, wake_at: None, not_before: None, settlements: Settlements::WhenDue })
            }) {
                Next::Drive { asks, pending, fetch } => {
                    drop(queue);
                    assert_eq!(self.driving.fetch_add(1, SeqCst), 0, "two writes in flight");
                    assert!(!asks.is_empty() || !pending.is_empty() || fetch == Fetch::Yes, "a write of nothing");
                    assert!(asks.iter().all(|ask| ask.terms == asks[0].terms), "what does not go together");
                    thread::yield_now();
                    for done in asks.iter().map(|ask| &ask.answers).chain(&pending) {
                        done.fetch_add(1, SeqCst);
                    }
                    self.fetched.fetch_add(usize::from(fetch == Fetch::Yes), SeqCst);
                    self.driving.fetch_sub(1, SeqCst);
                    let mut queue = self.queue.lock().unwrap();
                    if asks.len() <= 1 && queue.stop_if_done() {
                        self.workers.fetch_sub(1, SeqCst);
                        return;
                    }
                }
                Next::Wait(until) => {
                    drop(queue);
                    // Woken, or the time is up: the scheduler decides.
                    let mut woken = self.woken.lock().unwrap();
                    if !std::mem::take(&mut *woken) {
                        drop(woken);
                        thread::yield_now();
                        now = until;
                    }
                }
                Next::Stop => {
                    // Under the lock of the queue, as the queue counts it.
                    self.workers.fetch_sub(1, SeqCst);
                    return;
                }
            }
        }
    }
}

fn play() {
    let desk = Desk::new();
    let mut asks = Vec::new();
    let mut settlements = Vec::new();
    let mut threads = Vec::new();
    for number in 0..3_u8 {
        let (answers, given_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let settled = Arc::new(AtomicUsize::new(0));
        asks.push((Arc::clone(&answers), Arc::clone(&given_up)));
        settlements.push(Arc::clone(&settled));
        let desk = Arc::clone(&desk);
        threads.push(thread::spawn(move || {
            let ask = Ask { answers, given_up: Arc::clone(&given_up), terms: number % 2 };
            desk.submit(ask);
            if number == 1 {
                given_up.store(true, SeqCst);
            }
            let start = desk.queue.lock().unwrap().book(settled, desk.start, DELAY);
            desk.began(start);
            if number == 2 {
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
    // The worker ends by itself when there is nothing left.
    while desk.workers.load(SeqCst) > 0 {
        thread::yield_now();
    }
    for (answers, given_up) in asks {
        let answers = answers.load(SeqCst);
        assert!(answers == 1 || (answers == 0 && given_up.load(SeqCst)), "answered {answers} times");
    }
    for settled in settlements {
        assert_eq!(settled.load(SeqCst), 1, "a settlement is written once");
    }
    assert_eq!(desk.fetched.load(SeqCst), 1);
}

#[test]
fn nothing_is_lost_and_nothing_done_twice() {
    shuttle::check_random(play, 2_000);
    shuttle::check_pct(play, 1_000, 3);
}
